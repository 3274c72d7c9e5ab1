//! TUAK (TS 35.231): the functions f1 to f5, f1* and f5* over the permutation Keccak-f[1600].

use super::{Keys, MacInput};
use keccak::Keccak;
use zeroize::Zeroizing;

/// ALGONAME (TS 35.231 section 6.2).
const NAME: &[u8; 7] = b"TUAK1.0";

/// INSTANCE (TS 35.231 sections 6.3 to 6.6): the function.
const F1: u8 = 0x00;
const F1_STAR: u8 = 0x80;
const F2345: u8 = 0x40;
const F5_STAR: u8 = 0xC0;
/// INSTANCE: the length of CK and of IK is 256 bits, and that of K.
const LONG_CK: u8 = 0x04;
const LONG_IK: u8 = 0x02;
const LONG_K: u8 = 0x01;

/// Length of the permuted state in bytes.
const STATE: usize = 200;
/// Where IK and AK begin in the output; RES and MAC begin it, and CK comes between.
const CK: usize = 32;
const IK: usize = 64;
const AK: usize = 96;

/// TUAK with the parameters of one subscriber, for one RAND.
pub(crate) struct Tuak<'a> {
    /// K, 16 or 32 bytes.
    pub(crate) k: &'a [u8],
    /// TOPc.
    pub(crate) topc: &'a [u8; 32],
    /// How often the permutation is applied, at least once.
    pub(crate) iterations: u8,
    /// The challenge.
    pub(crate) rand: &'a [u8; 16],
}

impl Tuak<'_> {
    /// f1: MAC-A of 8, 16 or 32 bytes over SQN and AMF.
    pub(crate) fn f1<const N: usize>(&self, input: &MacInput) -> [u8; N] {
        self.mac(F1, input)
    }

    /// f1*: MAC-S of 8, 16 or 32 bytes over SQN and AMF.
    pub(crate) fn f1_star<const N: usize>(&self, input: &MacInput) -> [u8; N] {
        self.mac(F1_STAR, input)
    }

    /// f2 to f5 as a USIM answers them: RES of `res_len` bytes (4, 8 or 16), CK and IK of 16 bytes.
    pub(crate) fn f2345(&self, res_len: u8) -> Keys {
        let mut keys = Keys { res: [0; 16], res_len: res_len.min(16), ck: [0; 16], ik: [0; 16], ak: [0; 6] };
        let res = keys.res.get_mut(..usize::from(keys.res_len)).unwrap_or_default();
        keys.ak = self.respond(res, &mut keys.ck, &mut keys.ik);
        keys
    }

    /// f2 to f5: fills RES (4, 8, 16 or 32 bytes), CK and IK (16 or 32 bytes), and returns AK. The lengths are inputs
    /// of the functions.
    pub(crate) fn respond(&self, res: &mut [u8], ck: &mut [u8], ik: &mut [u8]) -> [u8; 6] {
        let long = |flag: u8, key: &[u8]| if key.len() > 16 { flag } else { 0 };
        let instance = F2345 | length_code(res.len()) | long(LONG_CK, ck) | long(LONG_IK, ik);
        let output = self.permuted(instance, &MacInput::ZERO);
        read(&output, 0, res);
        read(&output, CK, ck);
        read(&output, IK, ik);
        array(&output, AK)
    }

    /// f5* (AK for the resynchronisation).
    pub(crate) fn f5_star(&self) -> [u8; 6] {
        array(&self.permuted(F5_STAR, &MacInput::ZERO), AK)
    }

    fn mac<const N: usize>(&self, function: u8, input: &MacInput) -> [u8; N] {
        array(&self.permuted(function | length_code(N), input), 0)
    }

    /// The input block, permuted (TS 35.231 section 6.2). Every field stands in it with its last byte first.
    fn permuted(&self, instance: u8, input: &MacInput) -> Zeroizing<[u8; STATE]> {
        let instance = instance | if self.k.len() > 16 { LONG_K } else { 0 };
        let mut block = Zeroizing::new([0u8; STATE]);
        let fields: [(&[u8], usize); 9] = [
            (self.topc, 0),
            (&[instance], 32),
            (NAME, 33),
            (self.rand, 40),
            (&input.amf, 56),
            (&input.sqn, 58),
            (self.k, 64),
            // The padding: 1F, 38 bytes of zeros, 80.
            (&[0x1F], 96),
            (&[0x80], 135),
        ];
        for (field, at) in fields {
            for (to, from) in block.iter_mut().skip(at).zip(field.iter().rev()) {
                *to = *from;
            }
        }
        let mut lanes = Zeroizing::new([0u64; STATE / 8]);
        let (words, _) = block.as_chunks_mut::<8>();
        lanes.iter_mut().zip(words.iter()).for_each(|(lane, word)| *lane = u64::from_le_bytes(*word));
        Keccak::new().with_f1600(|permute| (0..self.iterations).for_each(|_| permute(&mut lanes)));
        lanes.iter().zip(words).for_each(|(lane, word)| *word = lane.to_le_bytes());
        block
    }
}

/// The length of MAC or RES, 4 to 32 bytes, in INSTANCE.
fn length_code(length: usize) -> u8 {
    match length {
        4 => 0x00,
        8 => 0x08,
        16 => 0x10,
        _ => 0x20,
    }
}

/// Reads a field that begins at `at`, its last byte first.
fn read(block: &[u8; STATE], at: usize, field: &mut [u8]) {
    for (to, from) in field.iter_mut().rev().zip(block.iter().skip(at)) {
        *to = *from;
    }
}

fn array<const N: usize>(block: &[u8; STATE], at: usize) -> [u8; N] {
    let mut field = [0; N];
    read(block, at, &mut field);
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use hex_literal::hex;

    struct Set<'a> {
        k: &'a [u8],
        rand: [u8; 16],
        sqn: [u8; 6],
        amf: [u8; 2],
        topc: [u8; 32],
        iterations: u8,
        f1: &'a [u8],
        f1_star: &'a [u8],
        f2: &'a [u8],
        f3: &'a [u8],
        f4: &'a [u8],
        f5: [u8; 6],
        f5_star: [u8; 6],
    }

    /// TS 35.233 sections 6.3 to 6.8, test sets 1 to 6.
    const SETS: [Set<'_>; 6] = [
        Set {
            k: &hex!("abababababababababababababababab"),
            rand: hex!("42424242424242424242424242424242"),
            sqn: hex!("111111111111"),
            amf: hex!("ffff"),
            topc: hex!("bd04d9530e87513c5d837ac2ad954623a8e2330c115305a73eb45d1f40cccbff"),
            iterations: 1,
            f1: &hex!("f9a54e6aeaa8618d"),
            f1_star: &hex!("e94b4dc6c7297df3"),
            f2: &hex!("657acd64"),
            f3: &hex!("d71a1e5c6caffe986a26f783e5c78be1"),
            f4: &hex!("be849fa2564f869aecee6f62d4337e72"),
            f5: hex!("719f1e9b9054"),
            f5_star: hex!("e7af6b3d0e38"),
        },
        Set {
            k: &hex!("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0"),
            rand: hex!("0123456789abcdef0123456789abcdef"),
            sqn: hex!("0123456789ab"),
            amf: hex!("abcd"),
            topc: hex!("305425427e18c503c8a4b294ea72c95d0c36c6c6b29d0c65de5974d5977f8524"),
            iterations: 1,
            f1: &hex!("c0b8c2d4148ec7aa5f1d78a97e4d1d58"),
            f1_star: &hex!("ef81af7290f7842c6ceafa537fa0745b"),
            f2: &hex!("e9d749dc4eea0035"),
            f3: &hex!("a4cb6f6529ab17f8337f27baa8234d47"),
            f4: &hex!("2274155ccf4199d5e2abcbf621907f90"),
            f5: hex!("480a9345cc1e"),
            f5_star: hex!("f84eb338848c"),
        },
        Set {
            k: &hex!("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0"),
            rand: hex!("0123456789abcdef0123456789abcdef"),
            sqn: hex!("0123456789ab"),
            amf: hex!("abcd"),
            topc: hex!("305425427e18c503c8a4b294ea72c95d0c36c6c6b29d0c65de5974d5977f8524"),
            iterations: 1,
            f1: &hex!("d97b75a1776065271b1e212bc3b1bf173f438b21e6c64a55a96c372e085e5cc5"),
            f1_star: &hex!("427bbf07c6e3a86c54f8c5216499f3909a6fd4a164c9fe235b1550258111b821"),
            f2: &hex!("07021c73e7635c7d"),
            f3: &hex!("4d59ac796834eb85d11fa148a5058c3c"),
            f4: &hex!("126d47500136fdc5ddfd14f19ebf16749ce4b6435323fbb5715a3a796a6082bd"),
            f5: hex!("1d6622c4e59a"),
            f5_star: hex!("f84eb338848c"),
        },
        Set {
            k: &hex!("b8da837a50652d6ac7c97da14f6acc61"),
            rand: hex!("6887e55425a966bd86c9661a5fa72be8"),
            sqn: hex!("0dea2ee2c5af"),
            amf: hex!("df1e"),
            topc: hex!("2bc16eb657a68e1f446f08f57c0efb1d493527a2e652ce281eb6ca0e4487760a"),
            iterations: 1,
            f1: &hex!("749214087958dd8f58bfcdf869d8ae3f"),
            f1_star: &hex!("619e865afe80e382aee13063f9dfb56d"),
            f2: &hex!("4041ce438e3e38e8aa96562eed83ac43"),
            f3: &hex!("3e3bc01bea0cd914c4c2c83ce2d92757"),
            f4: &hex!("666a8e6f577b1aa77b7fd53cebb8a3d6"),
            f5: hex!("1f880d005119"),
            f5_star: hex!("45e617d77fe5"),
        },
        Set {
            k: &hex!("1574ca56881d05c189c82880f789c9cd4244955f4426aa2b69c29f15770e5aa5"),
            rand: hex!("c570aac68cde651fb1e3088322498bef"),
            sqn: hex!("c89bb71f3a41"),
            amf: hex!("297d"),
            topc: hex!("3c6052e41532a28a47aa3cbb89f223e8f3aaa976aecd48bc3e7d6165a55eff62"),
            iterations: 1,
            f1: &hex!("d7340dad02b4cb01"),
            f1_star: &hex!("c6021e2e66accb15"),
            f2: &hex!("84d89b41db1867ffd4c7ba1d82163f4d526a20fbae5418fbb526940b1eeb905c"),
            f3: &hex!("d419676afe5ab58c1d8bee0d43523a4d2f52ef0b31a4676a0c334427a988fe65"),
            f4: &hex!("205533e505661b61d05cc0eac87818f4"),
            f5: hex!("d7b3d2d4980a"),
            f5_star: hex!("ca9655264986"),
        },
        Set {
            k: &hex!("1574ca56881d05c189c82880f789c9cd4244955f4426aa2b69c29f15770e5aa5"),
            rand: hex!("c570aac68cde651fb1e3088322498bef"),
            sqn: hex!("c89bb71f3a41"),
            amf: hex!("297d"),
            topc: hex!("b04a66f26c62fcd6c82de22a179ab65506ecf47f56245cd149966cfa9cec7a51"),
            iterations: 2,
            f1: &hex!("90d2289ed1ca1c3dbc2247bb480d431ac71d2e4a7677f6e997cfddb0cbad88b7"),
            f1_star: &hex!("427355dbac30e825063aba61b556e87583abac638e3ab01c4c884ad9d458dc2f"),
            f2: &hex!("d67e6e64590d22eecba7324afa4af4460c93f01b24506d6e12047d789a94c867"),
            f3: &hex!("ede57edfc57cdffe1aae75066a1b7479bbc3837438e88d37a801cccc9f972b89"),
            f4: &hex!("48ed9299126e5057402fe01f9201cf25249f9c5c0ed2afcf084755daff1d3999"),
            f5: hex!("6aae8d18c448"),
            f5_star: hex!("8c5f33b61f4e"),
        },
    ];

    fn tuak<'a>(set: &'a Set<'a>) -> Tuak<'a> {
        Tuak { k: set.k, topc: &set.topc, iterations: set.iterations, rand: &set.rand }
    }

    #[test]
    fn test_sets_of_ts_35_233() {
        for set in SETS {
            let tuak = tuak(&set);
            let input = MacInput { sqn: set.sqn, amf: set.amf };
            let (mac_a, mac_s) = match set.f1.len() {
                8 => (tuak.f1::<8>(&input).to_vec(), tuak.f1_star::<8>(&input).to_vec()),
                16 => (tuak.f1::<16>(&input).to_vec(), tuak.f1_star::<16>(&input).to_vec()),
                _ => (tuak.f1::<32>(&input).to_vec(), tuak.f1_star::<32>(&input).to_vec()),
            };
            assert_eq!((&mac_a[..], &mac_s[..]), (set.f1, set.f1_star));
            let (mut res, mut ck, mut ik) = (vec![0; set.f2.len()], vec![0; set.f3.len()], vec![0; set.f4.len()]);
            let ak = tuak.respond(&mut res, &mut ck, &mut ik);
            assert_eq!((&res[..], &ck[..], &ik[..], ak), (set.f2, set.f3, set.f4, set.f5));
            assert_eq!(tuak.f5_star(), set.f5_star);
        }
    }

    /// What a USIM answers is what the functions give for the same lengths.
    #[test]
    fn a_usim_answers_16_bytes_of_ck_and_ik() {
        let lengths: Vec<usize> = SETS
            .iter()
            .filter(|set| set.f2.len() <= 16 && set.f3.len() == 16 && set.f4.len() == 16)
            .map(|set| {
                let keys = tuak(set).f2345(set.f2.len().try_into().unwrap());
                assert_eq!((keys.res(), &keys.ck[..], &keys.ik[..], keys.ak), (set.f2, set.f3, set.f4, set.f5));
                set.f2.len()
            })
            .collect();
        assert_eq!(lengths, [4, 8, 16]);
    }

    /// Keccak-f[1600] alone: TS 35.232 section 3, test set 1.
    #[test]
    fn permutation() {
        let input: [u8; STATE] = hex!(
            "2476d2dac59e2e9349df3255a9dab1b69eb5c208f151c7309e8c8f17db456d0b5eb0afb6c73e37ce"
            "8ccccf20b79d8a67294149174809e429709330c4ad231d3e5211ae0bd80520c43ad4b436625792a7"
            "6c52089d0f739271151a37594df66de4429f3c970a3456b6ce2c78cd1128717f4bdb731a4c97dbe5"
            "eb7353fe81e37c33ac60b82122eac611a98e0e7442b99964752293e4f9c696ba05f07a21451f9073"
            "0c9678c645ad4be44c4d2d981a3412081c9c6b05c993ff1c561a0d242b4706d501c34765b37a0b50"
        );
        let output: [u8; STATE] = hex!(
            "2fdc58d4d94a884c1cb03a8e63acab8375e856b561ba3a0625e830acdb55734286646f87189b4354"
            "25b5d6654e228228b697b81cbead655b71aaccc25e3d7e51b5cb5ac227f67f2ad8a062976782b08a"
            "7ec3f1b538d6008c0babef83da64366b62a53f88a3dc0629bded795f3220f3c65c76bdd01243e88f"
            "63d6912e5fb5cda167b71f9baaa742dc193ff78c1767a38a1c96408cce169239b077f2903a07b8c4"
            "6a048d66318e595ea4bb92992c7c2d3dcd381975b6e05f85ba18152096cc30ed22140ff3b6711ea7"
        );
        let lanes = |bytes: &[u8; STATE]| {
            bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect::<Vec<u64>>()
        };
        let mut state: [u64; 25] = lanes(&input).try_into().unwrap();
        Keccak::new().with_f1600(|permute| permute(&mut state));
        assert_eq!(&state[..], lanes(&output));
    }
}
