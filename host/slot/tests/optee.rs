//! The way to a trusted application, over one that fails as told: what is lost is opened again, and told once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use teuicc_slot::optee::{Optee, Tee, TeeError, TeeSession};
use teuicc_slot::{CardLink, Event, Interface, LinkError, Slot, SlotConfig, Wire};
use teuicc_wire::{Error, Features, Hello, MAX_MESSAGE, Request, Response, State};

#[derive(Default)]
struct Script {
    /// Sessions that were opened.
    opened: u32,
    /// Sessions that are open.
    open: u32,
    /// What happens instead, in this order.
    open_failures: VecDeque<TeeError>,
    failures: VecDeque<Result<Response, TeeError>>,
    claimed_length: Option<usize>,
}

#[derive(Clone, Default)]
struct FakeTee(Arc<Mutex<Script>>);

struct FakeSession(FakeTee);

impl Tee for FakeTee {
    type Session = FakeSession;

    fn open(&mut self) -> Result<FakeSession, TeeError> {
        let mut script = self.0.lock().unwrap();
        if let Some(error) = script.open_failures.pop_front() {
            return Err(error);
        }
        script.opened += 1;
        script.open += 1;
        Ok(FakeSession(self.clone()))
    }
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().open -= 1;
    }
}

impl TeeSession for FakeSession {
    fn invoke(&mut self, request: &[u8], response: &mut [u8]) -> Result<usize, TeeError> {
        assert_eq!(response.len(), MAX_MESSAGE, "the trusted application insists on room for the longest response");
        let mut script = self.0.0.lock().unwrap();
        if let Some(length) = script.claimed_length.take() {
            return Ok(length);
        }
        let answer = match script.failures.pop_front() {
            Some(failure) => failure?,
            None => match Request::decode(request).unwrap() {
                Request::Hello => Response::Hello(Hello {
                    state: State::Factory,
                    features: Features::default(),
                    profile_damaged: false,
                }),
                Request::PowerUp(_) => Response::Atr(vec![0x3B, 0x00]),
                _ => Response::Done,
            },
        };
        let answer = answer.encode().unwrap();
        response[..answer.len()].copy_from_slice(&answer);
        Ok(answer.len())
    }
}

fn dead() -> TeeError {
    TeeError::Dead("error 0xffff3024".into())
}

fn link(tee: &FakeTee) -> Wire<Optee<FakeTee>> {
    Wire::new(Optee::open(tee.clone()).unwrap())
}

fn sessions(tee: &FakeTee) -> (u32, u32) {
    let script = tee.0.lock().unwrap();
    (script.opened, script.open)
}

#[test]
fn one_session_serves_all_requests() {
    let tee = FakeTee::default();
    let mut link = link(&tee);
    link.hello().unwrap();
    link.power_up(Interface::Lpa).unwrap();
    assert_eq!(sessions(&tee), (1, 1));
    drop(link);
    assert_eq!(sessions(&tee), (1, 0));
}

#[test]
fn a_tee_that_cannot_be_reached_is_said_at_once() {
    let tee = FakeTee::default();
    tee.0.lock().unwrap().open_failures.push_back(TeeError::NoTee("error".into()));
    assert!(matches!(Optee::open(tee).unwrap_err(), TeeError::NoTee(_)));
}

#[test]
fn a_dead_trusted_application_is_told_once_and_opened_again() {
    let tee = FakeTee::default();
    let mut link = link(&tee);
    tee.0.lock().unwrap().failures.push_back(Err(dead()));
    let error = link.hello().unwrap_err();
    assert!(matches!(&error, LinkError::Transport(text) if text.contains("0xffff3024")), "{error}");
    assert!(error.is_lost());
    assert_eq!(sessions(&tee), (1, 0), "the dead session is closed");
    link.hello().unwrap();
    assert_eq!(sessions(&tee), (2, 1));
}

#[test]
fn opening_again_is_tried_with_every_request() {
    let tee = FakeTee::default();
    let mut link = link(&tee);
    {
        let mut script = tee.0.lock().unwrap();
        script.failures.push_back(Err(dead()));
        script.open_failures.push_back(TeeError::NotLoaded("no supplicant".into()));
        script.open_failures.push_back(TeeError::NotLoaded("no supplicant".into()));
    }
    for _ in 0..3 {
        assert!(link.hello().unwrap_err().is_lost());
    }
    link.hello().unwrap();
    assert_eq!(sessions(&tee), (2, 1));
}

#[test]
fn a_card_that_could_not_boot_for_want_of_storage_boots_again() {
    let tee = FakeTee::default();
    let mut link = link(&tee);
    tee.0.lock().unwrap().failures.push_back(Ok(Response::Error(Error::StoreUnavailable)));
    assert_eq!(link.hello(), Err(LinkError::Card(Error::StoreUnavailable)));
    assert_eq!(sessions(&tee), (1, 0));
    link.hello().unwrap();
    assert_eq!(sessions(&tee), (2, 1));
}

#[test]
fn a_card_whose_state_is_damaged_is_left_alone() {
    let tee = FakeTee::default();
    let mut link = link(&tee);
    tee.0.lock().unwrap().failures.push_back(Ok(Response::Error(Error::StoreCorrupt)));
    assert_eq!(link.hello(), Err(LinkError::Card(Error::StoreCorrupt)));
    assert_eq!(sessions(&tee), (1, 1));
}

#[test]
fn a_length_beyond_the_buffer_is_no_answer() {
    let tee = FakeTee::default();
    let mut link = link(&tee);
    tee.0.lock().unwrap().claimed_length = Some(MAX_MESSAGE + 1);
    assert!(matches!(link.hello(), Err(LinkError::Protocol(_))));
    link.hello().unwrap();
}

#[tokio::test]
async fn the_slot_sees_the_card_leave_and_come_back() {
    let tee = FakeTee::default();
    let slot = Slot::start(link(&tee), SlotConfig::default()).unwrap();
    let mut events = slot.subscribe();
    slot.power_up(Interface::Modem).await.unwrap();
    assert_eq!(events.recv().await.unwrap(), Event::Inserted);
    tee.0.lock().unwrap().failures.push_back(Err(dead()));
    assert!(slot.hello().await.unwrap_err().is_lost());
    assert_eq!(events.recv().await.unwrap(), Event::Removed);
    slot.power_up(Interface::Modem).await.unwrap();
    assert_eq!(events.recv().await.unwrap(), Event::Inserted);
}
