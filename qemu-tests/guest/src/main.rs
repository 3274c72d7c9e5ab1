//! `teuicc-guest relay HOST:PORT`: carries requests from a TCP connection to the TA, and responses back.
//!
//! ```text
//! request  = length u32, bytes
//! response = kind u8 (0 a response, 1 the text of a transport error), length u32, bytes
//! ```

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use teuicc_slot::Exchange;
use teuicc_slot::optee::{Client, Optee};
use teuicc_wire::MAX_MESSAGE;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let result = match arguments.get(1..) {
        Some([command, address]) if command == "relay" => relay(address),
        _ => Err("usage: teuicc-guest relay HOST:PORT".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn relay(address: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut tee = Optee::open(Client::default())?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    loop {
        let mut length = [0; 4];
        match stream.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let length = usize::try_from(u32::from_be_bytes(length))?;
        if length > MAX_MESSAGE {
            return Err("a request that is too long".into());
        }
        let mut request = vec![0; length];
        stream.read_exact(&mut request)?;
        let (kind, answer) = match tee.exchange(&request) {
            Ok(answer) => (0, answer),
            Err(error) => (1, error.to_string().into_bytes()),
        };
        let mut frame = vec![kind];
        frame.extend_from_slice(&u32::try_from(answer.len())?.to_be_bytes());
        frame.extend_from_slice(&answer);
        stream.write_all(&frame)?;
    }
}
