//! The stored forms: golden bytes, and what is refused.

extern crate std;

use super::*;
use crate::platform::{ObjectId, Store, StoreError};
use crate::testing::{self, MemoryStore};
use hex_literal::hex;
use proptest::prelude::*;
use std::vec;

const SLOT: ProfileSlot = ProfileSlot::new(5).unwrap();
const LOCI: FileIndex = FileIndex(4);
const IMSI: FileIndex = FileIndex(3);

fn file(parent: u16, fid: u16, kind: FileKind, content: &[u8]) -> File {
    testing::profile::file(FileIndex(parent), fid, kind, 3, content)
}

fn pin(reference: u8, context: u16) -> Pin {
    Pin {
        reference,
        context: FileIndex(context),
        value: *b"1234\xFF\xFF\xFF\xFF",
        enabled: true,
        attributes: 7,
        max_tries: 3,
        tries_left: 3,
        puk: Some(Puk { reference: 0x01, value: *b"12345678", max_tries: 10, tries_left: 9 }),
    }
}

fn naa(algorithm: Algorithm) -> Naa {
    let mut seq = [0; 32];
    seq[1] = 0x7FF_FFFF_FFFF;
    Naa {
        adf: FileIndex(2),
        algorithm,
        sqn_options: 2,
        sqn_delta: 0x1000_0000,
        sqn_age_limit: 0,
        seq,
        bootstrapping: None,
    }
}

/// One of everything that can be stored.
fn sample() -> Profile {
    let mut adf = file(0, 0x7FD0, FileKind::Adf, &[]);
    adf.aid = hex!("A0000000871002").to_vec();
    adf.pin_status = vec![0x01, 0x81];
    let mut loci = file(2, 0x6F7E, FileKind::Transparent, &[0xFF; 11]);
    loci.special = 0x80;
    loci.sfi = Some(0x0B);
    let mut link = file(0, 0x6F3C, FileKind::LinearFixed(4), &[]);
    link.link = Some(FileIndex(5));
    link.life_cycle = 4;
    let mut hidden = file(2, 0x4F01, FileKind::BerTlv(500), &hex!("810102"));
    hidden.visible = false;
    hidden.security = Security::Never;
    let mut second = pin(0x81, 2);
    second.puk = None;
    second.enabled = false;
    let mut constants = [[0; 16]; 5];
    constants[1][15] = 1;
    let mut milenage =
        naa(Algorithm::Milenage { k: [0x11; 16], opc: [0x22; 16], rotations: [64, 0, 32, 64, 96], constants });
    milenage.bootstrapping = Some(Bootstrapping { rand: [0x66; 16], ks: [0x77; 32] });
    Profile {
        slot: SLOT,
        metadata: hex!("BF2503800100").to_vec(),
        files: vec![
            file(0, 0x3F00, FileKind::Mf, &[]),
            file(0, 0x7F10, FileKind::Df, &[]),
            adf,
            file(2, 0x6F07, FileKind::Transparent, &hex!("080910101032540636")),
            loci,
            file(1, 0x6F3C, FileKind::LinearFixed(4), &hex!("00FFFFFF 00FFFFFF")),
            file(1, 0x6F44, FileKind::Cyclic(2), &hex!("0102 FFFF")),
            link,
            hidden,
        ],
        pins: vec![pin(0x01, 0), second],
        shared_pins: vec![SharedPins { context: FileIndex(1), source: FileIndex(2) }],
        naas: vec![
            milenage,
            naa(Algorithm::XorTest { k: [0x33; 16], res_len: 16 }),
            naa(Algorithm::Tuak { k: vec![0x44; 32], topc: [0x55; 32], res_len: 16, iterations: 1 }),
        ],
        kept: hex!("A603800100").to_vec(),
        ota_counters: vec![OtaCounter { domain: 0, version: 2, value: 0x01_0000_0002 }],
        unsaved: Unsaved::default(),
    }
}

fn sample_stored() -> (Profile, MemoryStore) {
    let (mut profile, mut store) = (sample(), MemoryStore::new());
    profile.store_new(&mut store).unwrap();
    (profile, store)
}

fn store_both(profile: &mut Profile, store: &mut MemoryStore) {
    profile.store_hot(store).unwrap();
    profile.store_changes(store).unwrap();
}

fn object(store: &MemoryStore, id: ObjectId) -> Vec<u8> {
    store.load(id).unwrap().unwrap()
}

#[test]
fn a_profile_that_could_not_be_read_again_is_not_stored() {
    let mut profile = sample();
    // Held by an EF.
    profile.files[8].parent = IMSI;
    assert_eq!(profile.store_new(&mut MemoryStore::new()), Err(StoreError::Corrupt(ObjectId::Base(SLOT))));
}

/// Version 1 of the stored forms. Do not change this test: cards in the field hold these bytes.
#[test]
fn golden_version_1() {
    let (mut profile, mut store) = sample_stored();
    assert_eq!(
        object(&store, ObjectId::Base(SLOT)),
        hex!(
            "0106BF250380010005A60380010009003F0000002F0603007F1001002F0603007FD0021807A00000008710020201812F
             0603026F0703002F06030912080910101032540636026F7E03050B802F06030B17FF016F3C0404002F0603081000FFFF
             FF00FFFFFF016F440502002F060304080102FFFF006F3C04042204052F0603024F0106F403C003068101020201000703
             010A31323334353637388102070300010102030202808080800100011111111111111111111111111111111122222222
             2222222222222222222222224000204060503F0002016100020280808080010003333333333333333333333333333333
             331002028080808001000220444444444444444444444444444444444444444444444444444444444444444455555555
             555555555555555555555555555555555555555555555555555555551001"
        )
    );
    profile.content_mut(LOCI).unwrap()[0] = 0x21;
    profile.content_mut(IMSI).unwrap()[8] = 0x37;
    profile.pins[0].tries_left = 2;
    profile.store_hot(&mut store).unwrap();
    profile.store_changes(&mut store).unwrap();
    assert_eq!(
        object(&store, ObjectId::Hot(SLOT)),
        hex!(
            "01020131323334FFFFFFFF02090031323334FFFFFFFF03000300000000000007FFFFFFFFFF0000000000000000000000
             000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
             000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
             000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
             000000000000000000000000000000000000000000000000000166666666666666666666666666666666777777777777
             777777777777777777777777777777777777777777777777777700000000000007FFFFFFFFFF00000000000000000000
             000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
             000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
             000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
             00000000000000000000000000000000000000000000000000000000000000000007FFFFFFFFFF000000000000000000
             000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
             000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
             000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
             0000000000000000000000000000000000000000000000000000000001000201000000020104050B022115FF"
        )
    );
    assert_eq!(object(&store, ObjectId::Changes(SLOT)), hex!("01 01 03 05 09 12 080910101032540637 00 00"));
    profile.files[3].definition = Definition::Changes;
    let created = File { definition: Definition::Changes, shareable: false, ..file(1, 0x6F50, FileKind::Df, &[]) };
    profile.files.push(File::deleted());
    profile.files.push(created);
    profile.remove(FileIndex(6));
    profile.store_changes(&mut store).unwrap();
    assert_eq!(
        object(&store, ObjectId::Changes(SLOT)),
        hex!("01 00 02 03 02 6F07 03 00 2F0603 09 12 080910101032540637 0A 01 6F50 81 00 2F0603 02 06 09")
    );
}

#[test]
fn created_resized_and_deleted_files_come_back() {
    let (mut profile, mut store) = sample_stored();
    // EF.LOCI, which is in `Hot`, becomes longer: it is in `Changes` from then on, and what `Hot` says of it is past.
    profile.content_mut(LOCI).unwrap()[0] = 0x42;
    profile.store_hot(&mut store).unwrap();
    profile.files[4].content.resize(20, 0xEE);
    profile.files[4].definition = Definition::Changes;
    let directory = File { definition: Definition::Changes, ..file(1, 0x5F50, FileKind::Df, &[]) };
    profile.files.push(directory);
    profile.files.push(File { definition: Definition::Changes, ..file(9, 0x4F50, FileKind::Transparent, &hex!("AB")) });
    profile.files.push(File { definition: Definition::Changes, ..file(9, 0x4F51, FileKind::Transparent, &hex!("CD")) });
    // One that was installed, and one that was created.
    profile.remove(IMSI);
    profile.remove(FileIndex(10));
    profile.store_changes(&mut store).unwrap();
    for _ in 0..2 {
        let mut loaded = Profile::load(&store, SLOT).unwrap();
        assert_eq!((loaded.content(LOCI)[0], loaded.content(LOCI).len()), (0x42, 20));
        assert!(!loaded.is_hot(LOCI));
        assert_eq!(loaded.child(FileIndex(2), 0x6F07), None);
        assert_eq!(loaded.child(FileIndex(1), 0x5F50), Some(FileIndex(9)));
        assert_eq!(loaded.child(FileIndex(9), 0x4F50), None);
        assert_eq!(loaded.content(FileIndex(11)), hex!("CD"));
        // What is written later neither forgets nor mixes anything.
        loaded.content_mut(LOCI).unwrap()[1] = 0x43;
        assert_eq!(loaded.unsaved, Unsaved { hot: false, changes: true, updates: 0 });
        store_both(&mut loaded, &mut store);
    }
}

#[test]
fn definitions_that_contradict_the_base_are_corruption() {
    for (damage, what) in [
        (hex!("01 00 01 00 00 6F07 03 00 2F0603 00 00").to_vec(), "an EF in the place of the MF"),
        (hex!("01 00 01 01 00 6F07 03 00 2F0603 00 00").to_vec(), "an EF in the place of a DF"),
        (hex!("01 00 01 03 03 6F07 03 00 2F0603 00 00").to_vec(), "held by an EF"),
        (hex!("01 00 01 8008 02 6F07 03 00 2F0603 00 00").to_vec(), "beyond the most files"),
        (hex!("01 00 00 01 00").to_vec(), "the MF is deleted"),
    ] {
        let (_, mut store) = sample_stored();
        store.replace(ObjectId::Changes(SLOT), &damage).unwrap();
        let error = Profile::load(&store, SLOT).err();
        assert_eq!(error, Some(StoreError::Corrupt(ObjectId::Changes(SLOT))), "{what}");
    }
}

#[test]
fn what_is_stored_comes_back() {
    let (_, store) = sample_stored();
    assert_eq!(store.take_replaces(), 2);
    let mut loaded = Profile::load(&store, SLOT).unwrap();
    assert_eq!(loaded.unsaved, Unsaved::default());
    assert_eq!(loaded.metadata, sample().metadata);
    assert_eq!(Profile::load_metadata(&store, SLOT).unwrap(), Some(sample().metadata.clone()));
    assert_eq!(loaded.naas[2].seq, sample().naas[2].seq);
    assert_eq!(loaded.pins[0].puk.as_ref().unwrap().tries_left, 9);
    let mut again = MemoryStore::new();
    loaded.store_new(&mut again).unwrap();
    assert_eq!(again.snapshot(), store.snapshot());
}

#[test]
fn changes_go_where_they_belong() {
    let (mut profile, mut store) = sample_stored();
    profile.content_mut(LOCI).unwrap()[0] = 0x42;
    assert_eq!(profile.unsaved, Unsaved { hot: true, changes: false, updates: 0 });
    // Through the link at 7 to the file at 5.
    profile.content_mut(FileIndex(7)).unwrap()[0] = 0x01;
    profile.files[7].life_cycle = 5;
    profile.files[7].changed = true;
    assert_eq!(profile.unsaved, Unsaved { hot: true, changes: true, updates: 0 });
    store.take_replaces();
    store_both(&mut profile, &mut store);
    assert_eq!((store.take_replaces(), profile.unsaved), (2, Unsaved::default()));

    let mut loaded = Profile::load(&store, SLOT).unwrap();
    assert_eq!(loaded.content(LOCI)[0], 0x42);
    assert_eq!(loaded.content(FileIndex(5))[0], 0x01);
    assert_eq!(loaded.content(FileIndex(7)), loaded.content(FileIndex(5)));
    assert_eq!(loaded.files[7].life_cycle, 5);
    // A second write keeps what the first one changed.
    loaded.content_mut(IMSI).unwrap()[8] = 0x37;
    store_both(&mut loaded, &mut store);
    let loaded = Profile::load(&store, SLOT).unwrap();
    assert_eq!((loaded.content(IMSI)[8], loaded.content(FileIndex(5))[0]), (0x37, 0x01));
}

#[test]
fn a_ber_tlv_file_may_grow_within_its_limit() {
    let (mut profile, mut store) = sample_stored();
    profile.content_mut(FileIndex(8)).unwrap().resize(500, 0);
    profile.store_changes(&mut store).unwrap();
    assert_eq!(Profile::load(&store, SLOT).unwrap().content(FileIndex(8)).len(), 500);
    profile.content_mut(FileIndex(8)).unwrap().resize(501, 0);
    profile.store_changes(&mut store).unwrap();
    assert_eq!(Profile::load(&store, SLOT).err(), Some(StoreError::Corrupt(ObjectId::Changes(SLOT))));
}

#[test]
fn changes_of_a_deleted_profile_are_not_taken_over() {
    let (mut profile, mut store) = sample_stored();
    profile.content_mut(IMSI).unwrap()[8] = 0x37;
    profile.store_changes(&mut store).unwrap();
    sample().store_new(&mut store).unwrap();
    assert_eq!(Profile::load(&store, SLOT).unwrap().content(IMSI)[8], 0x36);
}

#[test]
fn missing_base_or_hot_is_corruption() {
    for id in [ObjectId::Base(SLOT), ObjectId::Hot(SLOT)] {
        let (_, mut store) = sample_stored();
        store.remove(id).unwrap();
        assert_eq!(Profile::load(&store, SLOT).err(), Some(StoreError::Corrupt(id)));
    }
    assert_eq!(Profile::load_metadata(&MemoryStore::new(), SLOT), Ok(None));
}

#[test]
fn cut_off_and_lengthened_objects_are_corruption() {
    let (mut profile, mut store) = sample_stored();
    profile.content_mut(IMSI).unwrap()[8] = 0x37;
    store_both(&mut profile, &mut store);
    for id in [ObjectId::Base(SLOT), ObjectId::Hot(SLOT), ObjectId::Changes(SLOT)] {
        let whole = object(&store, id);
        let cuts = (0..whole.len()).map(|length| whole[..length].to_vec());
        for damaged in cuts.chain([[&whole[..], &[0]].concat(), [&[2], &whole[1..]].concat()]) {
            store.replace(id, &damaged).unwrap();
            assert_eq!(Profile::load(&store, SLOT).err(), Some(StoreError::Corrupt(id)));
        }
        store.replace(id, &whole).unwrap();
    }
}

#[test]
fn files_are_found() {
    let profile = sample();
    assert_eq!(profile.child(FileIndex(2), 0x6F07), Some(IMSI));
    assert_eq!(profile.child_by_sfi(FileIndex(2), 0x0B), Some(LOCI));
    assert_eq!(profile.child(FileIndex::MF, 0x7FD0), None, "an ADF is not selected by its temporary identifier");
    assert_eq!(profile.child(FileIndex::MF, 0x3F00), None);
    assert_eq!(profile.adfs().map(|(index, _)| index).collect::<Vec<_>>(), [FileIndex(2)]);
    assert_eq!(profile.directory_of(LOCI), FileIndex(2));
}

#[test]
fn pins_are_found_by_context() {
    let profile = sample();
    assert_eq!(profile.pin_index(0x01, FileIndex(2)), Some(0));
    assert_eq!(profile.pin_index(0x81, FileIndex(2)), Some(1));
    assert_eq!(profile.pin_index(0x81, LOCI), Some(1));
    assert_eq!(profile.pin_index(0x81, FileIndex(1)), Some(1), "shared");
    assert_eq!(profile.pin_index(0x81, FileIndex::MF), None);
    assert_eq!(profile.pin_index(0x02, FileIndex(2)), None);
    assert_eq!(profile.pin_index(0x81, FileIndex(900)), None);
}

proptest! {
    #[test]
    fn damaged_objects_never_panic(
        at in 0usize..600,
        byte in any::<u8>(),
        which in 0usize..3,
        administered in any::<bool>(),
    ) {
        let (mut profile, mut store) = sample_stored();
        profile.content_mut(IMSI).unwrap()[8] = 0x37;
        if administered {
            profile.files.push(File { definition: Definition::Changes, ..file(1, 0x5F50, FileKind::Df, &[]) });
            profile.remove(FileIndex(6));
        }
        store_both(&mut profile, &mut store);
        let id = [ObjectId::Base(SLOT), ObjectId::Hot(SLOT), ObjectId::Changes(SLOT)][which];
        let mut damaged = object(&store, id);
        let at = at % damaged.len();
        damaged[at] = byte;
        store.replace(id, &damaged).unwrap();
        if let Ok(mut profile) = Profile::load(&store, SLOT) {
            // What is accepted can be stored and read again.
            store_both(&mut profile, &mut store);
            prop_assert!(Profile::load(&store, SLOT).is_ok());
            if profile.files.iter().all(|file| file.definition == Definition::Base) {
                let mut again = MemoryStore::new();
                profile.store_new(&mut again).unwrap();
                profile.store_changes(&mut again).unwrap();
                prop_assert!(Profile::load(&again, SLOT).is_ok());
            }
        }
    }
}
