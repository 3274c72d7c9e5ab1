//! The UICC from outside: command APDUs on two interfaces, over a store in memory.

mod aka;
mod boot;
mod channels;
mod files;
mod gba;
mod identity;
mod pin;
mod random;
mod select;
mod terminal;
mod ts48;
mod wire;

use teuicc_apdu::Response;
use teuicc_card::testing::{MemoryStore, SeededRng, platform, profile};
use teuicc_card::{Card, ProfileSlot};
use teuicc_wire::Interface;

const SLOT: ProfileSlot = ProfileSlot::new(0).unwrap();

/// A card with the profile made by hand enabled, both interfaces powered, and its flash.
struct Bench {
    card: Card<SeededRng, MemoryStore>,
    store: MemoryStore,
}

impl Bench {
    fn new() -> Self {
        Self::with(profile::profile(SLOT))
    }

    fn with(profile: teuicc_card::profile::Profile) -> Self {
        let mut store = MemoryStore::new();
        profile::store(&mut store, profile).unwrap();
        let mut bench = Bench { card: Card::boot(platform(MemoryStore::new(), 1)), store };
        bench.reboot();
        let _ = bench.store.take_replaces();
        bench
    }

    /// A card without a profile.
    fn empty() -> Self {
        let store = MemoryStore::new();
        let mut card = Card::boot(platform(store.clone(), 1));
        card.power_up(Interface::Modem).unwrap();
        card.power_up(Interface::Lpa).unwrap();
        Bench { card, store }
    }

    /// Cuts the power of the whole card and boots it from its flash.
    fn reboot(&mut self) {
        self.store.power_on();
        self.card = Card::boot_with_profile(platform(self.store.clone(), 1), SLOT);
        self.card.power_up(Interface::Modem).unwrap();
        self.card.power_up(Interface::Lpa).unwrap();
    }

    fn on(&mut self, interface: Interface, apdu: &str) -> (String, u16) {
        let apdu = hex(apdu);
        let Response { data, sw } = self.card.transmit(interface, &apdu).unwrap();
        (data.iter().map(|byte| format!("{byte:02X}")).collect(), sw.0)
    }

    /// Data in hex and status word, on the modem's interface.
    fn apdu(&mut self, apdu: &str) -> (String, u16) {
        self.on(Interface::Modem, apdu)
    }

    /// Status word, on the modem's interface.
    fn sw(&mut self, apdu: &str) -> u16 {
        self.apdu(apdu).1
    }

    /// Data of a command that must succeed, on the modem's interface.
    fn ok(&mut self, apdu: &str) -> String {
        let (data, sw) = self.apdu(apdu);
        assert_eq!(sw, 0x9000, "{apdu}");
        data
    }

    fn select_usim(&mut self) {
        self.ok("00A4040C07A0000000871002");
    }

    fn verify_pin1(&mut self) {
        self.ok(&format!("0020000108{}", string(&profile::PIN1)));
    }

    fn replaces(&mut self) -> u32 {
        self.store.take_replaces()
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    assert!(digits.len().is_multiple_of(2), "{text}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn string(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
