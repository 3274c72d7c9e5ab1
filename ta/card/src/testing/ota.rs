//! The operator's side of remote management: profile elements with keys and applications, command packets in
//! ENVELOPEs, and what the responses say.

use crate::ota::testing::{Algorithm, Key};
use alloc::vec::Vec;
use teuicc_tlv::{Tag, Writer};

/// TAR of the remote file management application of [`elements`] that has full access to the files of the MF.
pub const TAR_FILES: [u8; 3] = [0xB0, 0x00, 0x01];
/// The one that has full access to the USIM, but no administrative one, and none to other files.
pub const TAR_USIM: [u8; 3] = [0xB0, 0x00, 0x02];
/// The one that has no access to anything.
pub const TAR_NOTHING: [u8; 3] = [0xB0, 0x00, 0x03];
/// The MNO-SD.
pub const TAR_DOMAIN: [u8; 3] = [0x00, 0x00, 0x00];

/// KIc, then KID, of each key set of [`elements`], by key version number: AES of 16, 24 and 32 bytes, triple DES of 16
/// and 24 bytes, and single DES.
pub const KEYS: [(u8, &[u8], &[u8]); 6] = [
    (1, b"\xA6\x1Bsixteen bytes.", b"\x5E\xC7SIXTEEN BYTES."),
    (2, b"\xA6\x1Btwenty-four bytes long", b"\x5E\xC7TWENTY-FOUR BYTES LONG"),
    (3, b"\xA6\x1Bthirty-two bytes of any origin", b"\x5E\xC7THIRTY-TWO BYTES OF ANY ORIGIN"),
    (4, b"\xA6\x1Bdes of 2 keys\x8F", b"\x5E\xC7DES OF 2 KEYS\x8F"),
    (5, b"\xA6\x1Btriple des of 3 keys\x8F\x8F", b"\x5E\xC7TRIPLE DES OF 3 KEYS\x8F\x8F"),
    (6, b"\xA6\x1Bsingle", b"\x5E\xC7SINGLE"),
];

/// A minimum security level: a cryptographic checksum.
pub const CHECKSUM: u8 = 0x02;

/// Full access to files, and full administrative access: the access domain parameters of [`rfm`].
pub const FULL: [&[u8]; 2] = [&[0x00], &[0x00]];

/// The profile elements of a security domain with [`KEYS`] and of the three applications, for
/// [`crate::profile::Profile::kept`] of a profile whose USIM has the AID `usim`.
#[must_use]
pub fn elements(usim: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    // There is memory in tests.
    let _ = write_elements(&mut writer, usim);
    writer.into_bytes()
}

fn write_elements(writer: &mut Writer, usim: &[u8]) -> Result<(), teuicc_tlv::Error> {
    let sets = KEYS.iter().flat_map(|(version, kic, kid)| {
        let key = |key| DomainKey { key_type: if *version < 4 { 0x88 } else { 0x80 }, ..DomainKey::new(*version, key) };
        [key(kic), key(kid)]
    });
    security_domain(writer, &sets.collect::<Vec<_>>())?;
    const NONE: [&[u8]; 2] = [&[0xFF], &[0xFF]];
    rfm(writer, TAR_FILES, CHECKSUM, FULL, None)?;
    rfm(writer, TAR_USIM, 0x16, NONE, Some((usim, [&[0x00], &[0xFF]])))?;
    rfm(writer, TAR_NOTHING, CHECKSUM, NONE, Some((usim, [&[0x02, 0x00, 0x00, 0x01]; 2])))
}

/// A key of a security domain.
#[derive(Clone, Copy)]
pub struct DomainKey<'a> {
    /// Key version number.
    pub version: u8,
    /// Key type: 88 AES, 80 DES.
    pub key_type: u8,
    /// The key.
    pub key: &'a [u8],
    /// keyCounterValue.
    pub counter: Option<&'a [u8]>,
}

impl<'a> DomainKey<'a> {
    /// An AES key without a counter of its own.
    #[must_use]
    pub fn new(version: u8, key: &'a [u8]) -> Self {
        DomainKey { version, key_type: 0x88, key, counter: None }
    }
}

/// A security domain (PE-SecurityDomain) with these keys: the first one of a version is KIc (key identifier 1), the
/// next one KID (2).
pub fn security_domain(writer: &mut Writer, keys: &[DomainKey<'_>]) -> Result<(), teuicc_tlv::Error> {
    writer.nested(Tag(0xA6), |writer| {
        writer.raw(&[0xA0, 0x03, 0x81, 0x01, 0x70])?;
        writer.nested(Tag(0xA1), |writer| {
            for aid in
                [&b"\xA0\x00\x00\x01\x51\x53\x50"[..], b"\xA0\x00\x00\x01\x51\x53\x50A", b"\xA0\x00\x00\x01\x51\0\0\0"]
            {
                writer.primitive(Tag(0x4F), aid)?;
            }
            writer.raw(&[0x82, 0x03, 0x82, 0xDC, 0x00, 0x83, 0x01, 0x0F, 0xC9, 0x00])?;
            // Minimum security level 02, TARs B20100 and 000000.
            let toolkit = b"\x01\x00\x00\x00\x00\x02\x01\x02\x06\xB2\x01\x00\x00\x00\x00\x00";
            writer.nested(Tag(0xEA), |writer| writer.primitive(Tag(0x80), toolkit))
        })?;
        writer.nested(Tag(0xA2), |writer| {
            let mut previous = 0;
            for key in keys {
                let identifier = if key.version == previous { 2 } else { 1 };
                previous = key.version;
                writer.nested(Tag::SEQUENCE, |writer| {
                    writer.raw(&[0x95, 0x01, 0x18, 0x82, 0x01, identifier, 0x83, 0x01, key.version])?;
                    if let Some(counter) = key.counter {
                        writer.primitive(Tag(0x85), counter)?;
                    }
                    writer.nested(Tag::SEQUENCE, |writer| {
                        writer.nested(Tag::SEQUENCE, |writer| {
                            writer.primitive(Tag(0x80), &[key.key_type])?;
                            writer.primitive(Tag(0x86), key.key)
                        })
                    })
                })?;
            }
            Ok::<_, teuicc_tlv::Error>(())
        })
    })
}

/// A remote file management application (PE-RFM): TAR, minimum security level, access domain and administrative access
/// domain for the UICC, AID of an ADF with the same for it.
pub fn rfm(
    writer: &mut Writer,
    tar: [u8; 3],
    minimum: u8,
    [access, administration]: [&[u8]; 2],
    adf: Option<(&[u8], [&[u8]; 2])>,
) -> Result<(), teuicc_tlv::Error> {
    writer.nested(Tag(0xA7), |writer| {
        // Each TAR is that of one application: its last byte makes the identification.
        writer.raw(&[0xA0, 0x03, 0x81, 0x01, 0x70 | (tar[2] & 0x0F)])?;
        writer.primitive(Tag(0x4F), b"\xA0\x00\x00\x05\x59\x10\x10\x00\x01")?;
        writer.nested::<teuicc_tlv::Error>(Tag(0xA0), |writer| writer.primitive(Tag::OCTET_STRING, &tar))?;
        writer.primitive(Tag(0x81), &[minimum])?;
        writer.primitive(Tag::OCTET_STRING, access)?;
        writer.primitive(Tag::OCTET_STRING, administration)?;
        let Some((aid, [access, administration])) = adf else { return Ok(()) };
        writer.nested(Tag::SEQUENCE, |writer| {
            writer.primitive(Tag(0x80), aid)?;
            writer.primitive(Tag(0x81), access)?;
            writer.primitive(Tag(0x82), administration)
        })
    })
}

/// An operator's server.
#[derive(Clone)]
pub struct Server {
    /// SPI1 and SPI2.
    pub spi: [u8; 2],
    /// KIc and its key.
    pub kic: (u8, Vec<u8>),
    /// KID and its key.
    pub kid: (u8, Vec<u8>),
    /// Which application.
    pub tar: [u8; 3],
    /// The counter of the packet.
    pub counter: u64,
    /// Length of the checksum in bytes.
    pub checksum_length: usize,
}

/// What a response packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// TAR.
    pub tar: [u8; 3],
    /// The counter.
    pub counter: u64,
    /// Response status code.
    pub status: u8,
    /// Response data without padding.
    pub data: Vec<u8>,
}

impl Server {
    /// A server with the AES-128 keys of [`KEYS`]: checksum, ciphering, a counter that must be higher; a response
    /// always, with checksum and ciphering.
    #[must_use]
    pub fn new(tar: [u8; 3], counter: u64) -> Self {
        Self::with_version(1, tar, counter)
    }

    /// The same with the keys of this version of [`KEYS`].
    #[must_use]
    pub fn with_version(version: u8, tar: [u8; 3], counter: u64) -> Self {
        let found = KEYS.iter().find(|(of, ..)| *of == version);
        let (kic, kid) = found.map_or((&[][..], &[][..]), |(_, kic, kid)| (*kic, *kid));
        let algorithm = match version {
            1..=3 => 0x02,
            4 => 0x05,
            5 => 0x09,
            _ => 0x01,
        };
        let indication = (version << 4) | algorithm;
        Server {
            spi: [0x16, 0x19],
            kic: (indication, kic.to_vec()),
            kid: (indication, kid.to_vec()),
            tar,
            counter,
            checksum_length: 8,
        }
    }

    /// The command packet with this data.
    #[must_use]
    pub fn packet(&self, data: &[u8]) -> Vec<u8> {
        let checksum_length = if self.spi[0] & 0x03 == 2 { self.checksum_length } else { 0 };
        let ciphered = self.spi[0] & 0x04 != 0;
        let mut data = data.to_vec();
        let mut padding = 0u8;
        if ciphered {
            let block = key(&self.kic).map_or(8, |key| key.block());
            while !(data.len() + 6 + checksum_length).is_multiple_of(block) {
                data.push(0);
                padding += 1;
            }
        }
        let mut plain = self.counter.to_be_bytes()[3..].to_vec();
        plain.push(padding);
        let chl = 13 + checksum_length as u8;
        let mut header = ((8 + plain.len() + checksum_length + data.len()) as u16).to_be_bytes().to_vec();
        header.extend([chl, self.spi[0], self.spi[1], self.kic.0, self.kid.0]);
        header.extend(self.tar);
        if checksum_length != 0 {
            let checksum = key(&self.kid).map_or([0; 8], |key| key.checksum(&[&header, &plain, &data]));
            plain.extend(&checksum[..checksum_length]);
        }
        plain.extend(data);
        if let Some(key) = key(&self.kic).filter(|_| ciphered) {
            key.encrypt(&mut plain);
        }
        header.extend(plain);
        header
    }

    /// The ENVELOPEs with this data: one, or as many as the packet needs.
    #[must_use]
    pub fn envelopes(&self, data: &[u8]) -> Vec<Vec<u8>> {
        let packet = self.packet(data);
        if packet.len() <= 137 {
            return Vec::from([envelope(&[&[0x02, 0x70, 0x00], &packet[..]].concat())]);
        }
        // The first part has the command packet identifier too.
        let (first, rest) = packet.split_at(132);
        let total = 1 + rest.len().div_ceil(134) as u8;
        let first = envelope(&[&[0x07, 0x70, 0x00, 0x00, 0x03, 0x5A, total, 1], first].concat());
        let others = (2..).zip(rest.chunks(134));
        let others = others.map(|(number, part)| envelope(&[&[0x05, 0x00, 0x03, 0x5A, total, number], part].concat()));
        core::iter::once(first).chain(others).collect()
    }

    /// Reads a response packet with its user data header, protected as [`Server::spi`] asks for, or as a refusal, not
    /// at all. `None` if it is none, or its checksum is wrong.
    #[must_use]
    pub fn report(&self, response: &[u8]) -> Option<Report> {
        let (udh, packet) = response.split_first_chunk::<3>()?;
        let ([high, low, rhl, tar @ ..], secured) = packet.split_first_chunk::<6>()?;
        if *udh != [0x02, 0x71, 0x00] || usize::from(u16::from_be_bytes([*high, *low])) != packet.len() - 2 {
            return None;
        }
        let checksum_length = usize::from(*rhl).checked_sub(10)?;
        let asked = if self.spi[1] & 0x0C == 0x08 { self.checksum_length } else { 0 };
        let mut secured = secured.to_vec();
        // A refusal is as short as a response can be.
        let refusal = checksum_length == 0 && secured.len() == 7;
        if !refusal && checksum_length != asked {
            return None;
        }
        if !refusal && self.spi[1] & 0x10 != 0 {
            key(&self.kic)?.decrypt(&mut secured);
        }
        let ([counter @ .., padding, status], rest) = secured.split_first_chunk::<7>()?;
        let (checksum, data) = rest.split_at_checked(checksum_length)?;
        if checksum_length != 0 {
            let expected = key(&self.kid)?.checksum(&[udh, &packet[..6], &secured[..7], data]);
            if expected[..checksum_length] != *checksum {
                return None;
            }
        }
        let data = data.get(..data.len().checked_sub(usize::from(*padding))?)?.to_vec();
        let counter = counter.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        Some(Report { tar: *tar, counter, status: *status, data })
    }
}

/// The key behind KIc or KID, by its algorithm.
fn key((indication, key): &(u8, Vec<u8>)) -> Option<Key> {
    let algorithm = if indication & 0x0F == 0x02 { Algorithm::Aes } else { Algorithm::TripleDes };
    Key::new(algorithm, key)
}

/// ENVELOPE (SMS-PP download) with this user data.
#[must_use]
pub fn envelope(user_data: &[u8]) -> Vec<u8> {
    let mut tpdu = b"\x40\x08\x81\x55\x66\x77\x88\x7F\xF6\x22\x70\x52\x00\x00\x00\x00".to_vec();
    tpdu.push(user_data.len() as u8);
    tpdu.extend(user_data);
    let mut writer = Writer::new();
    let written = writer.nested::<teuicc_tlv::Error>(Tag(0xD1), |writer| {
        writer.raw(b"\x82\x02\x83\x81\x06\x04\x91\x55\x66\x77")?;
        writer.primitive(Tag(0x8B), &tpdu)
    });
    let object = writer.into_bytes();
    debug_assert!(written.is_ok());
    let mut apdu = b"\x80\xC2\x00\x00".to_vec();
    apdu.push(object.len() as u8);
    apdu.extend(object);
    apdu
}
