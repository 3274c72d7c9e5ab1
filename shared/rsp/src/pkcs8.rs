//! Private keys in files: PKCS#8 (RFC 5958) around SEC1 (RFC 5915), as OpenSSL writes them. For servers and tests.

use crate::crypto::{Curve, PublicKey, SecretKey};
use crate::oid;
use alloc::vec::Vec;
use teuicc_tlv::{Error, Reader, Tag, Tlv, Writer};
use zeroize::Zeroizing;

/// Reads PrivateKeyInfo or ECPrivateKey in DER, whichever it is. Errors: neither, another algorithm or curve, no key
/// of its curve.
pub fn parse(der: &[u8]) -> Result<SecretKey, Error> {
    let mut members = Tlv::parse(der, Tag::SEQUENCE)?.members();
    let version = members.expect(Tag::INTEGER)?;
    if members.peek() == Some(Tag::OCTET_STRING) {
        return sec1(&mut Tlv::parse(der, Tag::SEQUENCE)?.members(), None);
    }
    let algorithm = members.expect(Tag::SEQUENCE)?;
    let mut identifiers = algorithm.members();
    if identifiers.expect(Tag::OID)?.value != oid::EC_PUBLIC_KEY || version.unsigned()? > 1 {
        return Err(algorithm.bad_value());
    }
    let curve = curve(&identifiers.expect(Tag::OID)?)?;
    let key = members.expect(Tag::OCTET_STRING)?;
    sec1(&mut Tlv::parse(key.value, Tag::SEQUENCE)?.members(), Some(curve))
}

/// Reads the members of ECPrivateKey; the curve may stand in it.
fn sec1(members: &mut Reader<'_>, curve_outside: Option<Curve>) -> Result<SecretKey, Error> {
    members.expect(Tag::INTEGER)?;
    let scalar = members.expect(Tag::OCTET_STRING)?;
    let curve_inside = match members.optional(Tag(0xA0))? {
        Some(parameters) => Some(curve(&parameters.members().expect(Tag::OID)?)?),
        None => None,
    };
    let curve = curve_outside.or(curve_inside).ok_or_else(|| scalar.bad_value())?;
    SecretKey::new(curve, scalar.array()?).map_err(|_| scalar.bad_value())
}

fn curve(identifier: &Tlv<'_>) -> Result<Curve, Error> {
    match identifier.value {
        oid::P256 => Ok(Curve::P256),
        oid::BRAINPOOL_P256R1 => Ok(Curve::BrainpoolP256r1),
        _ => Err(identifier.bad_value()),
    }
}

/// Writes PrivateKeyInfo in DER. `public` is the key's public half. Errors: out of memory.
pub fn expose(key: &SecretKey, public: &PublicKey) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut writer = Writer::new();
    writer.nested(Tag::SEQUENCE, |writer| {
        writer.unsigned(Tag::INTEGER, 0)?;
        writer.nested(Tag::SEQUENCE, |writer| {
            writer.primitive(Tag::OID, oid::EC_PUBLIC_KEY)?;
            let curve = match key.curve() {
                Curve::P256 => oid::P256,
                Curve::BrainpoolP256r1 => oid::BRAINPOOL_P256R1,
            };
            writer.primitive(Tag::OID, curve)
        })?;
        writer.nested(Tag::OCTET_STRING, |writer| {
            writer.nested(Tag::SEQUENCE, |writer| {
                writer.unsigned(Tag::INTEGER, 1)?;
                writer.primitive(Tag::OCTET_STRING, key.expose_scalar())?;
                writer.nested(Tag(0xA1), |writer| {
                    writer.header(Tag::BIT_STRING, public.point().len().saturating_add(1))?;
                    writer.raw(&[0])?;
                    writer.raw(public.point())
                })
            })
        })
    })?;
    Ok(Zeroizing::new(writer.into_bytes()))
}
