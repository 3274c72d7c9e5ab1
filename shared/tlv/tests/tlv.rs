//! Tags, lengths and values: what the specifications spell, byte by byte.

use hex_literal::hex;
use proptest::prelude::*;
use teuicc_tlv::{ErrorKind, Reader, Tag, Tlv, Writer, leading_length};

/// A request recorded from a card that is not ours (EnableProfile by ICCID, refreshFlag 0).
const ENABLE: [u8; 20] = hex!("BF3111A00C5A0A98001032547698103214810100");

#[test]
fn a_recorded_request_reads_member_by_member() {
    let enable = Tlv::parse(&ENABLE, Tag(0xBF31)).unwrap();
    let mut members = enable.members();
    let choice = members.expect(Tag(0xA0)).unwrap();
    let iccid = Tlv::parse(choice.value, Tag(0x5A)).unwrap();
    assert_eq!(iccid.value, hex!("98001032547698103214"));
    assert_eq!(iccid.raw, hex!("5A0A98001032547698103214"));
    let refresh = members.expect(Tag(0x81)).unwrap();
    assert!(!refresh.boolean().unwrap());
    members.finish().unwrap();
}

#[test]
fn the_writer_gives_the_same_bytes() {
    let mut writer = Writer::new();
    writer
        .nested(Tag(0xBF31), |w| {
            w.nested(Tag(0xA0), |w| w.primitive(Tag(0x5A), &hex!("98001032547698103214")))?;
            w.boolean(Tag(0x81), false)
        })
        .unwrap();
    assert_eq!(writer.into_bytes(), ENABLE);
}

#[test]
fn every_error_says_where() {
    let error = Tlv::parse(&hex!("BF31 03 8101"), Tag(0xBF31)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Truncated);
    let error = Tlv::parse(&hex!("5F37 00 00"), Tag(0x5F37)).unwrap_err();
    assert_eq!((error.kind, error.offset), (ErrorKind::TrailingData, 3));
    let error = Reader::new(&hex!("3000")).expect(Tag(0x04)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::UnexpectedTag { expected: Tag(0x04) });
    // Indefinite and non-minimal lengths are not DER.
    assert_eq!(Reader::new(&hex!("3080 0000")).read().unwrap_err().kind, ErrorKind::Encoding);
    assert_eq!(Reader::new(&hex!("04 81 01 00")).read().unwrap_err().kind, ErrorKind::Encoding);
}

#[test]
fn bit_strings_count_from_the_first_bit_on_the_wire() {
    // Both forms of notificationEvent install that are seen on cards.
    for form in [hex!("81 02 07 80"), hex!("81 02 00 80")] {
        assert_eq!(Tlv::parse(&form, Tag(0x81)).unwrap().bits().unwrap(), 1);
    }
    let mut writer = Writer::new();
    writer.bits(Tag(0x81), 1).unwrap();
    writer.bits(Tag(0x81), 0).unwrap();
    writer.bits(Tag(0x81), 1 << 31).unwrap();
    assert_eq!(writer.into_bytes(), hex!("81020780 810100 81050000000001"));
}

#[test]
fn a_length_that_is_not_all_there_asks_for_more() {
    assert_eq!(leading_length(&hex!("BF")).unwrap(), None);
    assert_eq!(leading_length(&hex!("BF36 82 30")).unwrap(), None);
    assert_eq!(leading_length(&hex!("BF36 82 3000")).unwrap(), Some((Tag(0xBF36), 5, 0x3000)));
}

proptest! {
    #[test]
    fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        for tlv in Reader::new(&bytes) {
            let Ok(tlv) = tlv else { break };
            let _ = (tlv.unsigned(), tlv.boolean(), tlv.bits(), tlv.text(10));
            let _ = tlv.members().skip_rest();
        }
    }

    #[test]
    fn what_is_written_reads_back(number in any::<u32>(), bits in any::<u32>(), value in proptest::collection::vec(any::<u8>(), 0..700)) {
        let mut writer = Writer::new();
        writer.nested(Tag(0xBF55), |w| {
            w.unsigned(Tag::INTEGER, number)?;
            w.bits(Tag(0x85), bits)?;
            w.primitive(Tag(0x5F49), &value)
        }).unwrap();
        let bytes = writer.into_bytes();
        let mut members = Tlv::parse(&bytes, Tag(0xBF55)).unwrap().members();
        prop_assert_eq!(members.expect(Tag::INTEGER).unwrap().unsigned().unwrap(), number);
        prop_assert_eq!(members.expect(Tag(0x85)).unwrap().bits().unwrap(), bits);
        prop_assert_eq!(members.expect(Tag(0x5F49)).unwrap().value, &value[..]);
        members.finish().unwrap();
    }
}
