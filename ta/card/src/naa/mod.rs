//! Network access applications: AUTHENTICATE of USIM and ISIM (TS 31.102 section 7.1, TS 31.103 section 7.1).
//!
//! Nothing here stores or answers anything: [`authenticate`] computes, and tells the caller what to persist before
//! the answer may leave.

mod kdf;
pub(crate) mod milenage;
mod sqn;
pub(crate) mod suci;
mod tuak;
mod xor;

use crate::profile::{Algorithm, Bootstrapping, Naa};
pub(crate) use kdf::ks_ext_naf;
use milenage::Milenage;
pub(crate) use sqn::{Sqn, accept, restore};
use subtle::ConstantTimeEq;
use tuak::Tuak;
use xor::Xor;
use zeroize::Zeroize;

/// Length of RAND and of AUTN in bytes.
pub(crate) const CHALLENGE_LEN: usize = 16;

/// What f1 is computed over.
pub(crate) struct MacInput {
    pub(crate) sqn: [u8; 6],
    pub(crate) amf: [u8; 2],
}

impl MacInput {
    /// What the functions other than f1 and f1* are computed over.
    const ZERO: MacInput = MacInput { sqn: [0; 6], amf: [0; 2] };

    /// SQN and AMF, one after the other.
    fn bytes(&self) -> [u8; 8] {
        let [a, b, c, d, e, f] = self.sqn;
        let [g, h] = self.amf;
        [a, b, c, d, e, f, g, h]
    }
}

/// What a challenge gives when it is accepted. Wiped when dropped.
pub(crate) struct Keys {
    res: [u8; 16],
    res_len: u8,
    /// Cipher key.
    pub(crate) ck: [u8; 16],
    /// Integrity key.
    pub(crate) ik: [u8; 16],
    ak: [u8; 6],
}

impl Keys {
    /// RES, 4 to 16 bytes.
    pub(crate) fn res(&self) -> &[u8] {
        self.res.get(..usize::from(self.res_len)).unwrap_or(&self.res)
    }

    /// SRES by conversion function c2 (TS 33.102 section 6.8.1.2): the words of RES, padded with zeros, xored.
    pub(crate) fn sres(&self) -> [u8; 4] {
        let mut sres = [0; 4];
        for word in self.res().chunks(4) {
            for (to, from) in sres.iter_mut().zip(word) {
                *to ^= from;
            }
        }
        sres
    }

    /// Kc by conversion function c3 (TS 33.102 section 6.8.1.2): the halves of CK and IK xored.
    pub(crate) fn kc(&self) -> [u8; 8] {
        let mut kc = [0; 8];
        for half in self.ck.chunks(8).chain(self.ik.chunks(8)) {
            for (to, from) in kc.iter_mut().zip(half) {
                *to ^= from;
            }
        }
        kc
    }
}

impl Keys {
    /// What GBA keeps of the challenge `rand` that gave these keys.
    pub(crate) fn bootstrapping(&self, rand: &[u8; 16]) -> Bootstrapping {
        let mut bootstrapping = Bootstrapping { rand: *rand, ks: [0; 32] };
        let keys = self.ck.iter().chain(&self.ik);
        bootstrapping.ks.iter_mut().zip(keys).for_each(|(to, from)| *to = *from);
        bootstrapping
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.res.zeroize();
        self.ck.zeroize();
        self.ik.zeroize();
        self.ak.zeroize();
    }
}

/// The outcome of a 3G challenge.
pub(crate) enum Outcome {
    /// Authentic and fresh. If a sequence number comes with it, [`accept`] it and store it before the keys leave.
    Accepted { keys: Keys, sqn: Option<Sqn> },
    /// Authentic, but not fresh: AUTS, 14 bytes (TS 33.102 section 6.3.3).
    Resynchronise { auts: [u8; 14] },
    /// The MAC is wrong.
    WrongMac,
}

/// Checks a challenge (TS 33.102 section 6.3.3): first the MAC, and only of an authentic one the freshness, so that
/// nobody without the key learns anything of the sequence numbers.
///
/// The XOR test algorithm checks the MAC alone: a test network does not keep sequence numbers, TS 34.108 section
/// 8.1.2.2 lets it ask for the resynchronisation with an AMF of its own, and the profile's SQN parameters do not
/// apply. Nothing is stored for it.
pub(crate) fn authenticate(naa: &Naa, rand: &[u8; 16], autn: &[u8; 16]) -> Outcome {
    let [s0, s1, s2, s3, s4, s5, a0, a1, mac @ ..] = *autn;
    let (concealed, amf) = ([s0, s1, s2, s3, s4, s5], [a0, a1]);
    let functions = Functions::new(&naa.algorithm, rand);
    let keys = functions.f2345();
    let sqn = xor6(concealed, keys.ak);
    if !is_mac(&functions.f1(&MacInput { sqn, amf }), &mac) {
        return Outcome::WrongMac;
    }
    let sqn = Sqn::from_bytes(sqn);
    let (fresh, used) = match functions {
        Functions::Xor(_) => (amf != xor::AMF_RESYNCH, None),
        _ => (sqn::is_fresh(naa, sqn), Some(sqn)),
    };
    if fresh {
        return Outcome::Accepted { keys, sqn: used };
    }
    let sqn_ms = sqn::highest(naa).to_bytes();
    let mac_s = functions.f1_star(&MacInput { sqn: sqn_ms, amf: AMF_OF_AUTS });
    Outcome::Resynchronise { auts: auts(sqn_ms, functions.f5_star(), mac_s) }
}

/// RES, CK and IK for a RAND alone, for the GSM context (TS 31.102 section 7.1.1.2).
pub(crate) fn keys_for_gsm(naa: &Naa, rand: &[u8; 16]) -> Keys {
    Functions::new(&naa.algorithm, rand).f2345()
}

/// The functions of an algorithm for one RAND.
#[allow(clippy::large_enum_variant, reason = "one at a time, on the stack")]
enum Functions<'a> {
    Milenage(milenage::Challenge<'a>),
    /// With the length of RES.
    Tuak(Tuak<'a>, u8),
    Xor(Xor),
}

impl<'a> Functions<'a> {
    fn new(algorithm: &'a Algorithm, rand: &'a [u8; 16]) -> Self {
        match algorithm {
            Algorithm::Milenage { k, opc, rotations, constants } => {
                Functions::Milenage(Milenage { k, opc, rotations, constants }.challenge(rand))
            }
            Algorithm::Tuak { k, topc, res_len, iterations } => {
                Functions::Tuak(Tuak { k, topc, iterations: *iterations, rand }, *res_len)
            }
            Algorithm::XorTest { k, res_len } => Functions::Xor(Xor::new(k, rand, *res_len)),
        }
    }

    /// f1: MAC-A.
    fn f1(&self, input: &MacInput) -> [u8; 8] {
        match self {
            Functions::Milenage(milenage) => milenage.f1(input).0,
            Functions::Tuak(tuak, _) => tuak.f1(input),
            Functions::Xor(xor) => xor.f1(input),
        }
    }

    /// f1*: MAC-S.
    fn f1_star(&self, input: &MacInput) -> [u8; 8] {
        match self {
            Functions::Milenage(milenage) => milenage.f1(input).1,
            Functions::Tuak(tuak, _) => tuak.f1_star(input),
            Functions::Xor(xor) => xor.f1(input),
        }
    }

    /// f2 (RES), f3 (CK), f4 (IK) and f5 (AK).
    fn f2345(&self) -> Keys {
        match self {
            Functions::Milenage(milenage) => milenage.f2345(),
            Functions::Tuak(tuak, res_len) => tuak.f2345(*res_len),
            Functions::Xor(xor) => xor.f2345(),
        }
    }

    /// f5*: AK for the resynchronisation.
    fn f5_star(&self) -> [u8; 6] {
        match self {
            Functions::Milenage(milenage) => milenage.f5_star(),
            Functions::Tuak(tuak, _) => tuak.f5_star(),
            Functions::Xor(xor) => xor.ak(),
        }
    }
}

/// AMF that MAC-S is computed over, a dummy (TS 33.102 section 6.3.3).
const AMF_OF_AUTS: [u8; 2] = [0, 0];

fn is_mac(expected: &[u8; 8], received: &[u8; 8]) -> bool {
    expected.ct_eq(received).into()
}

fn xor6(a: [u8; 6], b: [u8; 6]) -> [u8; 6] {
    let mut result = a;
    for (to, from) in result.iter_mut().zip(b) {
        *to ^= from;
    }
    result
}

fn auts(sqn_ms: [u8; 6], ak: [u8; 6], mac_s: [u8; 8]) -> [u8; 14] {
    let [a, b, c, d, e, f] = xor6(sqn_ms, ak);
    let [m0, m1, m2, m3, m4, m5, m6, m7] = mac_s;
    [a, b, c, d, e, f, m0, m1, m2, m3, m4, m5, m6, m7]
}
