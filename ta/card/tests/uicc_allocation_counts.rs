//! How many allocations a command takes, counted: memory is taken for what is new, and not for answering.

use hex_literal::hex;
use milenage::Milenage;
use teuicc_card::testing::{MemoryStore, SeededRng, platform, profile};
use teuicc_card::{Card, ProfileSlot};
use teuicc_failing_alloc::{FailingAllocator, count_allocations};
use teuicc_wire::Interface::Modem;
use teuicc_wire::{Commands, Request, encode_commands};

#[global_allocator]
static ALLOCATOR: FailingAllocator = FailingAllocator;

const SLOT: ProfileSlot = ProfileSlot::new(0).unwrap();

/// Profile A with the key of TS 33.501 annex C.4.3.
const SUCI_A: [u8; 43] =
    hex!("A002 0101 A125 80011E 8120 5A8D38864820197C3394B92613B20B91633CBD897119273BF8E4A6F4EEC0A650");

fn card() -> Card<SeededRng, MemoryStore> {
    let mut store = MemoryStore::new();
    profile::store(&mut store, profile::with_suci(SLOT, &SUCI_A)).unwrap();
    let mut card = Card::boot_with_profile(platform(store, 1), SLOT);
    card.power_up(Modem).unwrap();
    // The first command takes the memory that the others use again.
    for command in [&hex!("00A40004023F00")[..], &hex!("00A4040407A0000000871002"), &hex!("002000010831323334FFFFFFFF")]
    {
        assert_eq!(count(&mut card, command).0, 0x9000);
    }
    card
}

/// Status word, and how many allocations the command took.
fn count(card: &mut Card<SeededRng, MemoryStore>, command: &[u8]) -> (u16, u64) {
    count_allocations(|| {
        let response = card.transmit(Modem, command).unwrap();
        let sw = response.sw.0;
        card.reuse(Modem, response);
        sw
    })
}

#[test]
fn selecting_and_reading_take_none() {
    let mut card = card();
    for command in [
        &hex!("00A40004023F00")[..],
        &hex!("00A40004022FE2"),
        &hex!("00B000000A"),
        &hex!("00A4080404 7F106F3A"),
        &hex!("00B2010404"),
        &hex!("00B2020404"),
        &hex!("00A4040407A0000000871002"),
        &hex!("00A40004026F07"),
        &hex!("00B0000000"),
        &hex!("00B0870009"),
        &hex!("00A40004026F39"),
        &hex!("00B2000203"),
        &hex!("00A40004025F3A"),
        &hex!("80F2000000"),
        &hex!("80F2000C"),
        &hex!("00A4000C027FFF"),
    ] {
        assert_eq!(count(&mut card, command), (0x9000, 0), "{command:02X?}");
    }
    // Refusals neither, and after them there is still the memory.
    for (command, sw) in
        [(&hex!("00A40004026FFF")[..], 0x6A82), (&hex!("00B0FF0000"), 0x6A86), (&hex!("00FF0000"), 0x6D00)]
    {
        assert_eq!(count(&mut card, command), (sw, 0), "{command:02X?}");
    }
    assert_eq!(count(&mut card, &hex!("00A40004026F07")), (0x9000, 0));
}

/// What is not asked of these commands, but should not creep up either.
#[test]
fn others_take_few() {
    let mut card = card();
    let mut network = Milenage::new_with_opc(profile::K, profile::OPC);
    let rand = [0x42; 16];
    let (_, _, _, ak) = network.f2345(&rand);
    let mut challenge = |seq: u8| {
        let (sqn, amf) = ([0, 0, 0, 0, seq, 0], [0x80, 0]);
        let concealed: [u8; 6] = std::array::from_fn(|at| sqn[at] ^ ak[at]);
        [&hex!("008800812210")[..], &rand, &[16], &concealed, &amf, &network.f1(&rand, &sqn, &amf)].concat()
    };
    let first = challenge(1);
    for (what, command, most) in [
        ("AUTHENTICATE, GSM context", &[&hex!("008800801110")[..], &rand].concat()[..], 0),
        ("AUTHENTICATE, accepted", &first, 4),
        ("AUTHENTICATE, synchronisation failure", &first, 0),
        ("GET IDENTITY", &hex!("8078008100"), 8),
        ("UPDATE BINARY, kept in memory", &hex!("00D68B000101"), 1),
        ("GET CHALLENGE", &hex!("0084000008"), 1),
    ] {
        let (sw, allocations) = count(&mut card, command);
        println!("{what}: {allocations}");
        assert_eq!(sw, 0x9000, "{what}");
        assert!(allocations <= most, "{what}: {allocations}");
    }
}

/// A message of the wire takes one for itself and one to report that there is no memory, however many commands it has.
#[test]
fn a_message_takes_two() {
    let mut card = card();
    let commands: [&[u8]; 3] = [&hex!("00A4000C023F00"), &hex!("00A4000C022FE2"), &hex!("00B000000A")];
    let commands = encode_commands(&commands).unwrap();
    let request = Request::Transmit { interface: Modem, commands: Commands::new(&commands).unwrap() }.encode().unwrap();
    let (answer, allocations) = count_allocations(|| card.process(&request));
    assert!(answer.ends_with(&[0x90, 0x00]));
    assert_eq!(allocations, 2);
}
