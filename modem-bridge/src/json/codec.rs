//! Lines of JSON: one object a line, requests in, responses and events out.
//!
//! ```text
//! {"op":"power_up"}  {"op":"reset"}        {"ok":true,"atr":"3b00"}
//! {"op":"power_down"}                      {"ok":true}
//! {"op":"tpdu","data":"00a40004023f00"}    {"ok":true,"data":"6115"}       data and status word
//! {"op":"status"}                          {"ok":true,"present":true,"powered":true,"backend":"teuicc","reader":"slot","atr":"3b00"}
//!                                          {"ok":false,"error":"no_card","detail":"for humans, may be missing"}
//! events, only between requests:           {"event":"removed"}  {"event":"inserted"}
//! ```

use crate::inbox::Inbox;
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

/// The longest line: a TPDU in hexadecimal, with room.
pub(crate) const MAX_LINE: usize = 4096;

/// More than any line that is sent has: a vector that grows leaves its old bytes behind.
const LINE_CAPACITY: usize = 1024;
/// What a client that is turned away is told.
pub(crate) const IN_USE: &str = "another client has the card";

/// What a client asks.
#[derive(PartialEq, Eq)]
pub(crate) enum Request {
    PowerUp,
    Reset,
    PowerDown,
    Tpdu(Vec<u8>),
    Status,
}

/// A request as it is written. Members that are not known are passed over.
#[derive(Deserialize)]
struct Written {
    op: String,
    data: Option<String>,
}

impl Request {
    /// Errors: the line is no request.
    pub(crate) fn parse(line: &[u8]) -> Result<Request, Error> {
        let written: Written = serde_json::from_slice(line).map_err(|_| Error::BadRequest)?;
        match (written.op.as_str(), written.data) {
            ("power_up", _) => Ok(Request::PowerUp),
            ("reset", _) => Ok(Request::Reset),
            ("power_down", _) => Ok(Request::PowerDown),
            ("status", _) => Ok(Request::Status),
            ("tpdu", Some(data)) => {
                hex::decode(Zeroizing::new(data).as_bytes()).map(Request::Tpdu).map_err(|_| Error::BadRequest)
            }
            _ => Err(Error::BadRequest),
        }
    }
}

/// Why a request was not done, by the names of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Error {
    /// There is no card.
    NoCard,
    /// The card did not answer in time.
    Timeout,
    /// The card could not answer.
    Io,
    /// The line is no request.
    BadRequest,
    /// The card has no power.
    NotPowered,
    /// A request before the last one was answered.
    Protocol,
}

/// What is sent to the client, each as one line.
#[derive(PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Line {
    Done { ok: bool },
    Atr { ok: bool, atr: String },
    Data { ok: bool, data: Answer },
    Status { ok: bool, present: bool, powered: bool, backend: &'static str, reader: &'static str, atr: Option<String> },
    Failed { ok: bool, error: Error },
    Refused { ok: bool, error: Error, detail: &'static str },
    Event { event: &'static str },
}

impl Line {
    pub(crate) fn done() -> Line {
        Line::Done { ok: true }
    }

    pub(crate) fn atr(atr: &[u8]) -> Line {
        Line::Atr { ok: true, atr: hex::encode(atr) }
    }

    /// Data, SW1 and SW2.
    pub(crate) fn data(data: Vec<u8>) -> Line {
        Line::Data { ok: true, data: Answer(Zeroizing::new(data)) }
    }

    pub(crate) fn status(present: bool, powered: bool, atr: Option<&[u8]>) -> Line {
        Line::Status { ok: true, present, powered, backend: "teuicc", reader: "slot", atr: atr.map(hex::encode) }
    }

    pub(crate) fn failed(error: Error) -> Line {
        Line::Failed { ok: false, error }
    }

    /// To a client that cannot have the card, because another one has it.
    pub(crate) fn in_use() -> Line {
        Line::Refused { ok: false, error: Error::NoCard, detail: IN_USE }
    }

    pub(crate) fn removed() -> Line {
        Line::Event { event: "removed" }
    }

    pub(crate) fn inserted() -> Line {
        Line::Event { event: "inserted" }
    }

    /// The line with its end.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut line = Zeroizing::new(Vec::with_capacity(LINE_CAPACITY));
        // Nothing here can fail to be written: no maps, no numbers that JSON does not have.
        let _ = serde_json::to_writer(&mut *line, self);
        line.push(b'\n');
        line
    }
}

/// What the card answered, in hexadecimal on the line.
#[derive(PartialEq, Eq)]
pub(crate) struct Answer(Zeroizing<Vec<u8>>);

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(hex::encode(&*self.0)))
    }
}

/// A line that is longer than any request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line longer than {MAX_LINE} bytes")]
pub(crate) struct TooLong;

/// Puts lines together from bytes as they arrive.
#[derive(Default)]
pub(crate) struct Lines(Inbox);

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    /// The next whole line, without its end; lines with nothing on them are passed over.
    pub(crate) fn next_line(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, TooLong> {
        loop {
            let Some(end) = self.0.iter().position(|byte| *byte == b'\n') else {
                return if self.0.len() > MAX_LINE { Err(TooLong) } else { Ok(None) };
            };
            if end > MAX_LINE {
                return Err(TooLong);
            }
            let mut line = self.0.take(end + 1);
            line.truncate(end);
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    #[test]
    fn lines_as_the_protocol_has_them() {
        assert!(Request::parse(br#"{"op":"power_up"}"#) == Ok(Request::PowerUp));
        let tpdu = Request::parse(br#"{"op":"tpdu","data":"00A40004023f00"}"#);
        assert!(tpdu == Ok(Request::Tpdu(hex!("00A40004023F00").to_vec())));
        let text = |line: Line| String::from_utf8(line.encode().to_vec()).unwrap();
        assert_eq!(text(Line::atr(&hex!("3B00"))), "{\"ok\":true,\"atr\":\"3b00\"}\n");
        assert_eq!(text(Line::done()), "{\"ok\":true}\n");
        assert_eq!(text(Line::data(hex!("6115").to_vec())), "{\"ok\":true,\"data\":\"6115\"}\n");
        assert_eq!(text(Line::failed(Error::NotPowered)), "{\"ok\":false,\"error\":\"not_powered\"}\n");
        assert_eq!(text(Line::failed(Error::Io)), "{\"ok\":false,\"error\":\"io\"}\n");
        let in_use = "{\"ok\":false,\"error\":\"no_card\",\"detail\":\"another client has the card\"}\n";
        assert_eq!(text(Line::in_use()), in_use);
        assert!(Line::data(vec![0; 258]).encode().len() <= LINE_CAPACITY);
        assert_eq!(text(Line::removed()), "{\"event\":\"removed\"}\n");
        let status = "{\"ok\":true,\"present\":true,\"powered\":false,\"backend\":\"teuicc\",\"reader\":\"slot\",\"atr\":null}\n";
        assert_eq!(text(Line::status(true, false, None)), status);
    }

    #[test]
    fn what_is_no_request_is_told() {
        for line in [
            &b""[..],
            b"[]",
            b"{}",
            b"\xFF",
            br#"{"op":"explode"}"#,
            br#"{"op":"tpdu"}"#,
            br#"{"op":"tpdu","data":"0"}"#,
            br#"{"op":"tpdu","data":7}"#,
        ] {
            assert!(Request::parse(line) == Err(Error::BadRequest), "{line:?}");
        }
    }

    #[test]
    fn lines_are_cut_and_bounded() {
        let mut lines = Lines::default();
        lines.push(b"a\n\r\n  \nb\r\nc");
        assert_eq!(lines.next_line(), Ok(Some(b"a".to_vec().into())));
        assert_eq!(lines.next_line(), Ok(Some(b"b\r".to_vec().into())));
        assert_eq!(lines.next_line(), Ok(None));
        lines.push(&[b'c'; MAX_LINE]);
        assert_eq!(lines.next_line(), Err(TooLong));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut lines = Lines::default();
            lines.push(&bytes);
            while let Ok(Some(line)) = lines.next_line() {
                let _ = Request::parse(&line);
            }
        }
    }
}
