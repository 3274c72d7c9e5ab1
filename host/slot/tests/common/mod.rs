//! A card that answers what a test tells it to.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use teuicc_slot::{Exchange, LinkError};
use teuicc_wire::{Features, Hello, Request, Response, State, Transmitted};

pub(crate) const EID: [u8; 16] = [0x89; 16];
pub(crate) const ATR: [u8; 2] = [0x3B, 0x00];

/// A card behind the wire: notes every request, answers transmits from a script (by default 9000).
#[derive(Clone, Default)]
pub(crate) struct FakeCard(pub(crate) Arc<Mutex<Script>>);

#[derive(Default)]
pub(crate) struct Script {
    pub(crate) requests: Vec<String>,
    pub(crate) commands: Vec<Vec<u8>>,
    pub(crate) script: VecDeque<Result<Transmitted, LinkError>>,
    pub(crate) lost: bool,
    /// What happens during the next transmit.
    pub(crate) during: Option<Box<dyn FnOnce() + Send>>,
}

impl FakeCard {
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().requests)
    }

    pub(crate) fn script(&self, answer: Transmitted) {
        self.0.lock().unwrap().script.push_back(Ok(answer));
    }
}

pub(crate) fn transmitted(card_changed: bool, proactive_pending: bool) -> Transmitted {
    Transmitted { executed: 1, last: vec![0x90, 0x00], proactive_pending, card_changed }
}

impl Exchange for FakeCard {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        let during = self.0.lock().unwrap().during.take();
        if let Some(during) = during {
            during();
        }
        let mut state = self.0.lock().unwrap();
        if state.lost {
            return Err(LinkError::transport("gone"));
        }
        let request = Request::decode(request).unwrap();
        state.requests.push(format!("{request:?}"));
        let response = match request {
            Request::Hello => Response::Hello(Hello {
                state: State::Personalized(EID),
                features: Features::default(),
                profile_damaged: false,
            }),
            Request::PowerUp(_) => Response::Atr(ATR.to_vec()),
            Request::PowerDown(_) | Request::Personalize(_) => Response::Done,
            Request::FactoryRequest(_) => Response::CertificateRequest(vec![0x30, 0x00]),
            Request::Transmit { commands, .. } => {
                let commands: Vec<Vec<u8>> = commands.map(<[u8]>::to_vec).collect();
                let executed = commands.len() as u16;
                state.commands.extend(commands);
                match state.script.pop_front() {
                    Some(answer) => Response::Transmitted(answer?),
                    None => Response::Transmitted(Transmitted { executed, ..transmitted(false, false) }),
                }
            }
        };
        Ok(response.encode().unwrap())
    }
}
