//! Requests that the modem has not answered yet. Sans-IO.

use super::message::{Malformed, Message, Outcome};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a modem may take to answer a request.
const ANSWER: Duration = Duration::from_secs(10);
/// How many requests may be unanswered at once. Two are usual: an answer to a command, and an event.
const MAX_OPEN: usize = 32;

/// What was asked, under which number, and until when the answer counts.
struct Open<T> {
    transaction: u16,
    what: T,
    deadline: Instant,
}

/// The requests of one client, in the order in which they were sent.
pub(crate) struct Requests<T> {
    open: VecDeque<Open<T>>,
    last: u16,
}

/// The modem does not answer requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not answer requests")]
pub(crate) struct Stalled;

impl<T> Requests<T> {
    pub(crate) fn new() -> Self {
        Requests { open: VecDeque::new(), last: 0 }
    }

    /// A number for a request that is sent now. Errors: too many are unanswered.
    pub(crate) fn open(&mut self, now: Instant, what: T) -> Result<u16, Stalled> {
        if self.open.len() == MAX_OPEN {
            return Err(Stalled);
        }
        // 0 is the number of indications.
        self.last = self.last.checked_add(1).unwrap_or(1);
        self.open.push_back(Open { transaction: self.last, what, deadline: now + ANSWER });
        Ok(self.last)
    }

    /// What `response` answers, and how that went; `None` if it answers nothing that is waited for.
    pub(crate) fn close(&mut self, response: &Message) -> Result<Option<(T, Outcome)>, Malformed> {
        let Some(place) = self.open.iter().position(|open| open.transaction == response.transaction) else {
            return Ok(None);
        };
        let result = response.fields.result()?;
        Ok(self.open.remove(place).map(|open| (open.what, result)))
    }

    /// Whether everything was answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// When the oldest request counts as unanswered.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.open.front().map(|open| open.deadline)
    }

    /// Errors: a request was not answered in time.
    pub(crate) fn check(&self, now: Instant) -> Result<(), Stalled> {
        if self.deadline().is_some_and(|deadline| deadline <= now) { Err(Stalled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn response(transaction: u8) -> Message {
        let mut bytes = hex!("02 0000 2100 0700 02 0400 00000000");
        bytes[1] = transaction;
        Message::parse(&bytes).unwrap()
    }

    #[test]
    fn responses_find_their_requests_in_any_order_and_once() {
        let now = Instant::now();
        let mut requests = Requests::new();
        assert_eq!(requests.open(now, 'a'), Ok(1));
        assert_eq!(requests.open(now, 'b'), Ok(2));
        assert_eq!(requests.close(&response(2)), Ok(Some(('b', Ok(())))));
        assert_eq!(requests.close(&response(2)), Ok(None));
        assert_eq!(requests.close(&response(9)), Ok(None));
        assert_eq!(requests.close(&response(1)), Ok(Some(('a', Ok(())))));
        assert!(requests.is_empty());
    }

    #[test]
    fn a_modem_that_does_not_answer_is_noticed() {
        let now = Instant::now();
        let mut requests = Requests::new();
        assert_eq!(requests.check(now + ANSWER), Ok(()));
        requests.open(now, ()).unwrap();
        assert_eq!(requests.check(now), Ok(()));
        assert_eq!(requests.check(now + ANSWER), Err(Stalled));
        for _ in 1..MAX_OPEN {
            requests.open(now, ()).unwrap();
        }
        assert_eq!(requests.open(now, ()), Err(Stalled));
    }

    #[test]
    fn numbers_go_round_without_0() {
        let now = Instant::now();
        let mut requests = Requests::new();
        requests.last = u16::MAX;
        assert_eq!(requests.open(now, ()), Ok(1));
    }
}
