//! The card as a whole: two interfaces, one UICC, one eUICC.

use crate::euicc::{Effect, Euicc, Toolkit};
use crate::platform::{ObjectId, Platform, ProfileSlot, Rng, Store, StoreError};
use crate::profile::Profile;
use crate::uicc::{self, InterfaceState, Parts, atr::ATR};
use alloc::vec::Vec;
use teuicc_apdu::{Response, StatusWord};
use teuicc_tlv::{OutOfMemory, TryBytes, try_copy};
use teuicc_wire::{
    Commands, DecodeError, Error, Features, Hello, Interface, MAX_MESSAGE, Request, State, Transmitted, version,
};
use zeroize::Zeroize;

/// The card.
pub struct Card<R: Rng, S: Store> {
    platform: Platform<R, S>,
    /// Why the card does not work, if it does not; the answer to every request.
    state: Result<Running, Error>,
}

/// A card that has booted.
struct Running {
    euicc: Euicc,
    /// The enabled profile, unless it is still to be loaded or damaged.
    profile: Option<Profile>,
    /// What is stored of the enabled profile is damaged. The card runs as without one, so that the LPA can disable it,
    /// delete it and enable another.
    damaged: bool,
    /// Another profile was enabled: it is loaded before the next command.
    to_load: bool,
    /// The modem's interface, while it has power.
    modem: Option<InterfaceState>,
    /// The LPA's interface, while it has power.
    lpa: Option<InterfaceState>,
    /// The modem's interface as it was suspended, until the first command after that.
    suspended: Option<InterfaceState>,
    /// Another profile is enabled than the modem knows, and no REFRESH is going to tell it.
    card_changed: bool,
}

impl<R: Rng, S: Store> Card<R, S> {
    /// Boots the card from its store. Never fails: an error is kept, and is the answer to every request.
    #[must_use]
    pub fn boot(mut platform: Platform<R, S>) -> Self {
        let state = Euicc::load(&mut platform.store).and_then(|euicc| {
            let enabled = euicc.enabled();
            Running::new(&platform.store, euicc, enabled)
        });
        Card { platform, state: state.map_err(wire_error) }
    }

    /// Boots a card without an identity, but with the stored profile in `slot` enabled: for tests of the UICC alone.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn boot_with_profile(platform: Platform<R, S>, slot: ProfileSlot) -> Self {
        let state = Euicc::load(&mut crate::testing::NoStore)
            .and_then(|euicc| Running::new(&platform.store, euicc, Some(slot)));
        Card { platform, state: state.map_err(wire_error) }
    }

    /// Answers one request of `teuicc-wire` with one response, both encoded. Never fails; the answer is empty only
    /// when there is not even memory to say so.
    #[must_use]
    pub fn process(&mut self, request: &[u8]) -> Vec<u8> {
        // Reserved before anything is done, so that a lack of memory can be reported.
        let mut out_of_memory = Vec::new();
        if out_of_memory.try_extend(&[version::CURRENT, Error::OutOfMemory.code()]).is_err() {
            return Vec::new();
        }
        let answered = self.answer(request);
        answered.or_else(|error| teuicc_wire::Response::Error(error).encode()).unwrap_or(out_of_memory)
    }

    /// Powers or resets an interface, after writing what is kept in memory for it; the answer to reset, at most 32
    /// bytes. Errors: a card that did not boot.
    pub fn power_up(&mut self, interface: Interface) -> Result<&'static [u8], Error> {
        let running = self.state.as_mut().map_err(|error| *error)?;
        if interface == Interface::Modem {
            // Whatever was enabled meanwhile, the modem is going to see it now.
            running.card_changed = false;
            // What cannot be written stays in memory; a modem needs its card all the same.
            let _ = running.store_unsaved(&mut self.platform.store);
        }
        running.power_off(interface);
        *running.interface(interface) = Some(InterfaceState::new());
        Ok(&ATR)
    }

    /// Takes power from an interface, after writing what is kept in memory for it.
    ///
    /// Errors: a card that did not boot, or a store that does not write; the power is gone all the same.
    pub fn power_down(&mut self, interface: Interface) -> Result<(), Error> {
        let running = self.state.as_mut().map_err(|error| *error)?;
        running.power_off(interface);
        if interface == Interface::Modem {
            running.store_unsaved(&mut self.platform.store).map_err(wire_error)?;
        }
        Ok(())
    }

    /// Executes one command APDU; the response is whole. Errors: a card that did not boot, an interface without
    /// power, storage or memory that cannot load the profile that was enabled (the next command tries again).
    pub fn transmit(&mut self, interface: Interface, command: &[u8]) -> Result<Response, Error> {
        let running = self.state.as_mut().map_err(|error| *error)?;
        running.transmit(&mut self.platform, interface, command)
    }

    /// Gives a response of [`Card::transmit`] back when it is done with: it is wiped, and its memory serves the next
    /// one on this interface.
    pub fn reuse(&mut self, interface: Interface, mut response: Response) {
        // It may hold CK and IK.
        response.data.zeroize();
        if let Ok(running) = &mut self.state
            && let Some(state) = running.interface(interface)
        {
            state.reuse(response.data);
        }
    }

    /// Whether a proactive command that tells of a profile switch waits to be fetched on the modem's interface. The
    /// other ones concern the modem alone.
    #[must_use]
    pub fn proactive_pending(&self) -> bool {
        let modem = self.state.as_ref().ok().and_then(|running| running.modem.as_ref());
        modem.is_some_and(|modem| modem.session.is_reset_pending())
    }

    /// Whether the enabled profile has changed and nobody told the modem, since this was last asked or the modem's
    /// last reset.
    #[must_use]
    pub fn take_card_changed(&mut self) -> bool {
        self.state.as_mut().is_ok_and(|running| core::mem::take(&mut running.card_changed))
    }

    /// Takes the power from everything and gives the platform back.
    #[must_use]
    pub fn into_platform(self) -> Platform<R, S> {
        self.platform
    }

    fn running(&mut self) -> Result<&mut Running, Error> {
        self.state.as_mut().map_err(|error| *error)
    }

    fn answer(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        if request.len() > MAX_MESSAGE {
            return Err(Error::Malformed);
        }
        let request = Request::decode(request).map_err(|error| match error {
            DecodeError::Version(_) => Error::Version,
            _ => Error::Malformed,
        })?;
        let response = match request {
            Request::Hello => teuicc_wire::Response::Hello(self.hello()?),
            Request::PowerUp(interface) => {
                let atr = self.power_up(interface)?;
                teuicc_wire::Response::Atr(try_copy(atr).map_err(no_memory)?)
            }
            Request::PowerDown(interface) => {
                self.power_down(interface)?;
                teuicc_wire::Response::Done
            }
            Request::Transmit { interface, commands } => {
                let response = teuicc_wire::Response::Transmitted(self.transmit_all(interface, commands)?);
                let encoded = response.encode();
                if let teuicc_wire::Response::Transmitted(done) = response {
                    self.reuse(interface, Response::data(done.last));
                }
                return encoded.map_err(no_memory);
            }
            Request::FactoryRequest(request) => {
                let running = self.state.as_mut().map_err(|error| *error)?;
                let csr = running.euicc.factory_request(&mut self.platform.env(), &request)?;
                teuicc_wire::Response::CertificateRequest(csr)
            }
            Request::Personalize(settings) => {
                let running = self.state.as_mut().map_err(|error| *error)?;
                running.euicc.personalize(&mut self.platform.env(), &settings)?;
                teuicc_wire::Response::Done
            }
        };
        response.encode().map_err(no_memory)
    }

    fn hello(&mut self) -> Result<Hello, Error> {
        let rollback_protection = self.platform.rollback_protection;
        let running = self.running()?;
        let state = running.euicc.eid().map_or(State::Factory, State::Personalized);
        let features = Features { rollback_protection, identity_import: cfg!(feature = "import-identity") };
        Ok(Hello { state, features, profile_damaged: running.damaged })
    }

    /// Executes commands in order, until one answers with data or with another status word than 9000.
    fn transmit_all(&mut self, interface: Interface, commands: Commands<'_>) -> Result<Transmitted, Error> {
        // Also says so if there are no commands.
        if self.running()?.interface(interface).is_none() {
            return Err(Error::NotPowered);
        }
        let mut executed = 0u16;
        let mut last = None;
        for command in commands {
            let response = self.transmit(interface, command)?;
            executed = executed.saturating_add(1);
            let go_on = response.data.is_empty() && response.sw == StatusWord::OK;
            last = Some(response);
            if !go_on || executed == u16::MAX {
                break;
            }
        }
        let last = last.map_or(Ok(Vec::new()), Response::into_bytes).map_err(no_memory)?;
        let proactive_pending = self.proactive_pending();
        Ok(Transmitted { executed, last, proactive_pending, card_changed: self.take_card_changed() })
    }
}

impl Running {
    fn new(store: &dyn Store, euicc: Euicc, enabled: Option<ProfileSlot>) -> Result<Self, StoreError> {
        let mut running = Running {
            euicc,
            profile: None,
            damaged: false,
            to_load: false,
            modem: None,
            lpa: None,
            suspended: None,
            card_changed: false,
        };
        running.load(store, enabled)?;
        Ok(running)
    }

    /// Takes the power from an interface. What the modem suspended is kept, everything else is forgotten.
    fn power_off(&mut self, interface: Interface) {
        let state = self.interface(interface).take();
        if let Some(suspended) = state.filter(|state| state.suspension.is_some())
            && interface == Interface::Modem
        {
            self.suspended = Some(suspended);
        }
    }

    fn interface(&mut self, interface: Interface) -> &mut Option<InterfaceState> {
        match interface {
            Interface::Modem => &mut self.modem,
            Interface::Lpa => &mut self.lpa,
        }
    }

    fn transmit<R: Rng, S: Store>(
        &mut self,
        platform: &mut Platform<R, S>,
        interface: Interface,
        command: &[u8],
    ) -> Result<Response, Error> {
        if self.interface(interface).is_none() {
            return Err(Error::NotPowered);
        }
        self.load_enabled(&platform.store).map_err(wire_error)?;
        let fetched = self.modem.as_ref().is_some_and(|modem| modem.session.is_busy());
        let toolkit = if fetched { Toolkit::Busy } else { Toolkit::Idle };
        let state = match interface {
            Interface::Modem => &mut self.modem,
            Interface::Lpa => &mut self.lpa,
        };
        let state = state.as_mut().ok_or(Error::NotPowered)?;
        let (profile, euicc) = (self.profile.as_mut(), &mut self.euicc);
        let mut never = None;
        let suspended = if interface == Interface::Modem { &mut self.suspended } else { &mut never };
        let parts = Parts { profile, euicc, env: platform.env(), interface: state, toolkit, suspended };
        let executed = uicc::execute(parts, command);
        let mut response = executed.response;
        self.card_changed |= executed.refresh_refused;
        if let (true, Some(profile)) = (executed.files_deleted, &self.profile) {
            let interfaces = [&mut self.modem, &mut self.lpa, &mut self.suspended];
            interfaces.into_iter().flatten().for_each(|interface| interface.leave_deleted(profile));
        }
        if let Effect::ProfileSwitched { refresh } = executed.effect {
            self.switch_profile(&mut platform.store, refresh);
        }
        if interface == Interface::Modem
            && response.sw == StatusWord::OK
            && let Some(length) = self.modem.as_ref().and_then(|modem| modem.session.pending())
        {
            response.sw = StatusWord::proactive_pending(length);
        }
        Ok(response)
    }

    /// Writes what the modem wrote and is only kept in memory: at most 1 replace. Errors: those of the store.
    fn store_unsaved(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        match &mut self.profile {
            Some(profile) if profile.unsaved.hot => profile.store_hot(store),
            _ => Ok(()),
        }
    }

    /// Leaves the profile that is not enabled any more. The switch itself is committed already, so nothing here may
    /// fail: the other profile is loaded before the next command, which can report that it is not possible.
    fn switch_profile(&mut self, store: &mut dyn Store, refresh: bool) {
        if let Some(mut old) = self.profile.take()
            && old.unsaved.hot
            && store.list().is_ok_and(|stored| stored.contains(&ObjectId::Base(old.slot)))
        {
            // What the modem wrote is kept in memory only. It is no part of the switch, so losing it is no error.
            let _ = old.store_hot(store);
        }
        for interface in [&mut self.modem, &mut self.lpa].into_iter().flatten() {
            interface.profile_gone();
        }
        self.suspended = None;
        self.damaged = false;
        let told = self.modem.as_mut().is_some_and(|modem| modem.session.profile_switched(refresh));
        self.card_changed |= !told;
        self.to_load = true;
    }

    /// Loads the enabled profile after a switch. Errors: it cannot be read; the next call tries again.
    fn load_enabled(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        if self.to_load {
            self.load(store, self.euicc.enabled())?;
            self.to_load = false;
        }
        Ok(())
    }

    /// Loads the profile in `slot`, if there is one to be loaded. Damage is noted; it is no error. Errors: storage that
    /// cannot be reached; out of memory.
    fn load(&mut self, store: &dyn Store, slot: Option<ProfileSlot>) -> Result<(), StoreError> {
        let loaded = slot.map(|slot| Profile::load(store, slot)).transpose();
        self.damaged = matches!(loaded, Err(StoreError::Corrupt(_)));
        self.profile = if self.damaged { None } else { loaded? };
        Ok(())
    }
}

fn wire_error(error: StoreError) -> Error {
    match error {
        StoreError::Corrupt(_) => Error::StoreCorrupt,
        StoreError::Unavailable | StoreError::Full => Error::StoreUnavailable,
        StoreError::OutOfMemory => Error::OutOfMemory,
    }
}

fn no_memory(_: OutOfMemory) -> Error {
    Error::OutOfMemory
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{MemoryStore, PowerCut, SeededRng, platform, profile};
    use hex_literal::hex;
    use teuicc_wire::Interface::{Lpa, Modem};

    const SLOT: ProfileSlot = ProfileSlot::new(0).unwrap();

    /// TERMINAL PROFILE with the bit of REFRESH, and without; POLL INTERVAL in neither.
    const WITH_REFRESH: [u8; 9] = hex!("80100000 04 00008000");
    const WITHOUT_REFRESH: [u8; 9] = hex!("80100000 04 FFFF5FFF");
    const STATUS: [u8; 4] = hex!("80F2000C");
    const FETCH: [u8; 5] = hex!("801200000B");

    type TestCard = Card<SeededRng, MemoryStore>;

    fn card() -> (TestCard, MemoryStore) {
        let mut store = MemoryStore::new();
        profile::store(&mut store, profile::profile(SLOT)).unwrap();
        let mut card = Card::boot_with_profile(platform(store.clone(), 1), SLOT);
        card.power_up(Modem).unwrap();
        card.power_up(Lpa).unwrap();
        let _ = store.take_replaces();
        (card, store)
    }

    fn sw(card: &mut TestCard, interface: Interface, command: &[u8]) -> u16 {
        card.transmit(interface, command).unwrap().sw.0
    }

    /// A switch away from the profile: the registry of this card enables none.
    fn switch(card: &mut TestCard, refresh: bool) {
        let store = &mut card.platform.store;
        card.state.as_mut().map_err(|error| *error).unwrap().switch_profile(store, refresh);
    }

    #[test]
    fn a_switch_is_told_by_refresh_or_by_the_flag_but_never_by_both() {
        for (announced, asked, queued) in
            [(&WITH_REFRESH, true, true), (&WITH_REFRESH, false, false), (&WITHOUT_REFRESH, true, false)]
        {
            let (mut card, _) = card();
            assert_eq!(sw(&mut card, Modem, announced), 0x9000);
            switch(&mut card, asked);
            assert_eq!(card.proactive_pending(), queued);
            assert_eq!(card.take_card_changed(), !queued);
            assert!(!card.take_card_changed());
            assert_eq!(sw(&mut card, Lpa, &STATUS), 0x9000, "the LPA is told nothing");
            assert_eq!(sw(&mut card, Modem, &STATUS), if queued { 0x910B } else { 0x9000 });
        }
    }

    #[test]
    fn refresh_is_fetched_answered_and_over() {
        let (mut card, _) = card();
        assert_eq!(sw(&mut card, Modem, &WITH_REFRESH), 0x9000);
        assert_eq!(sw(&mut card, Modem, &FETCH), 0x6985);
        switch(&mut card, true);
        assert_eq!(sw(&mut card, Modem, &hex!("00A4000C02 2FE2")), 0x6A82, "an error is not replaced");
        assert_eq!(sw(&mut card, Lpa, &FETCH), 0x6985);
        let command = card.transmit(Modem, &FETCH).unwrap();
        assert_eq!((&command.data[..], command.sw.0), (&hex!("D009 8103010104 82028182")[..], 0x9000));
        assert!(!card.proactive_pending());
        assert!(card.state.as_ref().is_ok_and(|running| running.modem.as_ref().unwrap().session.is_busy()));
        assert_eq!(sw(&mut card, Modem, &STATUS), 0x9000);
        assert_eq!(card.transmit(Modem, &FETCH).unwrap().data, command.data, "as long as it is not answered");
        assert_eq!(sw(&mut card, Modem, &hex!("80140000 0C 8103010104 02028281 030100")), 0x9000);
        assert_eq!(sw(&mut card, Modem, &FETCH), 0x6985);
        assert!(!card.take_card_changed());
        assert_eq!(sw(&mut card, Modem, &hex!("80140000 0C 8103010104 02028281 030100")), 0x6985);
    }

    #[test]
    fn one_refresh_tells_of_any_number_of_switches() {
        let (mut card, _) = card();
        assert_eq!(sw(&mut card, Modem, &WITH_REFRESH), 0x9000);
        for refresh in [true, true, false] {
            switch(&mut card, refresh);
            assert!(card.proactive_pending() && !card.take_card_changed());
        }
        assert_eq!(card.transmit(Modem, &FETCH).unwrap().data[4], 1);
        switch(&mut card, false);
        assert!(!card.proactive_pending() && !card.take_card_changed());
    }

    #[test]
    fn a_refused_refresh_is_told_by_the_flag() {
        let (mut card, _) = card();
        assert_eq!(sw(&mut card, Modem, &WITH_REFRESH), 0x9000);
        switch(&mut card, true);
        assert_eq!(sw(&mut card, Modem, &FETCH), 0x9000);
        assert_eq!(sw(&mut card, Modem, &hex!("80140000 0C 8103010104 82028281 830132")), 0x9000);
        assert!(card.take_card_changed());
        assert!(!card.proactive_pending());
    }

    /// Result 20: the terminal cannot do it now, being busy on a call for one.
    #[test]
    fn a_refresh_that_must_wait_is_shown_again_at_the_next_status_and_at_last_told_by_the_flag() {
        let (mut card, _) = card();
        assert_eq!(sw(&mut card, Modem, &WITH_REFRESH), 0x9000);
        switch(&mut card, true);
        for number in 1..=4 {
            assert!(card.proactive_pending(), "{number}");
            assert_eq!(card.transmit(Modem, &FETCH).unwrap().data[4], number);
            let answer = [&hex!("80140000 0D 8103")[..], &[number], &hex!("0104 82028281 83022002")];
            assert_eq!(sw(&mut card, Modem, &answer.concat()), 0x9000);
            assert!(!card.proactive_pending());
            assert_eq!(sw(&mut card, Modem, &hex!("00A4000C")), 0x9000, "no poll");
            assert_eq!(sw(&mut card, Modem, &STATUS), if number < 4 { 0x910B } else { 0x9000 });
            assert_eq!(card.take_card_changed(), number == 4);
        }
    }

    #[test]
    fn an_answer_to_another_command_ends_nothing() {
        let (mut card, _) = card();
        assert_eq!(sw(&mut card, Modem, &WITH_REFRESH), 0x9000);
        switch(&mut card, true);
        assert_eq!(sw(&mut card, Modem, &FETCH), 0x9000);
        for wrong in [hex!("8103020104"), hex!("8103010304"), hex!("8103010103")] {
            let answer = [&hex!("80140000 0C")[..], &wrong, &hex!("82028281 830100")].concat();
            assert_eq!(sw(&mut card, Modem, &answer), 0x6A80);
        }
        assert_eq!(card.transmit(Modem, &FETCH).unwrap().data[4], 1);
        assert_eq!(sw(&mut card, Modem, &hex!("80140000 0C 8103010104 82028281 830100")), 0x9000);
    }

    #[test]
    fn a_reset_forgets_refresh_and_what_the_terminal_can_do() {
        let (mut card, _) = card();
        assert_eq!(sw(&mut card, Modem, &WITH_REFRESH), 0x9000);
        switch(&mut card, true);
        card.power_up(Lpa).unwrap();
        assert!(card.proactive_pending(), "the reset of another interface");
        card.power_up(Modem).unwrap();
        assert!(!card.proactive_pending() && !card.take_card_changed());
        assert_eq!(sw(&mut card, Modem, &STATUS), 0x9000);
        switch(&mut card, true);
        assert!(!card.proactive_pending() && card.take_card_changed());
    }

    #[test]
    fn a_switch_leaves_nothing_selected_in_the_old_profile() {
        const ISD_R: [u8; 21] = hex!("01A4040C10 A0000005591010FFFFFFFF8900000100");
        let (mut card, _) = card();
        for interface in [Modem, Lpa] {
            assert_eq!(sw(&mut card, interface, &hex!("0070000001")), 0x9000);
            assert_eq!(sw(&mut card, interface, &ISD_R), 0x9000);
            assert_eq!(sw(&mut card, interface, &hex!("00A4040C07 A0000000871002")), 0x9000);
            assert_eq!(sw(&mut card, interface, &hex!("0020000108 31323334FFFFFFFF")), 0x9000);
            assert_eq!(sw(&mut card, interface, &hex!("00B0870000")), 0x9000);
        }
        switch(&mut card, false);
        for interface in [Modem, Lpa] {
            assert_eq!(sw(&mut card, interface, &hex!("80F2000100")), 0x6A88);
            assert_eq!(sw(&mut card, interface, &hex!("00B0000000")), 0x6986);
            assert_eq!(sw(&mut card, interface, &hex!("81F2000100")), 0x9000, "the ISD-R stays selected");
            let running = card.state.as_mut().map_err(|error| *error).unwrap();
            let verified = running.interface(interface).as_ref().unwrap().verified;
            assert_eq!(verified, Default::default());
        }
    }

    #[test]
    fn what_was_kept_in_memory_is_written_at_a_switch_but_not_for_a_deleted_profile() {
        for deleted in [false, true] {
            let (mut card, store) = card();
            assert_eq!(sw(&mut card, Modem, &hex!("00A4040C07 A0000000871002")), 0x9000);
            assert_eq!(sw(&mut card, Modem, &hex!("0020000108 31323334FFFFFFFF")), 0x9000);
            assert_eq!(sw(&mut card, Modem, &hex!("00D68B0001 77")), 0x9000);
            let _ = store.take_replaces();
            if deleted {
                store.restore(Default::default());
            }
            switch(&mut card, false);
            assert_eq!(store.take_replaces(), u32::from(!deleted));
            assert_eq!(store.snapshot().is_empty(), deleted);
        }
    }

    #[test]
    fn power_goes_even_if_nothing_can_be_written() {
        let (mut card, store) = card();
        assert_eq!(sw(&mut card, Modem, &hex!("00A4040C07 A0000000871002")), 0x9000);
        assert_eq!(sw(&mut card, Modem, &hex!("0020000108 31323334FFFFFFFF")), 0x9000);
        assert_eq!(sw(&mut card, Modem, &hex!("00D68B0001 77")), 0x9000);
        store.arm(PowerCut { at_write: 0, written: false });
        assert_eq!(card.power_down(Modem), Err(Error::StoreUnavailable));
        assert_eq!(card.transmit(Modem, &STATUS).unwrap_err(), Error::NotPowered);
        store.power_on();
        let _ = store.take_replaces();
        assert_eq!(card.power_down(Modem), Ok(()), "tried again, it is written");
        assert_eq!(store.take_replaces(), 1);
    }
}
