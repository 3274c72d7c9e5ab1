//! The UICC from outside: command APDUs on two interfaces, over a store in memory.

mod admin;
mod aka;
mod ber_tlv;
mod boot;
mod channels;
mod files;
mod gba;
mod gsm;
mod identity;
mod life_cycle;
#[path = "../model/mod.rs"]
mod model;
mod modems;
mod ota;
mod pin;
mod random;
mod rewritten;
mod rules;
mod search;
mod select;
mod suspend;
mod terminal;
mod ts48;
mod wire;

use teuicc_apdu::Response;
use teuicc_card::testing::{MemoryStore, SeededRng, platform, profile};
use teuicc_card::{Card, ProfileSlot};
use teuicc_saip::build::{Algorithm, Ims, ProfileSpec, build};
use teuicc_wire::Interface;

const SLOT: ProfileSlot = ProfileSlot::new(0).unwrap();

/// EF.ICCID of a profile that was built.
const BUILT_ICCID: &str = "98001032547698103214";

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

    /// A card with a profile as an SM-DP+ of this project makes it: Milenage, with this PIN1.
    fn built(pin1_enabled: bool) -> Self {
        let package = build(&ProfileSpec {
            iccid: "89000123456789012341",
            imsi: "001010123456063",
            mnc_len: 2,
            algorithm: Algorithm::Milenage,
            key: &profile::K,
            opc: &profile::OPC,
            profile_type: "test",
            service_provider_name: "test",
            pin1: "1234",
            pin1_enabled,
            puk1: "11111111",
            pin2: "9999",
            puk2: "22222222",
            adm1: "55555555",
            msisdn: None,
            access_class: None,
            ims: Some(Ims::default()),
        })
        .unwrap();
        let iccid: [u8; 10] = hex(BUILT_ICCID).try_into().unwrap();
        Self::with(profile::install(&package, iccid, SLOT).unwrap())
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
