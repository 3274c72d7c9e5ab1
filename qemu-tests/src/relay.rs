//! The TA of the guest as an [`Exchange`] of this process: `teuicc-guest relay` in the guest carries requests and
//! responses between a TCP connection and the TA, and does nothing else.

use crate::machine::{HOST, Machine};
use anyhow::{Context, bail};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use teuicc_slot::{Exchange, LinkError};
use teuicc_wire::MAX_MESSAGE;

/// How long the guest's half may take to open the session and connect.
const START: Duration = Duration::from_secs(40);
/// How long the TA may take for one request.
const ANSWER: Duration = Duration::from_secs(60);

/// The user that the TA takes requests from (guest/passwd).
pub const CLIENT: &str = "teuicc";

/// A connection to the TA of a guest.
#[derive(Debug)]
pub struct Relay {
    stream: TcpStream,
    crossings: Crossings,
}

/// How many requests crossed into the secure world.
#[derive(Clone, Debug, Default)]
pub struct Crossings(Arc<AtomicU64>);

impl Crossings {
    /// How many since the last call.
    #[must_use]
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Relay {
    /// Starts the guest's half and waits for it. Errors: it is not there within 40 s, or ended; says why.
    pub fn start(machine: &mut Machine) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let begin = format!(
            "rm -f /tmp/relay.code; ( su {CLIENT} -s /bin/sh -c 'teuicc-guest relay {HOST}:{port}'; echo $? >/tmp/relay.code ) >/tmp/relay.log 2>&1 </dev/null &"
        );
        machine.run(&begin)?.success()?;
        let mut attempts = 1;
        let deadline = Instant::now() + START;
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            let code = machine.run("cat /tmp/relay.code 2>/dev/null")?.stdout;
            if code.trim_ascii() == b"0" && attempts < 3 {
                // It reached the TA, and QEMU's network closed its connection, which is all that it ends well for.
                attempts += 1;
                machine.run(&begin)?.success()?;
                continue;
            }
            if !code.is_empty() || Instant::now() > deadline {
                let why = machine.run("echo \"exit code $(cat /tmp/relay.code)\"; cat /tmp/relay.log")?.text();
                bail!("the guest's relay did not start: {why}");
            }
            thread::sleep(Duration::from_millis(50));
        };
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        Ok(Relay { stream, crossings: Crossings::default() })
    }

    /// The counter of its crossings.
    #[must_use]
    pub fn crossings(&self) -> Crossings {
        self.crossings.clone()
    }

    fn carry(&mut self, request: &[u8]) -> anyhow::Result<(u8, Vec<u8>)> {
        let mut frame = u32::try_from(request.len())?.to_be_bytes().to_vec();
        frame.extend_from_slice(request);
        self.stream.write_all(&frame).context("the guest is gone")?;
        let mut header = [0; 5];
        self.stream.read_exact(&mut header).context("the guest is gone")?;
        let [kind, length @ ..] = header;
        let length = usize::try_from(u32::from_be_bytes(length))?;
        if length > MAX_MESSAGE {
            bail!("the relay answers with {length} bytes");
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).context("the guest is gone")?;
        Ok((kind, answer))
    }
}

impl Exchange for Relay {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        self.crossings.0.fetch_add(1, Ordering::Relaxed);
        match self.carry(request) {
            Ok((0, answer)) => Ok(answer),
            Ok((_, text)) => Err(LinkError::transport(String::from_utf8_lossy(&text))),
            Err(error) => Err(LinkError::transport(format!("{error:#}"))),
        }
    }
}
