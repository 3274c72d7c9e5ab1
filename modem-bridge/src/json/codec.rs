//! Lines of JSON: one object a line, requests in, responses and events out.
//!
//! ```text
//! {"op":"power_up"}  {"op":"reset"}        {"ok":true,"atr":"3b00"}
//! {"op":"power_down"}                      {"ok":true}
//! {"op":"tpdu","data":"00a40004023f00"}    {"ok":true,"data":"6115"}       data and status word
//! {"op":"status"}                          {"ok":true,"present":true,"powered":true,"backend":"teuicc","reader":"slot","atr":"3b00"}
//!                                          {"ok":false,"error":"no_card"}
//! events, only between requests:           {"event":"removed"}  {"event":"inserted"}
//! ```

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The longest line: a TPDU in hexadecimal, with room.
pub(crate) const MAX_LINE: usize = 4096;

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
            ("tpdu", Some(data)) => hex::decode(data).map(Request::Tpdu).map_err(|_| Error::BadRequest),
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
    /// The card did not answer in time, or could not.
    Timeout,
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
    Data { ok: bool, data: String },
    Status { ok: bool, present: bool, powered: bool, backend: &'static str, reader: &'static str, atr: Option<String> },
    Failed { ok: bool, error: Error },
    Event { event: &'static str },
}

impl Line {
    pub(crate) fn done() -> Line {
        Line::Done { ok: true }
    }

    pub(crate) fn atr(atr: &[u8]) -> Line {
        Line::Atr { ok: true, atr: hex::encode(atr) }
    }

    pub(crate) fn data(data: &[u8]) -> Line {
        Line::Data { ok: true, data: hex::encode(data) }
    }

    pub(crate) fn status(present: bool, powered: bool, atr: Option<&[u8]>) -> Line {
        Line::Status { ok: true, present, powered, backend: "teuicc", reader: "slot", atr: atr.map(hex::encode) }
    }

    pub(crate) fn failed(error: Error) -> Line {
        Line::Failed { ok: false, error }
    }

    pub(crate) fn removed() -> Line {
        Line::Event { event: "removed" }
    }

    pub(crate) fn inserted() -> Line {
        Line::Event { event: "inserted" }
    }

    /// The line with its end.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Nothing here can fail to be written: no maps, no numbers that JSON does not have.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// A line that is longer than any request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line longer than {MAX_LINE} bytes")]
pub(crate) struct TooLong;

/// Puts lines together from bytes as they arrive.
#[derive(Default)]
pub(crate) struct Lines(VecDeque<u8>);

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// Whether there is enough to be read first.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() > MAX_LINE
    }

    /// The next whole line, without its end; lines with nothing on them are passed over.
    pub(crate) fn next_line(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        loop {
            let Some(end) = self.0.iter().position(|byte| *byte == b'\n') else {
                return if self.0.len() > MAX_LINE { Err(TooLong) } else { Ok(None) };
            };
            if end > MAX_LINE {
                return Err(TooLong);
            }
            let line: Vec<u8> = self.0.drain(..=end).take(end).collect();
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
        let text = |line: Line| String::from_utf8(line.encode()).unwrap();
        assert_eq!(text(Line::atr(&hex!("3B00"))), "{\"ok\":true,\"atr\":\"3b00\"}\n");
        assert_eq!(text(Line::done()), "{\"ok\":true}\n");
        assert_eq!(text(Line::data(&hex!("6115"))), "{\"ok\":true,\"data\":\"6115\"}\n");
        assert_eq!(text(Line::failed(Error::NotPowered)), "{\"ok\":false,\"error\":\"not_powered\"}\n");
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
        assert_eq!(lines.next_line(), Ok(Some(b"a".to_vec())));
        assert_eq!(lines.next_line(), Ok(Some(b"b\r".to_vec())));
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
