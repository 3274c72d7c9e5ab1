//! The pieces of X.509 that certificates and certificate requests share, read and written: names, public keys,
//! signatures. DER as in RFC 5280 and RFC 5480.

use crate::certificate::CertificateError;
use crate::crypto::{Curve, PublicKey, SIGNATURE};
use crate::oid;
use teuicc_tlv::{Error, ErrorKind, Reader, Tag, Tlv, Writer};

/// PrintableString.
const PRINTABLE_STRING: Tag = Tag(0x13);

/// A distinguished name, as written: attributes that are absent are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Name<'a> {
    /// countryName, two letters.
    pub country: Option<&'a str>,
    /// organizationName.
    pub organization: Option<&'a str>,
    /// serialNumber: the EID in an eUICC's certificate, the IIN in an EUM's name constraints.
    pub serial_number: Option<&'a str>,
    /// commonName.
    pub common_name: Option<&'a str>,
}

impl Name<'_> {
    /// Writes the name. Errors: out of memory.
    pub fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        writer.nested(Tag::SEQUENCE, |writer| {
            let attributes = [
                (oid::COUNTRY, self.country, PRINTABLE_STRING),
                (oid::ORGANIZATION, self.organization, Tag::UTF8_STRING),
                (oid::SERIAL_NUMBER, self.serial_number, PRINTABLE_STRING),
                (oid::COMMON_NAME, self.common_name, Tag::UTF8_STRING),
            ];
            for (attribute, value, tag) in attributes {
                let Some(value) = value else { continue };
                writer.nested(Tag::SET, |writer| {
                    writer.nested(Tag::SEQUENCE, |writer| {
                        writer.primitive(Tag::OID, attribute)?;
                        writer.primitive(tag, value.as_bytes())
                    })
                })?;
            }
            Ok(())
        })
    }
}

/// The value of the first attribute of type `attribute` in a name, given the name's value. Errors: bad encoding.
pub(crate) fn attribute<'a>(name: &'a [u8], attribute: &[u8]) -> Result<Option<&'a [u8]>, Error> {
    for set in Reader::new(name) {
        for pair in set?.members() {
            let mut pair = pair?.members();
            let kind = pair.expect(Tag::OID)?;
            let value = pair.read()?;
            if kind.value == attribute {
                return Ok(Some(value.value));
            }
        }
    }
    Ok(None)
}

/// Why a public key could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// It is badly encoded, or not on its curve.
    Malformed(Error),
    /// It is on another curve, or for another algorithm.
    UnsupportedCurve,
}

impl From<Error> for KeyError {
    fn from(error: Error) -> Self {
        KeyError::Malformed(error)
    }
}

/// Reads exactly one SubjectPublicKeyInfo, whole. Errors: it is badly encoded, not on its curve, or on a curve that is
/// not supported.
pub fn parse_public_key(der: &[u8]) -> Result<PublicKey, CertificateError> {
    Ok(read_public_key(&Tlv::parse(der, Tag::SEQUENCE)?)?)
}

/// Reads SubjectPublicKeyInfo.
pub(crate) fn read_public_key(info: &Tlv<'_>) -> Result<PublicKey, KeyError> {
    let mut members = info.members();
    let mut algorithm = members.expect(Tag::SEQUENCE)?.members();
    if algorithm.expect(Tag::OID)?.value != oid::EC_PUBLIC_KEY {
        return Err(KeyError::UnsupportedCurve);
    }
    let curve = match algorithm.optional(Tag::OID)?.map(|curve| curve.value) {
        Some(oid::P256) => Curve::P256,
        Some(oid::BRAINPOOL_P256R1) => Curve::BrainpoolP256r1,
        _ => return Err(KeyError::UnsupportedCurve),
    };
    let point = members.expect(Tag::BIT_STRING)?;
    members.finish()?;
    let key = match point.value {
        [0, key @ ..] => PublicKey::new(curve, key).ok(),
        _ => None,
    };
    key.ok_or(KeyError::Malformed(point.bad_value()))
}

/// Writes SubjectPublicKeyInfo.
pub(crate) fn write_public_key(writer: &mut Writer, key: &PublicKey) -> Result<(), Error> {
    writer.nested(Tag::SEQUENCE, |writer| {
        writer.nested(Tag::SEQUENCE, |writer| {
            writer.primitive(Tag::OID, oid::EC_PUBLIC_KEY)?;
            let curve = match key.curve() {
                Curve::P256 => oid::P256,
                Curve::BrainpoolP256r1 => oid::BRAINPOOL_P256R1,
            };
            writer.primitive(Tag::OID, curve)
        })?;
        writer.header(Tag::BIT_STRING, key.point().len().saturating_add(1))?;
        writer.raw(&[0])?;
        writer.raw(key.point())
    })
}

/// Reads AlgorithmIdentifier, which must be ecdsa-with-SHA256, the only algorithm of SGP.22.
pub fn expect_ecdsa_with_sha256(reader: &mut Reader<'_>) -> Result<(), Error> {
    let algorithm = reader.expect(Tag::SEQUENCE)?;
    let identifier = algorithm.members().expect(Tag::OID)?;
    if identifier.value == oid::ECDSA_WITH_SHA256 { Ok(()) } else { Err(identifier.bad_value()) }
}

/// Reads a BIT STRING that holds ECDSA-Sig-Value, and gives r then s.
pub fn read_signature(bits: &Tlv<'_>) -> Result<[u8; SIGNATURE], Error> {
    let [0, encoded @ ..] = bits.value else {
        return Err(bits.bad_value());
    };
    let mut members = Tlv::parse(encoded, Tag::SEQUENCE)?.members();
    let mut signature = [0u8; SIGNATURE];
    let (r, s) = signature.split_at_mut(SIGNATURE / 2);
    for half in [r, s] {
        let integer = members.expect(Tag::INTEGER)?;
        let significant = match integer.value {
            [0, rest @ ..] => rest,
            [first, ..] if *first < 0x80 => integer.value,
            _ => return Err(integer.bad_value()),
        };
        let start = half.len().checked_sub(significant.len()).ok_or_else(|| integer.bad_value())?;
        half.get_mut(start..).ok_or_else(|| integer.bad_value())?.copy_from_slice(significant);
    }
    members.finish()?;
    Ok(signature)
}

/// Writes `signed`, the algorithm, and the signature over it: a certificate, or a certificate request.
pub(crate) fn write_signed(writer: &mut Writer, signed: &[u8], signature: &[u8; SIGNATURE]) -> Result<(), Error> {
    writer.nested(Tag::SEQUENCE, |writer| {
        writer.raw(signed)?;
        write_ecdsa_with_sha256(writer)?;
        let mut value = Writer::new();
        value.nested(Tag::SEQUENCE, |value| {
            let (r, s) = signature.split_at(SIGNATURE / 2);
            write_integer(value, r)?;
            write_integer(value, s)
        })?;
        writer.header(Tag::BIT_STRING, value.as_bytes().len().saturating_add(1))?;
        writer.raw(&[0])?;
        writer.raw(value.as_bytes())
    })
}

/// Writes AlgorithmIdentifier of ecdsa-with-SHA256.
pub(crate) fn write_ecdsa_with_sha256(writer: &mut Writer) -> Result<(), Error> {
    writer.nested(Tag::SEQUENCE, |writer| writer.primitive(Tag::OID, oid::ECDSA_WITH_SHA256))
}

/// Writes a non-negative INTEGER given as big endian bytes.
pub(crate) fn write_integer(writer: &mut Writer, bytes: &[u8]) -> Result<(), Error> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let significant = bytes.get(start..).unwrap_or_default();
    let zero = significant.first().is_none_or(|first| first & 0x80 != 0);
    writer.header(Tag::INTEGER, significant.len().saturating_add(usize::from(zero)))?;
    if zero {
        writer.raw(&[0])?;
    }
    writer.raw(significant)
}

/// The text of a value that must be UTF-8 or ASCII. Errors: it is not.
pub(crate) fn text(value: &[u8], tag: Tag) -> Result<&str, Error> {
    core::str::from_utf8(value).map_err(|_| Error { kind: ErrorKind::Value { tag }, offset: 0 })
}
