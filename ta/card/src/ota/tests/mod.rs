//! Messages from an operator, good and bad: what is executed, what is stored, what is answered.

extern crate std;

use super::cipher::{Algorithm, Key};
use super::packet::{CommandPacket, Keys, Protection, Spi, Status};
use super::*;
use crate::profile::{FileIndex, Profile};
use crate::testing::ota::{
    DomainKey, FULL, KEYS, Report, Server, TAR_DOMAIN, TAR_FILES, TAR_NOTHING, TAR_USIM, elements, envelope, rfm,
    security_domain,
};
use crate::testing::{MemoryStore, NoStore, PowerCut, SeededRng, profile};
use crate::{ObjectId, ProfileSlot};
use alloc::vec::Vec;
use hex_literal::hex;
use std::vec;
use teuicc_tlv::Reader;

mod counters;
mod domain;
mod files;
mod hostile;
mod parts;
mod policy;
mod responses;
mod security;
mod vectors;

const SLOT: ProfileSlot = ProfileSlot::new(0).unwrap();
/// Metadata of an operational and of a test profile.
const OPERATIONAL: &[u8] = &hex!("BF2512 5A0A98001032547698103214 910161 920162");
const TEST: &[u8] = &hex!("BF2515 5A0A98001032547698103214 910161 920162 950100");

/// SELECT EF 2F30 of the MF, which may be updated always, and UPDATE BINARY of its first bytes; compact.
const UPDATE: &[u8] = &hex!("00A4000C022F30 00D6000003AABBCC");
/// The same of EF.PL 2F05, which ADM1 may update.
const UPDATE_ADM: &[u8] = &hex!("00A4000C022F05 00D6000002 6672");
/// The same of EF.ICCID, which nobody may update.
const UPDATE_NEVER: &[u8] = &hex!("00A4000C022FE2 00D6000001 00");

struct Bench {
    profile: Profile,
    store: MemoryStore,
    euicc: Euicc,
    rng: SeededRng,
    reassembly: Reassembly,
    session: Session,
    policy: Policy,
}

impl Bench {
    fn new() -> Self {
        Self::with(elements(&profile::USIM), OPERATIONAL)
    }

    fn with(kept: Vec<u8>, metadata: &[u8]) -> Self {
        let mut profile = profile::profile(SLOT);
        profile.kept = kept;
        Self::of(profile, metadata)
    }

    fn of(mut profile: Profile, metadata: &[u8]) -> Self {
        let mut store = MemoryStore::new();
        profile.metadata = metadata.to_vec();
        profile::store(&mut store, profile).unwrap();
        Self::boot(store)
    }

    fn boot(store: MemoryStore) -> Self {
        store.power_on();
        let _ = store.take_replaces();
        Bench {
            profile: Profile::load(&store, SLOT).unwrap(),
            euicc: Euicc::load(&mut NoStore).unwrap(),
            rng: SeededRng::new(1),
            reassembly: Reassembly::default(),
            session: Session::default(),
            policy: Policy::PRODUCTION,
            store,
        }
    }

    fn reboot(self) -> Self {
        Self::boot(self.store)
    }

    /// The answer to the ENVELOPE.
    fn apdu(&mut self, apdu: &[u8]) -> Response {
        let object = Reader::new(&apdu[5..]).read().unwrap();
        let env = Env { rng: &mut self.rng, store: &mut self.store };
        let host = Host {
            profile: &mut self.profile,
            euicc: &mut self.euicc,
            env,
            session: &mut self.session,
            files_deleted: &mut false,
        };
        let answer = receive(host, &mut self.reassembly, object.value, self.policy);
        answer.unwrap_or_else(|Refusal(sw)| sw.into())
    }

    /// The answer to the last ENVELOPE of a packet.
    fn send(&mut self, server: &Server, data: &[u8]) -> Response {
        let envelopes = server.envelopes(data);
        let (last, others) = envelopes.split_last().unwrap();
        for envelope in others {
            assert_eq!(self.apdu(envelope), StatusWord::OK.into());
        }
        self.apdu(last)
    }

    /// What the response packet says, which must be there.
    fn report(&mut self, server: &Server, data: &[u8]) -> Report {
        let response = self.send(server, data);
        assert_eq!(response.sw, StatusWord::OK);
        let report = server.report(&response.data).expect("a response packet");
        assert_eq!(report.tar, server.tar);
        report
    }

    fn status(&mut self, server: &Server, data: &[u8]) -> u8 {
        self.report(server, data).status
    }

    fn replaces(&mut self) -> u32 {
        self.store.take_replaces()
    }

    fn content(&self, fid: u16) -> &[u8] {
        let index = self.profile.child(FileIndex::MF, fid).unwrap();
        self.profile.content(index)
    }
}

#[test]
fn a_key_that_does_not_exist_for_ciphering_is_a_security_error() {
    let mut writer = teuicc_tlv::Writer::new();
    security_domain(&mut writer, &[DomainKey::new(1, KEYS[0].1), DomainKey::new(1, KEYS[0].2)]).unwrap();
    rfm(&mut writer, TAR_FILES, 0x02, FULL, None).unwrap();
    let mut bench = Bench::with(writer.into_bytes(), OPERATIONAL);
    assert_eq!(bench.status(&Server::new(TAR_FILES, 1), UPDATE), 0);
    assert_eq!(Bench::with(vec![], OPERATIONAL).status(&Server::new(TAR_FILES, 1), UPDATE), 9, "no elements at all");
}
