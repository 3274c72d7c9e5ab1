//! RSP sessions, in memory: a bounded number, each for a bounded time.

use crate::dp::{Client, Initiated, Offer};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many sessions there may be at a time; the oldest gives way to a new one.
pub(crate) const MAX_SESSIONS: usize = 1024;
/// How long a session lives without progress: a user may think about the offer that long.
pub(crate) const SESSION_TIME: Duration = Duration::from_secs(15 * 60);

/// A session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) initiated: Initiated,
    pub(crate) stage: Stage,
}

/// How far a session has come.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)]
pub(crate) enum Stage {
    /// The server is authenticated to the eUICC.
    Initiated,
    /// The eUICC is authenticated and has an offer.
    Offered {
        client: Client,
        order: i64,
        profile: i64,
        offer: Offer,
        /// StoreMetadataRequest as offered: the package must carry the same.
        store_metadata: Vec<u8>,
    },
    /// The package was handed out: the eUICC may still cancel.
    Ended { client: Client, order: i64 },
}

/// The sessions of a server, by transaction.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: Mutex<HashMap<[u8; 16], (Instant, Session)>>,
}

impl Sessions {
    /// Puts a session in, new or taken out before.
    pub(crate) fn put(&self, session: Session, now: Instant) {
        let mut sessions = self.lock();
        sessions.retain(|_, (since, _)| now.saturating_duration_since(*since) < SESSION_TIME);
        while sessions.len() >= MAX_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, (since, _))| *since).map(|(id, _)| *id);
            oldest.and_then(|id| sessions.remove(&id));
        }
        sessions.insert(session.initiated.transaction_id, (now, session));
    }

    /// Takes a session out, so that only one request at a time works on it. `None`: unknown or too old.
    pub(crate) fn take(&self, transaction_id: &[u8], now: Instant) -> Option<Session> {
        let transaction_id: &[u8; 16] = transaction_id.try_into().ok()?;
        let (since, session) = self.lock().remove(transaction_id)?;
        (now.saturating_duration_since(since) < SESSION_TIME).then_some(session)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 16], (Instant, Session)>> {
        // A map is whole after every operation on it, also if a thread panicked while it held the lock.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: u32) -> Session {
        let mut transaction_id = [0u8; 16];
        transaction_id[..4].copy_from_slice(&number.to_be_bytes());
        let initiated = Initiated {
            transaction_id,
            server_challenge: [0; 16],
            server_address: String::new(),
            ci_key_id: Vec::new(),
        };
        Session { initiated, stage: Stage::Initiated }
    }

    #[test]
    fn a_session_is_taken_once_and_ends() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let id = session(1).initiated.transaction_id;
        sessions.put(session(1), start);
        assert!(sessions.take(&id[..15], start).is_none());
        assert!(sessions.take(&id, start).is_some());
        assert!(sessions.take(&id, start).is_none());
        sessions.put(session(1), start);
        assert!(sessions.take(&id, start + SESSION_TIME).is_none());
    }

    #[test]
    fn the_oldest_of_too_many_gives_way() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        for number in 0..=u32::try_from(MAX_SESSIONS).unwrap() {
            sessions.put(session(number), start + Duration::from_millis(number.into()));
        }
        assert_eq!(sessions.lock().len(), MAX_SESSIONS);
        assert!(sessions.take(&session(0).initiated.transaction_id, start).is_none());
        assert!(sessions.take(&session(1).initiated.transaction_id, start).is_some());
    }
}
