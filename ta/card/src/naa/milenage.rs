//! Milenage (TS 35.206): the functions f1 to f5, f1* and f5* over AES-128, with configurable rotations and
//! constants.

use super::{Keys, MacInput};
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::Zeroize;

/// Rotations r1 to r5 in bits, as TS 35.206 section 4.1 proposes them.
#[cfg(any(test, feature = "testing"))]
pub(crate) const ROTATIONS: [u8; 5] = [64, 0, 32, 64, 96];

/// Constants c1 to c5, as TS 35.206 section 4.1 proposes them.
#[cfg(any(test, feature = "testing"))]
pub(crate) const CONSTANTS: [[u8; 16]; 5] = {
    const fn last(byte: u8) -> [u8; 16] {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte]
    }
    [last(0), last(1), last(2), last(4), last(8)]
};

/// Milenage with the parameters of one subscriber.
#[derive(Clone, Copy)]
pub(crate) struct Milenage<'a> {
    pub(crate) k: &'a [u8; 16],
    pub(crate) opc: &'a [u8; 16],
    pub(crate) rotations: &'a [u8; 5],
    pub(crate) constants: &'a [[u8; 16]; 5],
}

/// Milenage for one RAND.
pub(crate) struct Challenge<'a> {
    milenage: Milenage<'a>,
    cipher: Aes128,
    /// E_K(RAND xor OPc).
    temp: u128,
}

impl<'a> Milenage<'a> {
    /// Starts the computation for `rand`.
    pub(crate) fn challenge(self, rand: &[u8; 16]) -> Challenge<'a> {
        let cipher = Aes128::new(&(*self.k).into());
        let temp = encrypt(&cipher, u128::from_be_bytes(*rand) ^ self.opc());
        Challenge { milenage: self, cipher, temp }
    }

    fn opc(&self) -> u128 {
        u128::from_be_bytes(*self.opc)
    }
}

impl Challenge<'_> {
    /// f1 (MAC-A) and f1* (MAC-S) over SQN and AMF.
    pub(crate) fn f1(&self, input: &MacInput) -> ([u8; 8], [u8; 8]) {
        let block = u128::from(u64::from_be_bytes(input.bytes()));
        let in1 = (block << 64) | block;
        let [r1, ..] = self.milenage.rotations;
        let [c1, ..] = self.milenage.constants;
        let opc = self.milenage.opc();
        let rotated = (in1 ^ opc).rotate_left(u32::from(*r1));
        let out = encrypt(&self.cipher, self.temp ^ rotated ^ u128::from_be_bytes(*c1)) ^ opc;
        (upper(out), lower(out))
    }

    /// f2 (RES), f3 (CK), f4 (IK) and f5 (AK).
    pub(crate) fn f2345(&self) -> Keys {
        let [_, r2, r3, r4, _] = self.milenage.rotations;
        let [_, c2, c3, c4, _] = self.milenage.constants;
        let out2 = self.out(*r2, c2);
        let mut res = [0; 16];
        for (to, from) in res.iter_mut().zip(lower(out2)) {
            *to = from;
        }
        Keys {
            res,
            res_len: 8,
            ck: self.out(*r3, c3).to_be_bytes(),
            ik: self.out(*r4, c4).to_be_bytes(),
            ak: first_six(out2),
        }
    }

    /// f5* (AK for the resynchronisation).
    pub(crate) fn f5_star(&self) -> [u8; 6] {
        let [.., r5] = self.milenage.rotations;
        let [.., c5] = self.milenage.constants;
        first_six(self.out(*r5, c5))
    }

    fn out(&self, rotation: u8, constant: &[u8; 16]) -> u128 {
        let opc = self.milenage.opc();
        let rotated = (self.temp ^ opc).rotate_left(u32::from(rotation));
        encrypt(&self.cipher, rotated ^ u128::from_be_bytes(*constant)) ^ opc
    }
}

impl Drop for Challenge<'_> {
    fn drop(&mut self) {
        self.temp.zeroize();
    }
}

fn encrypt(cipher: &Aes128, block: u128) -> u128 {
    let mut block = block.to_be_bytes().into();
    cipher.encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

fn upper(block: u128) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = block.to_be_bytes();
    [a, b, c, d, e, f, g, h]
}

fn lower(block: u128) -> [u8; 8] {
    upper(block.rotate_left(64))
}

fn first_six(block: u128) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = block.to_be_bytes();
    [a, b, c, d, e, f]
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    struct Set {
        k: [u8; 16],
        rand: [u8; 16],
        sqn: [u8; 6],
        amf: [u8; 2],
        opc: [u8; 16],
        f1: [u8; 8],
        f1_star: [u8; 8],
        f2: [u8; 8],
        f5: [u8; 6],
        f3: [u8; 16],
        f4: [u8; 16],
        f5_star: [u8; 6],
    }

    /// TS 35.207 sections 4 to 6, test sets 1 to 6.
    const SETS: [Set; 6] = [
        Set {
            k: hex!("465b5ce8b199b49faa5f0a2ee238a6bc"),
            rand: hex!("23553cbe9637a89d218ae64dae47bf35"),
            sqn: hex!("ff9bb4d0b607"),
            amf: hex!("b9b9"),
            opc: hex!("cd63cb71954a9f4e48a5994e37a02baf"),
            f1: hex!("4a9ffac354dfafb3"),
            f1_star: hex!("01cfaf9ec4e871e9"),
            f2: hex!("a54211d5e3ba50bf"),
            f5: hex!("aa689c648370"),
            f3: hex!("b40ba9a3c58b2a05bbf0d987b21bf8cb"),
            f4: hex!("f769bcd751044604127672711c6d3441"),
            f5_star: hex!("451e8beca43b"),
        },
        Set {
            k: hex!("0396eb317b6d1c36f19c1c84cd6ffd16"),
            rand: hex!("c00d603103dcee52c4478119494202e8"),
            sqn: hex!("fd8eef40df7d"),
            amf: hex!("af17"),
            opc: hex!("53c15671c60a4b731c55b4a441c0bde2"),
            f1: hex!("5df5b31807e258b0"),
            f1_star: hex!("a8c016e51ef4a343"),
            f2: hex!("d3a628ed988620f0"),
            f5: hex!("c47783995f72"),
            f3: hex!("58c433ff7a7082acd424220f2b67c556"),
            f4: hex!("21a8c1f929702adb3e738488b9f5c5da"),
            f5_star: hex!("30f1197061c1"),
        },
        Set {
            k: hex!("fec86ba6eb707ed08905757b1bb44b8f"),
            rand: hex!("9f7c8d021accf4db213ccff0c7f71a6a"),
            sqn: hex!("9d0277595ffc"),
            amf: hex!("725c"),
            opc: hex!("1006020f0a478bf6b699f15c062e42b3"),
            f1: hex!("9cabc3e99baf7281"),
            f1_star: hex!("95814ba2b3044324"),
            f2: hex!("8011c48c0c214ed2"),
            f5: hex!("33484dc2136b"),
            f3: hex!("5dbdbb2954e8f3cde665b046179a5098"),
            f4: hex!("59a92d3b476a0443487055cf88b2307b"),
            f5_star: hex!("deacdd848cc6"),
        },
        Set {
            k: hex!("9e5944aea94b81165c82fbf9f32db751"),
            rand: hex!("ce83dbc54ac0274a157c17f80d017bd6"),
            sqn: hex!("0b604a81eca8"),
            amf: hex!("9e09"),
            opc: hex!("a64a507ae1a2a98bb88eb4210135dc87"),
            f1: hex!("74a58220cba84c49"),
            f1_star: hex!("ac2cc74a96871837"),
            f2: hex!("f365cd683cd92e96"),
            f5: hex!("f0b9c08ad02e"),
            f3: hex!("e203edb3971574f5a94b0d61b816345d"),
            f4: hex!("0c4524adeac041c4dd830d20854fc46b"),
            f5_star: hex!("6085a86c6f63"),
        },
        Set {
            k: hex!("4ab1deb05ca6ceb051fc98e77d026a84"),
            rand: hex!("74b0cd6031a1c8339b2b6ce2b8c4a186"),
            sqn: hex!("e880a1b580b6"),
            amf: hex!("9f07"),
            opc: hex!("dcf07cbd51855290b92a07a9891e523e"),
            f1: hex!("49e785dd12626ef2"),
            f1_star: hex!("9e85790336bb3fa2"),
            f2: hex!("5860fc1bce351e7e"),
            f5: hex!("31e11a609118"),
            f3: hex!("7657766b373d1c2138f307e3de9242f9"),
            f4: hex!("1c42e960d89b8fa99f2744e0708ccb53"),
            f5_star: hex!("fe2555e54aa9"),
        },
        Set {
            k: hex!("6c38a116ac280c454f59332ee35c8c4f"),
            rand: hex!("ee6466bc96202c5a557abbeff8babf63"),
            sqn: hex!("414b98222181"),
            amf: hex!("4464"),
            opc: hex!("3803ef5363b947c6aaa225e58fae3934"),
            f1: hex!("078adfb488241a57"),
            f1_star: hex!("80246b8d0186bcf1"),
            f2: hex!("16c8233f05a0ac28"),
            f5: hex!("45b0f69ab06c"),
            f3: hex!("3f8c7587fe8e4b233af676aede30ba3b"),
            f4: hex!("a7466cc1e6b2a1337d49d3b66e95d7b4"),
            f5_star: hex!("1f53cd2b1113"),
        },
    ];

    #[test]
    fn test_sets_of_ts_35_207() {
        for set in SETS {
            let milenage = Milenage { k: &set.k, opc: &set.opc, rotations: &ROTATIONS, constants: &CONSTANTS };
            let challenge = milenage.challenge(&set.rand);
            assert_eq!(challenge.f1(&MacInput { sqn: set.sqn, amf: set.amf }), (set.f1, set.f1_star));
            let keys = challenge.f2345();
            assert_eq!(keys.res(), set.f2);
            assert_eq!((keys.ck, keys.ik, keys.ak), (set.f3, set.f4, set.f5));
            assert_eq!(challenge.f5_star(), set.f5_star);
        }
    }

    #[test]
    fn another_rotation_or_constant_changes_exactly_its_function() {
        let k = hex!("465b5ce8b199b49faa5f0a2ee238a6bc");
        let opc = hex!("cd63cb71954a9f4e48a5994e37a02baf");
        let rand = hex!("23553cbe9637a89d218ae64dae47bf35");
        let input = MacInput { sqn: [1; 6], amf: [2; 2] };
        let outputs = |rotations: &[u8; 5], constants: &[[u8; 16]; 5]| {
            let milenage = Milenage { k: &k, opc: &opc, rotations, constants };
            let challenge = milenage.challenge(&rand);
            let keys = challenge.f2345();
            (challenge.f1(&input).0, keys.res, keys.ck, keys.ik, challenge.f5_star())
        };
        let standard = outputs(&ROTATIONS, &CONSTANTS);
        for changed in 0..5 {
            let mut rotations = ROTATIONS;
            rotations[changed] = 127;
            let mut constants = CONSTANTS;
            constants[changed][0] ^= 0x80;
            for other in [outputs(&rotations, &CONSTANTS), outputs(&ROTATIONS, &constants)] {
                assert_eq!(other.0 != standard.0, changed == 0);
                assert_eq!(other.1 != standard.1, changed == 1);
                assert_eq!(other.2 != standard.2, changed == 2);
                assert_eq!(other.3 != standard.3, changed == 3);
                assert_eq!(other.4 != standard.4, changed == 4);
            }
        }
    }
}
