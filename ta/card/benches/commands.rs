//! Commands of the card, and beside them, in the same run, the cryptographic blocks that they cannot do without. Only
//! the ratios mean something: `docs/performance.md` has them.
#![allow(missing_docs, reason = "criterion's macros")]

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use curve25519_dalek::constants::X25519_BASEPOINT;
use curve25519_dalek::montgomery::MontgomeryPoint;
use hex_literal::hex;
use keccak::Keccak;
use milenage::Milenage;
use std::hint::black_box;
use std::time::Duration;
use teuicc_card::profile::{Algorithm, FileIndex, FileKind, Profile};
use teuicc_card::testing::{MemoryStore, SeededRng, profile};
use teuicc_card::{Card, ObjectId, Platform, ProfileSlot, Rng, Store, StoreError};
use teuicc_rsp::crypto::{Curve, PublicKey, SecretKey};
use teuicc_saip::build::{self, ProfileSpec, build};
use teuicc_wire::Interface::Modem;

const SLOT: ProfileSlot = ProfileSlot::new(0).unwrap();
const SELECT_USIM: [u8; 12] = hex!("00A4040407A0000000871002");
const VERIFY_PIN: [u8; 13] = hex!("002000010831323334FFFFFFFF");
const GET_SUCI: [u8; 5] = hex!("8078008100");
const RAND: [u8; 16] = [0x42; 16];

/// EF.SUCI_Calc_Info with the keys of TS 33.501 annex C.4, for profile A or B.
const SUCI_A: [u8; 43] =
    hex!("A002 0101 A125 80011E 8120 5A8D38864820197C3394B92613B20B91633CBD897119273BF8E4A6F4EEC0A650");
const SUCI_B: [u8; 44] =
    hex!("A002 0201 A126 80011B 8121 0272DA71976234CE833A6907425867B82E074D44EF907DFB4B3E21C1C2256EBCD1");

/// A store that is read and never written: what a write takes is the device's.
struct Unwritten(MemoryStore);

impl Store for Unwritten {
    fn load(&self, id: ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.load(id)
    }

    fn replace(&mut self, _: ObjectId, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn remove(&mut self, _: ObjectId) -> Result<(), StoreError> {
        Ok(())
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        self.0.list()
    }
}

type BenchCard = Card<SeededRng, Unwritten>;

fn card(profile: Profile) -> BenchCard {
    let mut store = MemoryStore::new();
    profile::store(&mut store, profile).unwrap();
    let platform = Platform { rng: SeededRng::new(1), store: Unwritten(store), rollback_protection: false };
    let mut card = Card::boot_with_profile(platform, SLOT);
    card.power_up(Modem).unwrap();
    send(&mut card, &SELECT_USIM);
    send(&mut card, &VERIFY_PIN);
    card
}

fn send(card: &mut BenchCard, command: &[u8]) {
    let response = card.transmit(Modem, command).unwrap();
    assert_eq!(response.sw.0, 0x9000, "{command:02X?}");
    card.reuse(Modem, black_box(response));
}

fn files(c: &mut Criterion) {
    let mut card = card(profile::profile(SLOT));
    let mut group = c.benchmark_group("files");
    group.bench_function("SELECT EF, FCP", |b| b.iter(|| send(&mut card, &hex!("00A40004026F07"))));
    group.bench_function("READ BINARY", |b| b.iter(|| send(&mut card, &hex!("00B0000009"))));
    group.bench_function("SELECT USIM, FCP", |b| b.iter(|| send(&mut card, &SELECT_USIM)));
    send(&mut card, &hex!("00A4080C047F106F3A"));
    group.bench_function("READ RECORD", |b| b.iter(|| send(&mut card, &hex!("00B2010404"))));
    group.finish();
}

/// The commands of challenges with ever higher sequence numbers.
fn challenges(autn: impl Fn([u8; 6]) -> [u8; 16]) -> impl FnMut() -> Vec<u8> {
    let mut seq = 0u64;
    move || {
        seq += 1;
        let [_, _, sqn @ ..] = (seq << 5).to_be_bytes();
        [&hex!("008800812210")[..], &RAND, &[16], &autn(sqn)].concat()
    }
}

fn autn(sqn: [u8; 6], ak: [u8; 6], mac: [u8; 8]) -> [u8; 16] {
    let [a, b, c, d, e, f]: [u8; 6] = std::array::from_fn(|at| sqn[at] ^ ak[at]);
    let [m0, m1, m2, m3, m4, m5, m6, m7] = mac;
    [a, b, c, d, e, f, 0, 0, m0, m1, m2, m3, m4, m5, m6, m7]
}

/// An AUTN that a card with Milenage accepts.
fn milenage_autn(sqn: [u8; 6]) -> [u8; 16] {
    let mut network = Milenage::new_with_opc(profile::K, profile::OPC);
    let (_, _, _, ak) = network.f2345(&RAND);
    autn(sqn, ak, network.f1(&RAND, &sqn, &[0, 0]))
}

fn milenage(c: &mut Criterion) {
    let mut group = c.benchmark_group("Milenage");
    let mut card = card(profile::profile(SLOT));
    let mut next = challenges(milenage_autn);
    group.bench_function("AUTHENTICATE", |b| {
        b.iter_batched(&mut next, |command| send(&mut card, &command), BatchSize::SmallInput)
    });
    // Without the object that an accepted challenge stores, which is encoded although this store does not write it.
    let stale = next();
    send(&mut card, &stale);
    group.bench_function("AUTHENTICATE, synchronisation failure", |b| b.iter(|| send(&mut card, &stale)));
    // TEMP, f1, f2 and f5, f3, f4.
    group.bench_function("bare: key schedule and 5 blocks", |b| {
        b.iter(|| {
            let cipher = Aes128::new(black_box(&profile::K.into()));
            let mut block = RAND.into();
            (0..5).for_each(|_| cipher.encrypt_block(&mut block));
            block
        })
    });
    // And f1*, f5*.
    group.bench_function("bare: key schedule and 7 blocks", |b| {
        b.iter(|| {
            let cipher = Aes128::new(black_box(&profile::K.into()));
            let mut block = RAND.into();
            (0..7).for_each(|_| cipher.encrypt_block(&mut block));
            block
        })
    });
    group.finish();
}

fn tuak(c: &mut Criterion) {
    let mut group = c.benchmark_group("TUAK");
    // TS 35.233 section 6.3, test set 1: for another number there is no challenge at hand.
    let with_tuak = |sqn_options| {
        let mut profile = profile::profile(SLOT);
        profile.naas[0].sqn_options = sqn_options;
        profile.naas[0].algorithm = Algorithm::Tuak {
            k: vec![0xAB; 16],
            topc: hex!("bd04d9530e87513c5d837ac2ad954623a8e2330c115305a73eb45d1f40cccbff"),
            res_len: 4,
            iterations: 1,
        };
        card(profile)
    };
    let command = hex!("008800812210 42424242424242424242424242424242 10 608E0F8A8145FFFFF9A54E6AEAA8618D");
    // Too far ahead: f1, f2 to f5, f1*, f5*.
    let mut card = with_tuak(0x02);
    group.bench_function("AUTHENTICATE, synchronisation failure", |b| b.iter(|| send(&mut card, &command)));
    // Without the check of how far it jumps: f1, f2 to f5, and the object that is stored. Each time by another card.
    let accept = |mut card: BenchCard| {
        send(&mut card, &command);
        card
    };
    group.bench_function("AUTHENTICATE", |b| b.iter_batched(|| with_tuak(0), accept, BatchSize::LargeInput));
    group.bench_function("bare: 2 permutations", |b| {
        b.iter(|| {
            let mut state = black_box([0x42; 25]);
            Keccak::new().with_f1600(|permute| (0..2).for_each(|_| permute(&mut state)));
            state
        })
    });
    group.bench_function("bare: 4 permutations", |b| {
        b.iter(|| {
            let mut state = black_box([0x42; 25]);
            Keccak::new().with_f1600(|permute| (0..4).for_each(|_| permute(&mut state)));
            state
        })
    });
    group.finish();
}

fn suci(c: &mut Criterion) {
    let mut group = c.benchmark_group("SUCI");
    let mut rng = SeededRng::new(2);
    let mut with_a = card(profile::with_suci(SLOT, &SUCI_A));
    group.bench_function("GET IDENTITY, profile A", |b| b.iter(|| send(&mut with_a, &GET_SUCI)));
    let home = MontgomeryPoint(*SUCI_A.last_chunk().unwrap());
    group.bench_function("bare: X25519 key pair and agreement", |b| {
        b.iter(|| {
            let mut scalar = [0; 32];
            rng.fill(&mut scalar);
            (X25519_BASEPOINT.mul_clamped(scalar), home.mul_clamped(scalar))
        })
    });
    let mut with_b = card(profile::with_suci(SLOT, &SUCI_B));
    group.bench_function("GET IDENTITY, profile B", |b| b.iter(|| send(&mut with_b, &GET_SUCI)));
    let home = PublicKey::p256_from_sec1(SUCI_B.last_chunk::<33>().unwrap()).unwrap();
    group.bench_function("bare: P-256 key pair and agreement", |b| {
        b.iter(|| {
            let key = SecretKey::generate(Curve::P256, &mut |bytes| rng.fill(bytes)).unwrap();
            (key.public_key().unwrap(), key.ecdh(&home).unwrap())
        })
    });
    group.finish();
}

/// Selects and reads the files of a profile one after the other, 480 commands in all.
fn boot_commands(profile: &Profile) -> Vec<Vec<u8>> {
    let path = |mut index: FileIndex| {
        let mut path = Vec::new();
        while index != FileIndex::MF {
            let file = &profile.files[usize::from(index.0)];
            let fid = if file.kind == FileKind::Adf { 0x7FFF } else { file.fid };
            path.splice(0..0, fid.to_be_bytes());
            index = file.parent;
        }
        path
    };
    let in_usim = |mut index: FileIndex| loop {
        match &profile.files[usize::from(index.0)] {
            file if file.kind == FileKind::Adf => break file.aid.starts_with(&SELECT_USIM[5..]),
            file if file.kind == FileKind::Mf => break true,
            file => index = file.parent,
        }
    };
    let mut commands = Vec::new();
    let files = profile.files.iter().zip(0u16..).filter(|(file, index)| file.visible && in_usim(FileIndex(*index)));
    for (file, index) in files.cycle() {
        let path = path(FileIndex(index));
        if path.is_empty() {
            continue;
        }
        commands.push([&[0x00, 0xA4, 0x08, 0x04, path.len() as u8], &path[..]].concat());
        match file.kind {
            FileKind::LinearFixed(length) if !file.content.is_empty() => {
                commands.push(vec![0x00, 0xB2, 0x01, 0x04, length]);
            }
            FileKind::Transparent if !file.content.is_empty() => {
                commands.push(vec![0x00, 0xB0, 0, 0, file.content.len().min(255) as u8]);
            }
            _ => {}
        }
        if commands.len() >= 480 {
            commands.truncate(480);
            return commands;
        }
    }
    unreachable!("there are files")
}

fn boot(c: &mut Criterion) {
    let package = build(&ProfileSpec {
        iccid: "89000123456789012341",
        imsi: "001010123456063",
        mnc_len: 2,
        algorithm: build::Algorithm::Milenage,
        key: &profile::K,
        opc: &profile::OPC,
        profile_type: "bench",
        service_provider_name: "bench",
        pin1: "1234",
        pin1_enabled: true,
        puk1: "11111111",
        pin2: "9999",
        puk2: "22222222",
        adm1: "55555555",
        msisdn: None,
        access_class: None,
        ims: None,
    });
    let profile = profile::install(&package.unwrap(), hex!("98001032547698103214"), SLOT).unwrap();
    let commands = boot_commands(&profile);
    let mut card = card(profile);
    c.bench_function("boot: 480 commands", |b| {
        b.iter(|| {
            for command in &commands {
                let response = card.transmit(Modem, command).unwrap();
                card.reuse(Modem, black_box(response));
            }
        })
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    targets = files, milenage, tuak, suci, boot
}
criterion_main!(benches);
