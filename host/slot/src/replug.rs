//! When the modem is to be replugged after the card changed. Sans-IO: time comes in, nothing waits here.
//!
//! The card shows a REFRESH to a modem that announced the capability; a modem without one must see the card
//! leave and come back. Never both: whatever resets the modem's interface first ends the matter.

use std::time::{Duration, Instant};
use teuicc_wire::{Interface, Transmitted};

/// How long the modem's own reset is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the modem to fetch a pending REFRESH and to reset the card.
    pub refresh: Duration,
    /// For whoever changed the card over the modem's own interface (a program behind PC/SC) to reset it.
    pub own_reset: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { refresh: Duration::from_secs(35), own_reset: Duration::from_secs(2) }
    }
}

/// Whether a replug is due, and when.
#[derive(Debug)]
pub(crate) struct Replug {
    patience: Patience,
    /// Whether a REFRESH after a switch waited at the last batch: the only proactive command that the card tells of.
    pending: bool,
    due_at: Option<Instant>,
}

/// What a batch did that had not been done before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// Another profile is enabled.
    pub(crate) changed: bool,
    /// A REFRESH after a switch waits.
    pub(crate) pending: bool,
}

impl Replug {
    pub(crate) fn new(patience: Patience) -> Self {
        Replug { patience, pending: false, due_at: None }
    }

    /// A batch was executed over `interface`.
    pub(crate) fn transmitted(&mut self, now: Instant, interface: Interface, done: &Transmitted) -> News {
        let pending = done.proactive_pending && !self.pending;
        self.pending = done.proactive_pending;
        let changed = done.card_changed || pending;
        if changed {
            let wait = match interface {
                _ if done.proactive_pending => self.patience.refresh,
                Interface::Lpa => Duration::ZERO,
                Interface::Modem => self.patience.own_reset,
            };
            self.due_at = now.checked_add(wait);
        }
        News { changed, pending }
    }

    /// The modem's interface was reset or powered down: the modem sees the new card at its next answer to reset.
    pub(crate) fn modem_reset(&mut self) {
        self.pending = false;
        self.due_at = None;
    }

    /// How long to wait from `now` until [`Replug::take_due`] may say yes. `None`: nothing is waited for.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        self.due_at.map(|due_at| due_at.saturating_duration_since(now))
    }

    /// Whether the modem is to be replugged now; says so once.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        self.due_at.take_if(|due_at| *due_at <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFRESH: Duration = Duration::from_secs(35);
    const OWN_RESET: Duration = Duration::from_secs(2);

    fn changed(proactive_pending: bool) -> Transmitted {
        Transmitted { executed: 1, last: vec![0x90, 0x00], proactive_pending, card_changed: true }
    }

    fn machine() -> (Replug, Instant) {
        (Replug::new(Patience { refresh: REFRESH, own_reset: OWN_RESET }), Instant::now())
    }

    #[test]
    fn a_change_over_the_lpa_interface_without_refresh_replugs_at_once_and_once() {
        let (mut replug, now) = machine();
        replug.transmitted(now, Interface::Lpa, &changed(false));
        assert_eq!(replug.wait(now), Some(Duration::ZERO));
        assert!(replug.take_due(now));
        assert!(!replug.take_due(now + REFRESH));
    }

    #[test]
    fn a_pending_refresh_gets_its_time_and_then_the_modem_is_replugged() {
        for interface in [Interface::Lpa, Interface::Modem] {
            let (mut replug, now) = machine();
            replug.transmitted(now, interface, &changed(true));
            assert!(!replug.take_due(now + REFRESH - Duration::from_millis(1)));
            assert!(replug.take_due(now + REFRESH));
        }
    }

    /// A card says that the profile changed, or queues a REFRESH; this one does not do both.
    #[test]
    fn a_refresh_alone_is_a_change_and_is_waited_for_once() {
        let (mut replug, now) = machine();
        let refresh = Transmitted { card_changed: false, ..changed(true) };
        assert_eq!(replug.transmitted(now, Interface::Lpa, &refresh), News { changed: true, pending: true });
        let later = now + OWN_RESET;
        assert_eq!(replug.transmitted(later, Interface::Modem, &refresh), News { changed: false, pending: false });
        assert_eq!(replug.wait(now), Some(REFRESH));
        // Fetched, and not obeyed: the card says so when the modem answers.
        let quiet = Transmitted { card_changed: false, ..changed(false) };
        assert_eq!(replug.transmitted(later, Interface::Modem, &quiet), News { changed: false, pending: false });
        assert_eq!(replug.wait(now), Some(REFRESH));
        assert!(replug.transmitted(later, Interface::Modem, &changed(false)).changed);
        assert_eq!(replug.wait(later), Some(OWN_RESET));
    }

    #[test]
    fn a_modem_that_resets_is_not_replugged() {
        let (mut replug, now) = machine();
        replug.transmitted(now, Interface::Lpa, &changed(true));
        replug.modem_reset();
        assert_eq!(replug.wait(now), None);
        assert!(!replug.take_due(now + 2 * REFRESH));
    }

    #[test]
    fn a_program_on_the_modems_interface_may_reset_the_card_itself() {
        let (mut replug, now) = machine();
        replug.transmitted(now, Interface::Modem, &changed(false));
        assert!(!replug.take_due(now + OWN_RESET - Duration::from_millis(1)));
        assert!(replug.take_due(now + OWN_RESET));
        replug.transmitted(now, Interface::Modem, &changed(false));
        replug.modem_reset();
        assert!(!replug.take_due(now + REFRESH));
    }

    #[test]
    fn a_batch_that_changes_nothing_leaves_the_wait_alone() {
        let (mut replug, now) = machine();
        let nothing = |proactive_pending| Transmitted { card_changed: false, ..changed(proactive_pending) };
        replug.transmitted(now, Interface::Lpa, &nothing(false));
        assert_eq!(replug.wait(now), None);
        replug.transmitted(now, Interface::Lpa, &changed(true));
        replug.transmitted(now + OWN_RESET, Interface::Modem, &nothing(true));
        assert_eq!(replug.wait(now), Some(REFRESH));
    }
}
