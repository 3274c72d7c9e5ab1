//! What the files of a built profile hold.

use super::{ADM1, BuildError, PIN1, PIN2, Result};
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use teuicc_tlv::{Tag, TryBytes, Writer};

/// EF UMPC (TS 102 221 section 13.6): at most 60 mA, 60 ms for a start.
pub(super) const UMPC: [u8; 5] = [0x3C, 0x3C, 0x00, 0x00, 0x00];

/// Length of a record of EF ECC: the number, no name, the category.
pub(super) const ECC_RECORD_LEN: usize = 4;

/// EF ECC (TS 31.102 section 4.2.21): 112 and 911, no category.
pub(super) const ECC: [u8; 8] = [0x11, 0xF2, 0xFF, 0x00, 0x19, 0xF1, 0xFF, 0x00];

/// Access technologies of EF HPLMNwAcT (TS 31.102 section 4.2.5): UTRAN, E-UTRAN, NG-RAN; GSM.
const ALL_ACCESS_TECHNOLOGIES: [u8; 2] = [0xC8, 0x80];

/// Longest identity of the ISIM, in bytes.
const MAX_IDENTITY: usize = 200;

/// A linear fixed EF.
pub(super) struct Rules {
    pub(super) record_len: usize,
    pub(super) bytes: Vec<u8>,
}

/// Who may do it (TS 102 221 section 9.2.8: security condition DOs).
#[derive(Clone, Copy)]
enum Who {
    Always,
    Never,
    Key(u8),
}

/// What (TS 102 221 section 9.2.7: access mode DO for EFs and DFs).
#[derive(Clone, Copy)]
enum Mode {
    /// Bits of the access mode byte.
    Bits(u8),
    /// A command by its instruction byte.
    Instruction(u8),
}

const READ: u8 = 0x01;
const UPDATE: u8 = 0x02;
/// Delete, activate and deactivate.
const MANAGE: u8 = 0x58;
/// All of a DF's access mode bits but terminate.
const DIRECTORY: u8 = 0x5F;
const INCREASE: u8 = 0x32;

/// EF ARR with the record numbers that the templates use.
pub(super) fn arr() -> Result<Rules> {
    use Mode::{Bits, Instruction};
    use Who::{Always, Key, Never};
    let (pin1, pin2, adm) = (Key(PIN1), Key(PIN2), Key(ADM1));
    let always_pin1: &[(Mode, Who)] = &[(Bits(READ), Always), (Bits(UPDATE), pin1), (Bits(MANAGE), adm)];
    let pin1_adm: &[(Mode, Who)] = &[(Bits(READ), pin1), (Bits(UPDATE | MANAGE), adm)];
    let adm_only: &[(Mode, Who)] = &[(Bits(READ | UPDATE | MANAGE), adm)];
    let pin1_pin1: &[(Mode, Who)] = &[(Bits(READ | UPDATE), pin1), (Bits(MANAGE), adm)];
    let counter: &[(Mode, Who)] =
        &[(Bits(READ), pin1), (Instruction(INCREASE), pin1), (Bits(UPDATE), pin2), (Bits(MANAGE), adm)];
    let pin1_pin2: &[(Mode, Who)] = &[(Bits(READ), pin1), (Bits(UPDATE), pin2), (Bits(MANAGE), adm)];
    let always_adm: &[(Mode, Who)] = &[(Bits(READ), Always), (Bits(UPDATE | MANAGE), adm)];
    let always_never: &[(Mode, Who)] = &[(Bits(READ), Always), (Bits(UPDATE | MANAGE), Never)];
    let directory: &[(Mode, Who)] = &[(Bits(DIRECTORY), adm)];
    let by_record = [
        always_pin1,
        pin1_adm,
        adm_only,
        adm_only,
        pin1_pin1,
        adm_only,
        counter,
        pin1_pin2,
        always_pin1,
        always_adm,
        always_never,
        adm_only,
        adm_only,
        directory,
    ];
    let mut records = Vec::new();
    for rules in by_record {
        records.try_push(rule(rules)?)?;
    }
    padded(&records)
}

/// One record of EF ARR.
fn rule(rules: &[(Mode, Who)]) -> Result<Vec<u8>> {
    let mut out = Writer::new();
    for (mode, who) in rules {
        match mode {
            Mode::Bits(bits) => out.primitive(Tag(0x80), &[*bits])?,
            Mode::Instruction(instruction) => out.primitive(Tag(0x84), &[*instruction])?,
        }
        match who {
            Who::Always => out.primitive(Tag(0x90), &[])?,
            Who::Never => out.primitive(Tag(0x97), &[])?,
            // The key reference, and as usage qualifier "user authentication".
            Who::Key(key) => out.primitive(Tag(0xA4), &[0x83, 0x01, *key, 0x95, 0x01, 0x08])?,
        }
    }
    Ok(out.into_bytes())
}

/// Records of the length of the longest, the others padded with FF.
fn padded(records: &[Vec<u8>]) -> Result<Rules> {
    let record_len = records.iter().map(Vec::len).max().unwrap_or(0);
    let mut bytes = Vec::new();
    for record in records {
        let end = bytes.len().saturating_add(record_len);
        bytes.try_extend(record)?;
        bytes.try_resize(end, 0xFF)?;
    }
    Ok(Rules { record_len, bytes })
}

/// EF DIR (TS 102 221 section 13.1): an application template for each AID and label.
pub(super) fn dir(applications: &[(&[u8], &str)]) -> Result<Rules> {
    let mut records = Vec::new();
    for (aid, label) in applications {
        let mut out = Writer::new();
        out.nested(Tag(0x61), |out| {
            out.primitive(Tag(0x4F), aid)?;
            out.primitive(Tag(0x50), label.as_bytes())
        })?;
        records.try_push(out.into_bytes())?;
    }
    padded(&records)
}

/// The digits of a decimal number. Errors: something else, or not in the range.
fn digits(name: &'static str, text: &str, count: RangeInclusive<usize>, must_be: &'static str) -> Result<Vec<u8>> {
    if !count.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BuildError::Field { name, must_be });
    }
    let mut digits = Vec::new();
    for byte in text.bytes() {
        digits.try_push(byte & 0x0F)?;
    }
    Ok(digits)
}

/// Ten bytes, two digits each, the first in the high nibble, padded with F.
pub(super) fn packed_digits(name: &'static str, text: &str, count: RangeInclusive<usize>) -> Result<[u8; 10]> {
    let digits = digits(name, text, count, "18 to 20 decimal digits")?;
    let mut packed = [0xFF; 10];
    for (to, pair) in packed.iter_mut().zip(digits.chunks(2)) {
        *to = match pair {
            [high, low] => (high << 4) | low,
            [high] => (high << 4) | 0x0F,
            _ => 0xFF,
        };
    }
    Ok(packed)
}

/// Each byte's nibbles exchanged: the coding of digits in the files.
pub(super) fn swapped(packed: &[u8; 10]) -> [u8; 10] {
    packed.map(|byte| byte.rotate_left(4))
}

/// Digits with the first in the low nibble, padded with F.
fn bcd(digits: impl Iterator<Item = u8>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut digits = digits.peekable();
    while let Some(low) = digits.next() {
        bytes.try_push((digits.next().unwrap_or(0x0F) << 4) | low)?;
    }
    Ok(bytes)
}

/// EF IMSI (TS 31.102 section 4.2.2): length, then parity and digits; 9 bytes.
pub(super) fn imsi(text: &str) -> Result<[u8; 9]> {
    let digits = digits("imsi", text, 6..=15, "6 to 15 decimal digits")?;
    let parity = if digits.len() % 2 == 1 { 0x09 } else { 0x01 };
    let coded = bcd(core::iter::once(parity).chain(digits))?;
    let mut file = [0xFF; 9];
    let length = u8::try_from(coded.len()).map_err(|_| BuildError::Encoding)?;
    for (to, from) in file.iter_mut().zip(core::iter::once(length).chain(coded)) {
        *to = from;
    }
    Ok(file)
}

/// The digits of MCC and MNC, the MNC filled to three with `filler`. Errors: `imsi` or `mnc_len` is bad.
fn network(imsi: &str, mnc_len: u8, filler: u8) -> Result<[u8; 6]> {
    let digits = digits("imsi", imsi, 6..=15, "6 to 15 decimal digits")?;
    match (digits.as_slice(), mnc_len) {
        ([a, b, c, d, e, ..], 2) => Ok([*a, *b, *c, *d, *e, filler]),
        ([a, b, c, d, e, f, ..], 3) => Ok([*a, *b, *c, *d, *e, *f]),
        _ => Err(BuildError::Field { name: "mnc_len", must_be: "2 or 3" }),
    }
}

/// One entry of EF HPLMNwAcT: the home network by all access technologies.
pub(super) fn plmn_with_access(imsi: &str, mnc_len: u8) -> Result<[u8; 5]> {
    let [a, b, c, d, e, f] = network(imsi, mnc_len, 0x0F)?;
    let [first, second] = ALL_ACCESS_TECHNOLOGIES;
    Ok([(b << 4) | a, (f << 4) | c, (e << 4) | d, first, second])
}

/// A PIN, PUK or ADM of `least` to 8 digits, as characters padded with FF.
pub(super) fn code(name: &'static str, text: &str, least: usize) -> Result<[u8; 8]> {
    if !(least..=8).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let must_be = if least == 8 { "8 decimal digits" } else { "4 to 8 decimal digits" };
        return Err(BuildError::Field { name, must_be });
    }
    let mut value = [0xFF; 8];
    value.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    Ok(value)
}

/// EF SPN (TS 31.102 section 4.2.12): to be shown with the registered network, then the name, padded with FF.
pub(super) fn service_provider_name(name: &str) -> Result<[u8; 17]> {
    // Of the default alphabet of TS 23.038 only what is coded as in ASCII.
    let same = |byte: u8| byte == b' ' || byte.is_ascii_alphanumeric() || b"!\"#%&'()*+,-./:;<=>?".contains(&byte);
    if name.len() > 16 || !name.bytes().all(same) {
        let must_be = "at most 16 letters, digits, spaces or simple punctuation";
        return Err(BuildError::Field { name: "service_provider_name", must_be });
    }
    let mut file = [0xFF; 17];
    file.iter_mut().zip(core::iter::once(0x01).chain(name.bytes())).for_each(|(to, from)| *to = from);
    Ok(file)
}

/// EF MSISDN (TS 31.102 section 4.2.26): a record of 24 bytes with a name of 10, which is empty.
pub(super) fn msisdn(text: &str) -> Result<[u8; 24]> {
    let (number_type, number) = match text.strip_prefix('+') {
        Some(number) => (0x91, number),
        None => (0x81, text),
    };
    let digits = digits("msisdn", number, 1..=20, "1 to 20 decimal digits, after + if international")?;
    let coded = bcd(digits.into_iter())?;
    let length = u8::try_from(coded.len().saturating_add(1)).map_err(|_| BuildError::Encoding)?;
    let mut record = [0xFF; 24];
    let entry = [length, number_type].into_iter().chain(coded);
    record.iter_mut().skip(10).zip(entry).for_each(|(to, from)| *to = from);
    Ok(record)
}

/// A service table with these services.
pub(super) fn service_table<const N: usize>(services: impl Iterator<Item = u16>) -> [u8; N] {
    let mut table = [0u8; N];
    for index in services.filter_map(|service| service.checked_sub(1)) {
        if let Some(byte) = table.get_mut(usize::from(index >> 3)) {
            *byte |= 1 << (index & 7);
        }
    }
    table
}

/// The given home network domain name, or `ims.mnc015.mcc234.3gppnetwork.org` (TS 23.003 section 13.2).
pub(super) fn home_domain(imsi: &str, mnc_len: u8, given: Option<&str>) -> Result<Vec<u8>> {
    if let Some(domain) = given {
        return identity("domain", domain);
    }
    let [a, b, c, d, e, f] = network(imsi, mnc_len, 0x0F)?.map(|digit| digit | b'0');
    let mnc = if mnc_len == 2 { [b'0', d, e] } else { [d, e, f] };
    let mut domain = Vec::new();
    for part in [&b"ims.mnc"[..], &mnc, b".mcc", &[a, b, c], b".3gppnetwork.org"] {
        domain.try_extend(part)?;
    }
    Ok(domain)
}

/// The given private identity, or IMSI and domain (TS 23.003 section 13.3).
pub(super) fn private_identity(imsi: &str, domain: &[u8], given: Option<&str>) -> Result<Vec<u8>> {
    if let Some(identity_given) = given {
        return identity("impi", identity_given);
    }
    let mut name = Vec::new();
    for part in [imsi.as_bytes(), b"@", domain] {
        name.try_extend(part)?;
    }
    Ok(name)
}

/// The given public identity, or the private one as a SIP URI (TS 23.003 section 13.4B).
pub(super) fn public_identity(impi: &[u8], given: Option<&str>) -> Result<Vec<u8>> {
    if let Some(uri) = given {
        return identity("impu", uri);
    }
    let mut uri = Vec::new();
    uri.try_extend(b"sip:")?;
    uri.try_extend(impi)?;
    Ok(uri)
}

fn identity(name: &'static str, text: &str) -> Result<Vec<u8>> {
    if !(1..=MAX_IDENTITY).contains(&text.len()) {
        return Err(BuildError::Field { name, must_be: "1 to 200 bytes of text" });
    }
    Ok(teuicc_tlv::try_copy(text.as_bytes())?)
}

/// As the files of the ISIM hold text: tag 80, length, UTF-8 (TS 31.103 section 4.2.2).
pub(super) fn wrapped(text: &[u8]) -> Result<Vec<u8>> {
    let mut out = Writer::new();
    out.primitive(Tag(0x80), text)?;
    Ok(out.into_bytes())
}
