//! The card's side: a logical channel to the ISD-R, and functions of ES10 over it (SGP.22 v2.5 section 5.7).
//!
//! Command APDUs go in batches, so that a bound profile package crosses to the card in a few calls.

use crate::error::LpaError;
use crate::operation::Io;
use crate::progress::{Progress, Stage};
use teuicc_apdu::{Class, Coding, MAX_CHANNEL, Response, StatusWord, encode_command, ins};
use teuicc_rsp::aid;
use teuicc_rsp::object::Object;
use teuicc_tlv::{Error as TlvError, Tag, Tlv};
use teuicc_wire::Transmitted;

/// Data bytes in a STORE DATA command.
const BLOCK: usize = 255;
/// Blocks in a chain of STORE DATA commands (section 5.7.2).
const MAX_BLOCKS: usize = 256;
/// Room that a batch leaves in a message across the boundary for the operation's own fields.
const MESSAGE_FIELDS: usize = 64;
/// Largest batch in bytes, each command with its 16-bit length.
const MAX_BATCH: usize = teuicc_wire::MAX_MESSAGE - MESSAGE_FIELDS;

/// MANAGE CHANNEL P1: open; the card assigns the channel.
const CHANNEL_OPEN: u8 = 0x00;
/// MANAGE CHANNEL P1: close.
const CHANNEL_CLOSE: u8 = 0x80;
/// SELECT P1: by AID.
const SELECT_BY_AID: u8 = 0x04;
/// STORE DATA P1: more blocks follow.
const MORE_BLOCKS: u8 = 0x11;
/// STORE DATA P1: last block.
const LAST_BLOCK: u8 = 0x91;

/// An operation that opens the ISD-R, runs an async function with it, and closes it: `on_isdr!(|io, isdr| f(isdr))`.
macro_rules! on_isdr {
    (|$io:ident, $isdr:ident| $body:expr) => {
        crate::operation::Operation::new(move |io| async move {
            let opened = crate::es10::Isdr::open(&io).await?;
            let ($io, $isdr) = (&io, &opened);
            let result = $body.await;
            let _ = $io;
            opened.finish(result).await
        })
    };
}
pub(crate) use on_isdr;

/// An open logical channel on which the ISD-R is selected.
pub(crate) struct Isdr<'a> {
    io: &'a Io,
    channel: u8,
}

impl<'a> Isdr<'a> {
    /// Opens a logical channel and selects the ISD-R on it (section 5.7.1).
    pub(crate) async fn open(io: &'a Io) -> Result<Self, LpaError> {
        const OPEN: &str = "MANAGE CHANNEL";
        const SELECT: &str = "SELECT ISD-R";
        let open = command(OPEN, [0x00, ins::MANAGE_CHANNEL, CHANNEL_OPEN, 0x00], &[], Some(1))?;
        let answer = single(io, OPEN, open).await?;
        let channel = match answer[..] {
            [channel @ 1..=MAX_CHANNEL] => channel,
            _ => {
                return Err(LpaError::CardAnswer {
                    function: OPEN,
                    problem: "it names no channel from 1 to 19".into(),
                });
            }
        };
        let isdr = Isdr { io, channel };
        let class = Class::byte(Coding::Interindustry, channel);
        let select = command(SELECT, [class, ins::SELECT, SELECT_BY_AID, 0x00], &aid::ISDR, Some(256))?;
        match single(io, SELECT, select).await {
            Ok(_) => Ok(isdr),
            Err(error) => isdr.finish(Err(error)).await,
        }
    }

    /// Closes the channel at the end of an operation with this result, if the card can still be reached.
    pub(crate) async fn finish<T>(self, result: Result<T, LpaError>) -> Result<T, LpaError> {
        if !matches!(result, Err(LpaError::Card { .. })) {
            self.close().await;
        }
        result
    }

    /// Closes the channel. A card that does not do it changes nothing of what was done.
    async fn close(self) {
        if let Ok(close) = command("", [0x00, ins::MANAGE_CHANNEL, CHANNEL_CLOSE, self.channel], &[], None) {
            let _ = self.io.card(vec![close]).await;
        }
    }

    /// Calls the ES10 function of this name with an encoded request and gives its encoded response.
    pub(crate) async fn call(&self, function: &'static str, request: &[u8]) -> Result<Vec<u8>, LpaError> {
        let commands = self.store_data(function, request)?;
        match self.run(function, commands, None).await? {
            answer if answer.is_empty() => Err(LpaError::CardAnswer { function, problem: "it is empty".into() }),
            answer => Ok(answer),
        }
    }

    /// Calls the ES10 function of this name that has no input.
    pub(crate) async fn get(&self, function: &'static str, tag: Tag) -> Result<Vec<u8>, LpaError> {
        let request = teuicc_rsp::es10::empty_request(tag).map_err(|error| unencodable(function, error))?;
        self.call(function, &request).await
    }

    /// Calls an ES10 function with a request object.
    pub(crate) async fn send<'r>(
        &self,
        function: &'static str,
        request: &impl Object<'r>,
    ) -> Result<Vec<u8>, LpaError> {
        let request = request.encode().map_err(|error| unencodable(function, error))?;
        self.call(function, &request).await
    }

    /// Sends the segments of a bound profile package (section 2.5.5), each a chain of STORE DATA of its own, until all
    /// are sent or the card answers with data, which it gives. Empty if the card never did.
    pub(crate) async fn load(&self, segments: &[&[u8]]) -> Result<Vec<u8>, LpaError> {
        const LOAD: &str = "LoadBoundProfilePackage";
        let mut commands = Vec::new();
        for segment in segments {
            commands.extend(self.store_data(LOAD, segment)?);
        }
        self.run(LOAD, commands, Some(Stage::Installing)).await
    }

    /// The chain of STORE DATA commands for `data` (section 5.7.2).
    fn store_data(&self, function: &'static str, data: &[u8]) -> Result<Vec<Vec<u8>>, LpaError> {
        let count = data.len().div_ceil(BLOCK);
        if count > MAX_BLOCKS {
            let problem = format!("{function}: {} bytes are more than STORE DATA can carry", data.len());
            return Err(LpaError::Parameter(problem));
        }
        let class = Class::byte(Coding::Proprietary, self.channel);
        data.chunks(BLOCK)
            .zip(0..=u8::MAX)
            .map(|(block, number)| {
                let last = usize::from(number) + 1 == count;
                let p1 = if last { LAST_BLOCK } else { MORE_BLOCKS };
                command(function, [class, ins::STORE_DATA, p1, number], block, Some(256))
            })
            .collect()
    }

    /// Runs commands in batches, as few as fit, until the card answers with data or all are done.
    async fn run(
        &self,
        function: &'static str,
        mut commands: Vec<Vec<u8>>,
        stage: Option<Stage>,
    ) -> Result<Vec<u8>, LpaError> {
        let total = commands.len().max(1);
        while !commands.is_empty() {
            let batch = commands[..batch_length(&commands)].to_vec();
            let (executed, response) = transmit(self.io, function, batch).await?;
            commands.drain(..executed);
            if let Some(stage) = stage {
                self.io.progress(Progress { stage, done: total - commands.len(), total }).await;
            }
            if !response.data.is_empty() {
                return Ok(response.data);
            }
        }
        Ok(Vec::new())
    }
}

/// How many commands from the front fit into a batch; at least one.
fn batch_length(commands: &[Vec<u8>]) -> usize {
    let mut room = MAX_BATCH;
    let fitting = commands.iter().take(usize::from(u16::MAX)).take_while(|command| {
        let left = room.checked_sub(command.len() + 2);
        room = left.unwrap_or(0);
        left.is_some()
    });
    fitting.count().max(1)
}

async fn single(io: &Io, function: &'static str, command: Vec<u8>) -> Result<Vec<u8>, LpaError> {
    transmit(io, function, vec![command]).await.map(|(_, response)| response.data)
}

/// Sends one batch. Gives how many commands ran, at least one, and the response to the last of them, whose status word
/// is good.
async fn transmit(io: &Io, function: &'static str, batch: Vec<Vec<u8>>) -> Result<(usize, Response), LpaError> {
    let sent = batch.len();
    let Transmitted { executed, last, .. } =
        io.card(batch).await.map_err(|fault| LpaError::Card { function, fault })?;
    let executed = usize::from(executed);
    let answer = |problem: &str| LpaError::CardAnswer { function, problem: problem.into() };
    if executed == 0 || executed > sent {
        return Err(answer("it is for another number of commands than were sent"));
    }
    let response = Response::parse(&last).ok_or_else(|| answer("it has no status word"))?;
    if !is_good(response.sw) {
        return Err(LpaError::CardStatus { function, status: response.sw });
    }
    if executed < sent && response.data.is_empty() && response.sw == StatusWord::OK {
        return Err(answer("it stopped early without a reason"));
    }
    Ok((executed, response))
}

/// 9000, or 91xx if a proactive command waits to be fetched by the modem (section 5.7.2).
fn is_good(status: StatusWord) -> bool {
    status == StatusWord::OK || status.sw1() == 0x91
}

/// A status word in words (TS 102 221 section 10.2.1).
pub(crate) fn status_in_words(status: StatusWord) -> &'static str {
    match status.0 {
        0x6581 => "memory problem",
        0x6700 => "wrong length",
        0x6881 => "logical channel not supported",
        0x6882 => "secure messaging not supported",
        0x6982 => "security status not satisfied",
        0x6985 => "conditions of use not satisfied",
        0x6A80 => "incorrect parameters in the data field",
        0x6A81 => "function not supported",
        0x6A82 => "file or application not found",
        0x6A84 => "not enough memory",
        0x6A86 => "incorrect P1 or P2",
        0x6A88 => "referenced data not found",
        0x6D00 => "instruction not supported",
        0x6E00 => "class not supported",
        0x6F00 => "technical problem in the card",
        0x9300 => "the card is busy",
        _ => "not a word of success",
    }
}

/// Reads the response of an ES10 function.
pub(crate) fn read<'a, T: Object<'a>>(function: &'static str, answer: &'a [u8]) -> Result<T, LpaError> {
    T::parse(answer).map_err(|error| LpaError::CardAnswer { function, problem: error.to_string() })
}

/// What an ES10 function answered that gives either a result under `A0` or an error under `A1`.
pub(crate) enum Outcome<'a> {
    /// There is a result. The LPA passes it on as it is, and what is in it concerns the server.
    Result,
    /// There is an error object.
    Error(Tlv<'a>),
}

/// Reads which of the two the answer under `tag` is.
pub(crate) fn outcome<'a>(function: &'static str, tag: Tag, answer: &'a [u8]) -> Result<Outcome<'a>, LpaError> {
    let member = Tlv::parse(answer, tag).and_then(|answer| answer.members().read());
    match member {
        Ok(member) if member.tag == Tag(0xA0) => Ok(Outcome::Result),
        Ok(member) if member.tag == Tag(0xA1) || member.tag == Tag(0x81) => Ok(Outcome::Error(member)),
        Ok(member) => {
            let problem = format!("{} is neither a result nor an error", member.tag);
            Err(LpaError::CardAnswer { function, problem })
        }
        Err(error) => Err(LpaError::CardAnswer { function, problem: error.to_string() }),
    }
}

/// Reads an error object of an ES10 function.
pub(crate) fn read_error<'a, T: Object<'a>>(function: &'static str, error: &Tlv<'a>) -> Result<T, LpaError> {
    T::from_tlv(error).map_err(|error| LpaError::CardAnswer { function, problem: error.to_string() })
}

/// The error for a result of an ES10 function.
pub(crate) fn refused(function: &'static str, code: u32, words: &impl ToString) -> LpaError {
    LpaError::CardRefused { function, code, words: words.to_string() }
}

/// The error for a request that cannot be written: a value of the caller that its type does not allow.
pub(crate) fn unencodable(function: &'static str, error: TlvError) -> LpaError {
    LpaError::Parameter(format!("{function}: {error}"))
}

fn command(function: &'static str, header: [u8; 4], data: &[u8], le: Option<u16>) -> Result<Vec<u8>, LpaError> {
    encode_command(header, data, le).map_err(|error| LpaError::Parameter(format!("{function}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_stays_below_the_message_limit() {
        let commands: Vec<Vec<u8>> = vec![vec![0; 261]; 1000];
        let count = batch_length(&commands);
        let encoded = teuicc_wire::encode_commands(&commands[..count]).unwrap();
        let request = teuicc_wire::Request::Transmit {
            interface: teuicc_wire::Interface::Lpa,
            commands: teuicc_wire::Commands::new(&encoded).unwrap(),
        };
        let length = request.encode().unwrap().len();
        assert!(length < teuicc_wire::MAX_MESSAGE, "{length}");
        assert!(length > teuicc_wire::MAX_MESSAGE - 400, "{length}");
        assert_eq!(batch_length(&[vec![0; 2 * MAX_BATCH]]), 1);
    }
}
