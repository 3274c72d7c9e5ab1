//! The client's side of JSON lines.

use super::{ModemSide, Transport};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long the card may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A client over TCP.
pub struct JsonClient {
    lines: BufReader<TcpStream>,
    /// Events that came while something else was waited for.
    events: VecDeque<String>,
}

impl JsonClient {
    /// Errors: the system's.
    pub fn new(stream: TcpStream) -> io::Result<JsonClient> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(JsonClient { lines: BufReader::new(stream), events: VecDeque::new() })
    }

    /// Takes the power from the card.
    pub fn power_down(&mut self) -> io::Result<()> {
        self.ask(&json!({ "op": "power_down" })).map(drop)
    }

    fn ask(&mut self, request: &Value) -> io::Result<Value> {
        self.lines.get_mut().write_all(format!("{request}\n").as_bytes())?;
        loop {
            let line = self.receive()?;
            match line.get("event").and_then(Value::as_str) {
                Some(event) => self.events.push_back(event.to_owned()),
                None if line.get("ok") == Some(&Value::Bool(true)) => return Ok(line),
                None => return Err(io::Error::other(format!("refused: {:?}", line.get("error")))),
            }
        }
    }

    fn receive(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_str(&line).map_err(io::Error::other)
    }

    fn await_event(&mut self, wanted: &str, within: Duration) -> io::Result<()> {
        let got = match self.events.pop_front() {
            Some(got) => got,
            None => {
                self.lines.get_mut().set_read_timeout(Some(within))?;
                let line = self.receive();
                self.lines.get_mut().set_read_timeout(Some(ANSWER_TIMEOUT))?;
                line?.get("event").and_then(Value::as_str).unwrap_or("no event").to_owned()
            }
        };
        if got == wanted { Ok(()) } else { Err(io::Error::other(format!("{got}, not {wanted}"))) }
    }
}

fn bytes(line: &Value, name: &str) -> io::Result<Vec<u8>> {
    let text = line.get(name).and_then(Value::as_str).ok_or(ErrorKind::InvalidData)?;
    hex::decode(text).map_err(io::Error::other)
}

impl Transport for JsonClient {
    fn cold_reset(&mut self) -> io::Result<Vec<u8>> {
        self.power_down()?;
        bytes(&self.ask(&json!({ "op": "power_up" }))?, "atr")
    }

    fn warm_reset(&mut self) -> io::Result<Vec<u8>> {
        bytes(&self.ask(&json!({ "op": "reset" }))?, "atr")
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> io::Result<Vec<u8>> {
        bytes(&self.ask(&json!({ "op": "tpdu", "data": hex::encode(tpdu) }))?, "data")
    }
}

impl ModemSide for JsonClient {
    fn await_removal(&mut self, within: Duration) -> io::Result<()> {
        self.await_event("removed", within)
    }

    fn await_card(&mut self, within: Duration) -> io::Result<()> {
        self.await_event("inserted", within)
    }
}
