//! A card with a test profile in the vpcd at the address given (default 127.0.0.1:35963), until standard input ends.
//! The key is that of TS 35.208 test set 1: nothing of this card is secret, and nothing lasts.

use std::io::Read;
use std::sync::Arc;
use teuicc_card::testing::{MemoryStore, platform, profile};
use teuicc_card::{Card, ProfileSlot};
use teuicc_modem_bridge::Status;
use teuicc_modem_bridge::vpcd::{Config, Reader, run};
use teuicc_saip::build::{Algorithm, ProfileSpec, build};
use teuicc_slot::{Slot, SlotConfig, Wire};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = match std::env::args().nth(1) {
        Some(address) => Config { reader: Reader::At(address), ..Config::default() },
        None => Config::default(),
    };
    let package = build(&ProfileSpec {
        iccid: "89000123456789012341",
        imsi: "232010000000000",
        mnc_len: 2,
        algorithm: Algorithm::Milenage,
        key: b"\x46\x5b\x5c\xe8\xb1\x99\xb4\x9f\xaa\x5f\x0a\x2e\xe2\x38\xa6\xbc",
        opc: b"\xcd\x63\xcb\x71\x95\x4a\x9f\x4e\x48\xa5\x99\x4e\x37\xa0\x2b\xaf",
        profile_type: "test",
        service_provider_name: "Test",
        pin1: "1234",
        pin1_enabled: false,
        puk1: "12345678",
        pin2: "5678",
        puk2: "87654321",
        adm1: "12345678",
        msisdn: None,
        access_class: None,
        ims: None,
    })?;
    let slot_number = ProfileSlot::new(0).ok_or("no slot 0")?;
    let mut store = MemoryStore::new();
    let iccid = *b"\x98\x00\x10\x32\x54\x76\x98\x10\x32\x14";
    let installed = profile::install(&package, iccid, slot_number).map_err(|_| "the profile is not installable")?;
    profile::store(&mut store, installed)?;
    let card = Card::boot_with_profile(platform(store, 1), slot_number);
    let slot = Slot::start(Wire::new(card), SlotConfig::default())?;
    let status = Arc::new(Status::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        let shutdown = async {
            let _ = ended.await;
        };
        run(slot.clone(), config, status.clone(), shutdown).await
    })?;
    slot.blocking_close();
    println!("{} TPDUs, {} resets, {} insertions", status.commands(), status.resets(), status.connections());
    Ok(())
}
