//! The bound profile package: what is built is cut, streamed and decrypted again, and what is not built so is refused.

use teuicc_rsp::bpp::{BppContents, BppItem, BppStream, MAX_OBJECT, segments};
use teuicc_rsp::codes::{BppCommandId, ErrorReason};
use teuicc_rsp::scp03t::{Scp03t, Scp03tError, SessionKeys};
use teuicc_rsp::tags;
use teuicc_tlv::{Tag, Writer};

fn keys(number: u8) -> SessionKeys {
    SessionKeys::new(&[number; 16], &[number + 1; 16], &[number + 2; 16])
}

fn tlv(tag: u32, value: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.primitive(Tag(tag), value).unwrap();
    writer.into_bytes()
}

/// A package of these contents; the secure channel request is none, which the stream does not look into.
fn package(metadata: &[u8], profile: &[u8], profile_protection_keys: Option<&SessionKeys>) -> Vec<u8> {
    BppContents {
        initialise_secure_channel: &tlv(0xBF23, &[1, 2, 3]),
        configure_isdp: &[0xBF, 0x24, 0x00],
        store_metadata: metadata,
        profile_protection_keys,
        profile,
    }
    .build(keys(1))
    .unwrap()
}

/// Reads all of `segments` with a stream and decrypts it: the metadata, and the profile.
fn receive(segments: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
    let mut stream = BppStream::new();
    let mut channel = Scp03t::new(keys(1));
    let (mut metadata, mut profile) = (Vec::new(), Vec::new());
    let mut metadata_ended = false;
    for segment in segments {
        let mut rest = *segment;
        while let Some(item) = stream.next(&mut rest).unwrap() {
            match item {
                BppItem::InitialiseSecureChannel(object) => assert_eq!(object.value, [1, 2, 3]),
                BppItem::ConfigureIsdp(object) => {
                    assert_eq!(*channel.unprotect(&object).unwrap(), [0xBF, 0x24, 0x00]);
                }
                BppItem::Metadata { object, last } => {
                    metadata.extend_from_slice(&channel.unprotect(&object).unwrap());
                    metadata_ended = last;
                }
                BppItem::ReplaceSessionKeys(object) => {
                    assert!(metadata_ended);
                    let content = channel.unprotect(&object).unwrap();
                    channel.replace_keys(SessionKeys::from_replace_session_keys(&content).unwrap());
                }
                BppItem::Element { object, last } => {
                    profile.extend_from_slice(&channel.unprotect(&object).unwrap());
                    assert_eq!(last, stream.is_complete());
                }
            }
        }
    }
    assert!(stream.is_complete());
    (metadata, profile)
}

#[test]
fn packages_go_both_ways() {
    for (metadata, profile) in [(1, 1), (50, 1006), (1007, 1007), (1500, 1008), (3000, 20_000)] {
        let (metadata, profile) = (vec![0x5A; metadata], (0..profile).map(|byte| byte as u8).collect::<Vec<_>>());
        for protection in [None, Some(&keys(9))] {
            let bpp = package(&metadata, &profile, protection);
            let segments = segments(&bpp).unwrap();
            assert_eq!(segments.concat(), bpp);
            assert!(segments.iter().all(|segment| segment.len() <= 1020));
            assert_eq!(receive(&segments), (metadata.clone(), profile.clone()));
            // An LPA may cut otherwise, between objects; here it does not cut at all.
            assert_eq!(receive(&[&bpp]), (metadata.clone(), profile.clone()));
        }
    }
}

/// What a stream says of `bytes`, given as one segment.
fn refusal(bytes: &[u8]) -> Option<BppCommandId> {
    let mut stream = BppStream::new();
    let mut rest = bytes;
    loop {
        match stream.next(&mut rest) {
            Ok(Some(_)) => (),
            Ok(None) => return None,
            Err(error) => return Some(error.command_id),
        }
    }
}

fn outer(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0xBF36, &parts.concat())
}

#[test]
fn packages_with_a_wrong_structure_are_refused() {
    let isc = tlv(0xBF23, &[1]);
    let object = |tag: u32| tlv(tag, &[0; 24]);
    let (first, metadata) = (tlv(0xA0, &object(0x87)), tlv(0xA1, &object(0x88)));
    let (second, elements) = (tlv(0xA2, &object(0x87)), tlv(0xA3, &object(0x86)));
    let good = outer(&[isc.clone(), first.clone(), metadata.clone(), second.clone(), elements.clone()]);
    assert_eq!(refusal(&good), None);
    let without_second = outer(&[isc.clone(), first.clone(), metadata.clone(), elements.clone()]);
    assert_eq!(refusal(&without_second), None);

    use BppCommandId::*;
    for (parts, command_id) in [
        (vec![first.clone()], InitialiseSecureChannel),
        (vec![isc.clone(), metadata.clone()], ConfigureIsdp),
        (vec![isc.clone(), tlv(0xA0, &[]), metadata.clone()], ConfigureIsdp),
        (vec![isc.clone(), tlv(0xA0, &object(0x86))], ConfigureIsdp),
        (vec![isc.clone(), tlv(0xA0, &[object(0x87), object(0x87)].concat())], ConfigureIsdp),
        (vec![isc.clone(), first.clone()], ConfigureIsdp),
        (vec![isc.clone(), first.clone(), elements.clone()], StoreMetadata),
        (vec![isc.clone(), first.clone(), metadata.clone()], StoreMetadata),
        (vec![isc.clone(), first.clone(), metadata.clone(), first.clone()], ReplaceSessionKeys),
        (vec![isc.clone(), first.clone(), metadata.clone(), second.clone()], ReplaceSessionKeys),
        (vec![isc.clone(), first.clone(), metadata.clone(), second.clone(), second.clone()], LoadProfileElements),
        (vec![isc.clone(), first.clone(), metadata.clone(), elements.clone(), elements.clone()], LoadProfileElements),
    ] {
        assert_eq!(refusal(&outer(&parts)), Some(command_id), "{parts:02X?}");
    }
    // More after the package, an object longer than its sequence, a sequence longer than the package, a cut object.
    assert_eq!(refusal(&[good.clone(), vec![0x86, 0x00]].concat()), Some(LoadProfileElements));
    let longer = [vec![0xA1, 0x10], object(0x88)].concat();
    assert_eq!(refusal(&outer(&[isc.clone(), first.clone(), longer])), Some(StoreMetadata));
    let longer = [vec![0xA1, 0x40], object(0x88)].concat();
    assert_eq!(refusal(&outer(&[isc.clone(), first.clone(), longer])), Some(StoreMetadata));
    assert_eq!(refusal(&good[..good.len() - 1]), Some(LoadProfileElements));
    let huge = tlv(0xA0, &tlv(0x87, &[0; MAX_OBJECT]));
    assert_eq!(refusal(&outer(&[isc, huge])), Some(ConfigureIsdp));
    assert!(segments(&good[..20]).is_err() && segments(&[]).is_err());
}

#[test]
fn a_changed_piece_is_a_security_error() {
    let bpp = package(&[1; 40], &[2; 40], None);
    let mut changed = bpp.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let mut stream = BppStream::new();
    let mut channel = Scp03t::new(keys(1));
    let mut rest = changed.as_slice();
    let mut results = Vec::new();
    while let Some(item) = stream.next(&mut rest).unwrap() {
        match item {
            BppItem::ConfigureIsdp(object) | BppItem::Metadata { object, .. } | BppItem::Element { object, .. } => {
                results.push(channel.unprotect(&object).map(|_| ()));
            }
            _ => (),
        }
    }
    assert_eq!(results, [Ok(()), Ok(()), Err(Scp03tError::Security)]);
    assert_eq!(Scp03tError::Security.error_reason(), ErrorReason::Scp03tSecurityError);
    assert_eq!(Scp03tError::Structure.error_reason(), ErrorReason::Scp03tStructureError);
    assert_eq!(tags::BOUND_PROFILE_PACKAGE, Tag(0xBF36));
}
