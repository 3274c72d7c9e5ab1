//! The XOR test algorithm (TS 34.108 section 8.1.2). For test networks: it protects nothing.

use super::{Keys, MacInput};
use zeroize::Zeroize;

/// AMF with which a test network asks for a resynchronisation (TS 34.108 section 8.1.2.2).
pub(crate) const AMF_RESYNCH: [u8; 2] = [0xFF, 0xFF];

/// The test algorithm for one RAND.
pub(crate) struct Xor {
    /// XDOUT: K xor RAND.
    xdout: u128,
    res_len: u8,
}

impl Xor {
    /// Starts the computation; RES is going to have `res_len` bytes, 4 to 16.
    pub(crate) fn new(k: &[u8; 16], rand: &[u8; 16], res_len: u8) -> Self {
        Xor { xdout: u128::from_be_bytes(*k) ^ u128::from_be_bytes(*rand), res_len }
    }

    /// f1 and f1*, which are the same function: the first 8 bytes of XDOUT xor CDOUT, CDOUT being SQN and AMF.
    pub(crate) fn f1(&self, input: &MacInput) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = self.xdout.to_be_bytes();
        let mac = u64::from_be_bytes([a, b, c, d, e, f, g, h]) ^ u64::from_be_bytes(input.bytes());
        mac.to_be_bytes()
    }

    /// f2 to f5.
    pub(crate) fn f2345(&self) -> Keys {
        Keys {
            res: self.xdout.to_be_bytes(),
            res_len: self.res_len.clamp(4, 16),
            ck: self.xdout.rotate_left(8).to_be_bytes(),
            ik: self.xdout.rotate_left(16).to_be_bytes(),
            ak: self.ak(),
        }
    }

    /// f5, and f5* which is the same: bytes 3 to 8 of XDOUT, counted from 0.
    pub(crate) fn ak(&self) -> [u8; 6] {
        let [_, _, _, a, b, c, d, e, f, ..] = self.xdout.to_be_bytes();
        [a, b, c, d, e, f]
    }
}

impl Drop for Xor {
    /// With RAND, which is no secret, XDOUT is K.
    fn drop(&mut self) {
        self.xdout.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// Computed by hand: K of the TS.48 test profiles, RAND of zeros and ones.
    #[test]
    fn by_hand() {
        let k = hex!("000102030405060708090A0B0C0D0E0F");
        let keys = Xor::new(&k, &[0; 16], 16).f2345();
        assert_eq!(keys.res(), k);
        assert_eq!(keys.ck, hex!("0102030405060708090A0B0C0D0E0F00"));
        assert_eq!(keys.ik, hex!("02030405060708090A0B0C0D0E0F0001"));
        assert_eq!(keys.ak, hex!("030405060708"));
        let xor = Xor::new(&k, &[0xFF; 16], 8);
        assert_eq!(xor.f2345().res(), hex!("FFFEFDFCFBFAF9F8"));
        let input = MacInput { sqn: [0; 6], amf: hex!("00FF") };
        assert_eq!(xor.f1(&input), hex!("FFFEFDFCFBFAF907"));
    }
}
