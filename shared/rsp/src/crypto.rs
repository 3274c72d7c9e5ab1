//! Keys, signatures and key agreement on the two curves of SGP.22 (section 2.6.7): P-256 and brainpoolP256r1, always
//! with SHA-256, signatures as r then s.

use bp256::BrainpoolP256r1;
use core::fmt;
use ecdsa::hazmat::{sign_prehashed_rfc6979, verify_prehashed};
use ecdsa::{EcdsaCurve, Signature};
use p256::NistP256;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{self, AffinePoint, CurveArithmetic, FieldBytesSize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Length of an uncompressed point: 04, x, y.
pub const POINT: usize = 65;
/// Length of a compressed point: 02 or 03, x.
pub const COMPRESSED_POINT: usize = 33;
/// Length of a signature: r, s.
pub const SIGNATURE: usize = 64;
/// How often a key is drawn before the source of randomness is taken to be broken: a draw fails once in 2^32 at most.
const MAX_DRAWS: usize = 16;

/// An elliptic curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// brainpoolP256r1 (RFC 5639).
    BrainpoolP256r1,
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Curve::P256 => "P-256",
            Curve::BrainpoolP256r1 => "brainpoolP256r1",
        })
    }
}

/// The bytes are no key of the curve: a point that is not on it, a scalar that is zero or too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidKey;

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a key of this curve")
    }
}

impl core::error::Error for InvalidKey {}

/// A public key: a point that is on its curve.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey {
    curve: Curve,
    point: [u8; POINT],
}

impl PublicKey {
    /// The key from an uncompressed point. Errors: another form, or not on the curve.
    pub fn new(curve: Curve, point: &[u8]) -> Result<Self, InvalidKey> {
        let point: [u8; POINT] = point.try_into().map_err(|_| InvalidKey)?;
        if point.first() != Some(&0x04) {
            return Err(InvalidKey);
        }
        match curve {
            Curve::P256 => decode::<NistP256>(&point).map(|_| ()),
            Curve::BrainpoolP256r1 => decode::<BrainpoolP256r1>(&point).map(|_| ()),
        }?;
        Ok(PublicKey { curve, point })
    }

    /// A P-256 key from a point in either form of SEC 1 section 2.3.3: 33 bytes compressed, or 65 uncompressed. Errors:
    /// another form, or not on the curve.
    pub fn p256_from_sec1(point: &[u8]) -> Result<Self, InvalidKey> {
        // The library also knows a compact form.
        if !matches!(point, [0x02..=0x04, ..]) {
            return Err(InvalidKey);
        }
        let point = uncompressed(&decode::<NistP256>(point)?)?;
        Ok(PublicKey { curve: Curve::P256, point })
    }

    /// The compressed point: 02 or 03, x.
    #[must_use]
    pub fn compressed(&self) -> [u8; COMPRESSED_POINT] {
        let [_, x_and_y @ ..] = self.point;
        let [.., last] = self.point;
        let mut compressed = [0x02 | (last & 0x01); COMPRESSED_POINT];
        compressed.iter_mut().skip(1).zip(x_and_y).for_each(|(to, from)| *to = from);
        compressed
    }

    /// The curve.
    #[must_use]
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The uncompressed point: 04, x, y.
    #[must_use]
    pub fn point(&self) -> &[u8; POINT] {
        &self.point
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, ", self.curve)?;
        self.point.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A private key. It is erased when dropped and never printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretKey {
    #[zeroize(skip)]
    curve: Curve,
    scalar: [u8; 32],
}

impl SecretKey {
    /// The key from its scalar, big endian. Errors: zero, or not below the curve's order.
    pub fn new(curve: Curve, scalar: &[u8; 32]) -> Result<Self, InvalidKey> {
        match curve {
            Curve::P256 => p256::SecretKey::from_slice(scalar).map(drop),
            Curve::BrainpoolP256r1 => bp256::r1::SecretKey::from_slice(scalar).map(drop),
        }
        .map_err(|_| InvalidKey)?;
        Ok(SecretKey { curve, scalar: *scalar })
    }

    /// A new key from random bytes of `fill`, which must fill all it is given with the output of a cryptographically
    /// secure generator. Errors: `fill` gives no usable scalar time after time, so it is broken.
    pub fn generate(curve: Curve, fill: &mut dyn FnMut(&mut [u8])) -> Result<Self, InvalidKey> {
        let mut scalar = Zeroizing::new([0u8; 32]);
        for _ in 0..MAX_DRAWS {
            fill(scalar.as_mut_slice());
            if let Ok(key) = Self::new(curve, &scalar) {
                return Ok(key);
            }
        }
        Err(InvalidKey)
    }

    /// The curve.
    #[must_use]
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The scalar, big endian: the secret itself.
    #[must_use]
    pub fn expose_scalar(&self) -> &[u8; 32] {
        &self.scalar
    }

    /// The public key. Errors: none that a key made by [`SecretKey::new`] can have.
    pub fn public_key(&self) -> Result<PublicKey, InvalidKey> {
        let point = match self.curve {
            Curve::P256 => public_point::<NistP256>(&self.scalar),
            Curve::BrainpoolP256r1 => public_point::<BrainpoolP256r1>(&self.scalar),
        }?;
        Ok(PublicKey { curve: self.curve, point })
    }

    /// Signs the concatenation of `parts`: r then s, deterministic (RFC 6979). Errors: as [`SecretKey::public_key`].
    pub fn sign(&self, parts: &[&[u8]]) -> Result<[u8; SIGNATURE], InvalidKey> {
        let digest = sha256(parts);
        match self.curve {
            Curve::P256 => sign_digest::<NistP256>(&self.scalar, &digest),
            Curve::BrainpoolP256r1 => sign_digest::<BrainpoolP256r1>(&self.scalar, &digest),
        }
    }

    /// The shared secret with `peer`: the x-coordinate (TR-03111 section 4.3.1). Errors: `peer` is on another curve.
    pub fn ecdh(&self, peer: &PublicKey) -> Result<Zeroizing<[u8; 32]>, InvalidKey> {
        if self.curve != peer.curve {
            return Err(InvalidKey);
        }
        match self.curve {
            Curve::P256 => agree::<NistP256>(&self.scalar, &peer.point),
            Curve::BrainpoolP256r1 => agree::<BrainpoolP256r1>(&self.scalar, &peer.point),
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, ..)", self.curve)
    }
}

/// Whether `signature`, r then s, of the concatenation of `parts` was made with the private half of `key`.
#[must_use]
pub fn verify(key: &PublicKey, parts: &[&[u8]], signature: &[u8; SIGNATURE]) -> bool {
    let digest = sha256(parts);
    match key.curve {
        Curve::P256 => verify_digest::<NistP256>(&key.point, &digest, signature),
        Curve::BrainpoolP256r1 => verify_digest::<BrainpoolP256r1>(&key.point, &digest, signature),
    }
}

/// SHA-256 of the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// The first 64 bytes of key data of the X9.63 key derivation function with SHA-256 (TR-03111 section 4.3.3), from a
/// shared secret and the concatenation of `shared_info`.
#[must_use]
pub fn x963_kdf(shared_secret: &[u8; 32], shared_info: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    let mut key_data = Zeroizing::new([0u8; 64]);
    for (block, counter) in key_data.chunks_mut(32).zip(1u32..) {
        let mut hash = Sha256::new();
        hash.update(shared_secret);
        hash.update(counter.to_be_bytes());
        shared_info.iter().for_each(|part| hash.update(part));
        let mut output: [u8; 32] = hash.finalize().into();
        block.copy_from_slice(&output);
        output.zeroize();
    }
    key_data
}

/// hashCc: the confirmation code, hashed, and hashed again with the transaction (section 5.7.5).
#[must_use]
pub fn hash_cc(confirmation_code: &str, transaction_id: &[u8]) -> [u8; 32] {
    rehash_cc(&sha256(&[confirmation_code.as_bytes()]), transaction_id)
}

/// hashCc from the SHA-256 of the confirmation code, which is what a server keeps.
#[must_use]
pub fn rehash_cc(confirmation_code_hash: &[u8; 32], transaction_id: &[u8]) -> [u8; 32] {
    sha256(&[confirmation_code_hash, transaction_id])
}

/// What both curves have, by name.
trait RspCurve: EcdsaCurve + CurveArithmetic {}

impl RspCurve for NistP256 {}
impl RspCurve for BrainpoolP256r1 {}

fn decode<C>(point: &[u8]) -> Result<elliptic_curve::PublicKey<C>, InvalidKey>
where
    C: RspCurve,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    elliptic_curve::PublicKey::<C>::from_sec1_bytes(point).map_err(|_| InvalidKey)
}

fn public_point<C>(scalar: &[u8; 32]) -> Result<[u8; POINT], InvalidKey>
where
    C: RspCurve,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let key = elliptic_curve::SecretKey::<C>::from_slice(scalar).map_err(|_| InvalidKey)?;
    uncompressed(&key.public_key())
}

fn uncompressed<C>(key: &elliptic_curve::PublicKey<C>) -> Result<[u8; POINT], InvalidKey>
where
    C: RspCurve,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let point = ToSec1Point::<C>::to_sec1_point(key.as_affine(), false);
    point.as_bytes().try_into().map_err(|_| InvalidKey)
}

fn sign_digest<C: RspCurve>(scalar: &[u8; 32], digest: &[u8; 32]) -> Result<[u8; SIGNATURE], InvalidKey> {
    let key = elliptic_curve::SecretKey::<C>::from_slice(scalar).map_err(|_| InvalidKey)?;
    let scalar = Zeroizing::new(key.to_nonzero_scalar());
    let (signature, _) = sign_prehashed_rfc6979::<C, Sha256>(&scalar, digest, &[]);
    signature.to_bytes().as_slice().try_into().map_err(|_| InvalidKey)
}

fn verify_digest<C>(point: &[u8; POINT], digest: &[u8; 32], signature: &[u8; SIGNATURE]) -> bool
where
    C: RspCurve,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let (Ok(key), Ok(signature)) = (decode::<C>(point), Signature::<C>::from_slice(signature)) else {
        return false;
    };
    verify_prehashed::<C>(&key.to_projective(), digest, &signature).is_ok()
}

fn agree<C>(scalar: &[u8; 32], peer: &[u8; POINT]) -> Result<Zeroizing<[u8; 32]>, InvalidKey>
where
    C: RspCurve,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let key = elliptic_curve::SecretKey::<C>::from_slice(scalar).map_err(|_| InvalidKey)?;
    let scalar = Zeroizing::new(key.to_nonzero_scalar());
    let shared = elliptic_curve::ecdh::diffie_hellman::<C>(&*scalar, decode::<C>(peer)?.as_affine());
    let mut secret = Zeroizing::new([0u8; 32]);
    let bytes: &[u8] = shared.raw_secret_bytes();
    if bytes.len() != secret.len() {
        return Err(InvalidKey);
    }
    secret.copy_from_slice(bytes);
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn ecdh_of_rfc_5903_section_8_1() {
        let i = hex!("C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433");
        let r = hex!("C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53");
        let shared = hex!("D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE");
        let (i, r) = (SecretKey::new(Curve::P256, &i).unwrap(), SecretKey::new(Curve::P256, &r).unwrap());
        assert_eq!(*i.ecdh(&r.public_key().unwrap()).unwrap(), shared);
        assert_eq!(*r.ecdh(&i.public_key().unwrap()).unwrap(), shared);
    }

    #[test]
    fn signature_of_rfc_6979_appendix_a_2_5() {
        let key = hex!("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
        let key = SecretKey::new(Curve::P256, &key).unwrap();
        let signature = key.sign(&[b"sam", b"ple"]).unwrap();
        let expected = hex!(
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
            "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
        );
        assert_eq!(signature, expected);
        assert!(verify(&key.public_key().unwrap(), &[b"sample"], &signature));
        assert!(!verify(&key.public_key().unwrap(), &[b"samples"], &signature));
    }

    #[test]
    fn ecdh_of_rfc_7027_appendix_a_1() {
        let a = hex!("81DB1EE100150FF2EA338D708271BE38300CB54241D79950F77B063039804F1D");
        let b = hex!("55E40BC41E37E3E2AD25C3C6654511FFA8474A91A0032087593852D3E7D76BD3");
        let shared = hex!("89AFC39D41D3B327814B80940B042590F96556EC91E6AE7939BCE31F3A18BF2B");
        let a = SecretKey::new(Curve::BrainpoolP256r1, &a).unwrap();
        let b = SecretKey::new(Curve::BrainpoolP256r1, &b).unwrap();
        assert_eq!(*a.ecdh(&b.public_key().unwrap()).unwrap(), shared);
    }

    #[test]
    fn keys_are_validated() {
        for curve in [Curve::P256, Curve::BrainpoolP256r1] {
            assert!(SecretKey::new(curve, &[0; 32]).is_err());
            assert!(SecretKey::new(curve, &[0xFF; 32]).is_err());
            let mut fill = |bytes: &mut [u8]| bytes.fill(7);
            let key = SecretKey::generate(curve, &mut fill).unwrap();
            let public = key.public_key().unwrap();
            assert_eq!(PublicKey::new(curve, public.point()).unwrap(), public);
            let mut off = *public.point();
            off[64] ^= 1;
            assert!(PublicKey::new(curve, &off).is_err());
            off[0] = 2;
            assert!(PublicKey::new(curve, &off).is_err());
            assert!(PublicKey::new(curve, &off[..33]).is_err());
            assert!(PublicKey::new(curve, &[0]).is_err());
            let mut broken = |bytes: &mut [u8]| bytes.fill(0);
            assert!(SecretKey::generate(curve, &mut broken).is_err());
        }
    }

    /// The point of TS 33.501 annex C.4.4.1, which gives it in both forms.
    #[test]
    fn compressed_points() {
        let long = hex!(
            "0472DA71976234CE833A6907425867B82E074D44EF907DFB4B3E21C1C2256EBCD1"
            "5A7DED52FCBB097A4ED250E036C7B9C8C7004C4EEDC4F068CD7BF8D3F900E3B4"
        );
        let short = hex!("0272DA71976234CE833A6907425867B82E074D44EF907DFB4B3E21C1C2256EBCD1");
        let key = PublicKey::new(Curve::P256, &long).unwrap();
        assert_eq!(key.compressed(), short);
        assert_eq!(PublicKey::p256_from_sec1(&short), Ok(key));
        assert_eq!(PublicKey::p256_from_sec1(&long), Ok(key));
        let mut odd = short;
        odd[0] = 0x03;
        assert_eq!(PublicKey::p256_from_sec1(&odd).unwrap().compressed(), odd);
        // x without a point; a form that does not exist; too short; too long; infinity.
        let mut off = short;
        off[32] ^= 4;
        odd[0] = 0x05;
        for bytes in [&off[..], &odd, &short[..32], &long[..64], &[&long[..], &[0]].concat(), &[0x00], &[]] {
            assert_eq!(PublicKey::p256_from_sec1(bytes), Err(InvalidKey), "{bytes:02x?}");
        }
    }

    #[test]
    fn debug_does_not_print_the_secret() {
        let key = SecretKey::new(Curve::P256, &[0xA5; 32]).unwrap();
        assert_eq!(alloc::format!("{key:?}"), "SecretKey(P-256, ..)");
    }
}
