//! A card that does what the test says.
#![allow(dead_code, reason = "each test file uses its part")]

use hex_literal::hex;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use teuicc_slot::{Exchange, LinkError};
use teuicc_wire::{Request, Response, Transmitted};

pub(crate) const ATR: [u8; 2] = hex!("3B00");
pub(crate) const SELECT_MF: [u8; 7] = hex!("00A40004023F00");
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Answers every command with 2 bytes and 9000, or from the script; notes every request.
#[derive(Clone, Default)]
pub(crate) struct FakeCard(pub(crate) Arc<Mutex<Fake>>);

#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) requests: Vec<String>,
    pub(crate) script: VecDeque<Result<Transmitted, LinkError>>,
    pub(crate) absent: bool,
    /// Requests that begin so are kept waiting, and all after them.
    pub(crate) held: Option<&'static str>,
    /// How long a command takes.
    pub(crate) slow: Duration,
    /// How long a power-up takes.
    pub(crate) slow_reset: Duration,
    /// Commands that arrived, the slow one among them.
    pub(crate) begun: usize,
    /// Power-ups that arrived, the slow one among them.
    pub(crate) resets_begun: usize,
}

impl FakeCard {
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut Fake) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    pub(crate) fn await_request(&self, request: &str) {
        self.await_that(request, |fake| fake.requests.iter().any(|seen| seen == request));
    }

    pub(crate) fn await_that(&self, what: &str, is_so: impl Fn(&Fake) -> bool) {
        let start = Instant::now();
        while !self.with(|fake| is_so(fake)) {
            assert!(start.elapsed() < SOON, "no {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Exchange for FakeCard {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        let request = Request::decode(request).unwrap();
        std::thread::sleep(self.with(|fake| match request {
            Request::Transmit { .. } => {
                fake.begun += 1;
                fake.slow
            }
            Request::PowerUp(_) => {
                fake.resets_begun += 1;
                fake.slow_reset
            }
            _ => Duration::ZERO,
        }));
        let name = format!("{request:?}");
        let start = Instant::now();
        // Not for ever, or a test that fails would hang.
        while start.elapsed() < 2 * SOON && self.with(|fake| fake.held.is_some_and(|held| name.starts_with(held))) {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.with(|fake| {
            if fake.absent {
                return Err(LinkError::transport("no card"));
            }
            fake.requests.push(name);
            let response = match request {
                Request::PowerUp(_) => Response::Atr(ATR.to_vec()),
                Request::Transmit { .. } => Response::Transmitted(match fake.script.pop_front() {
                    Some(answer) => answer?,
                    None => answer(&[0xAA, 0xBB, 0x90, 0x00], false),
                }),
                _ => Response::Done,
            };
            Ok(response.encode().unwrap())
        })
    }
}

pub(crate) fn answer(last: &[u8], card_changed: bool) -> Transmitted {
    Transmitted { executed: 1, last: last.to_vec(), proactive_pending: false, card_changed }
}
