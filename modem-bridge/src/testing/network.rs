//! An authentication centre (TS 33.102 section 6.3) over the `milenage` crate: an implementation that is not the
//! card's.

use milenage::Milenage;

/// How the card answered AUTHENTICATE in the 3G context (TS 31.102 section 7.1.2.1).
#[derive(Clone, PartialEq, Eq)]
pub enum Authentication {
    /// It accepts the network.
    Accepted {
        /// RES, 4 to 16 bytes.
        res: Vec<u8>,
        /// The cipher key.
        ck: [u8; 16],
        /// The integrity key.
        ik: [u8; 16],
    },
    /// The sequence number is not fresh: AUTS.
    SynchronisationFailure([u8; 14]),
    /// The MAC is wrong: 9862.
    MacFailure,
}

impl std::fmt::Debug for Authentication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Authentication::Accepted { .. } => "Accepted",
            Authentication::SynchronisationFailure(_) => "SynchronisationFailure",
            Authentication::MacFailure => "MacFailure",
        })
    }
}

/// What a network sends to a card, and what it expects back.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The random challenge.
    pub rand: [u8; 16],
    /// SQN xor AK, AMF, MAC-A.
    pub autn: [u8; 16],
    xres: [u8; 8],
    ck: [u8; 16],
    ik: [u8; 16],
}

impl Challenge {
    /// Whether the card and the network have agreed on RES, CK and IK.
    #[must_use]
    pub fn accepts(&self, answer: &Authentication) -> bool {
        matches!(answer, Authentication::Accepted { res, ck, ik }
            if *res == self.xres && *ck == self.ck && *ik == self.ik)
    }
}

/// A subscriber in the authentication centre.
pub struct Subscriber {
    k: [u8; 16],
    opc: [u8; 16],
    amf: [u8; 2],
    sqn: u64,
}

/// Bits of SQN that are the index IND (TS 33.102 annex C.1.1.1); the rest is SEQ.
const IND_BITS: u32 = 5;
const SQN_MASK: u64 = (1 << 48) - 1;

impl Subscriber {
    /// A subscriber with Milenage key K and OPc, whose last sequence number was `sqn` (48 bits).
    #[must_use]
    pub fn new(k: [u8; 16], opc: [u8; 16], sqn: u64) -> Self {
        Subscriber { k, opc, amf: [0x80, 0x00], sqn: sqn & SQN_MASK }
    }

    /// The last sequence number that was used.
    #[must_use]
    pub fn sqn(&self) -> u64 {
        self.sqn
    }

    /// Goes back, or ahead, to another last sequence number.
    pub fn set_sqn(&mut self, sqn: u64) {
        self.sqn = sqn & SQN_MASK;
    }

    /// A challenge over `rand` with the next SEQ and the next IND.
    pub fn challenge(&mut self, rand: [u8; 16]) -> Challenge {
        let (seq, ind) = (self.sqn >> IND_BITS, self.sqn & ((1 << IND_BITS) - 1));
        let next = (seq.wrapping_add(1) << IND_BITS) | ((ind + 1) % (1 << IND_BITS));
        self.challenge_with(rand, next)
    }

    /// A challenge over `rand` with this sequence number, which is then the last one.
    pub fn challenge_with(&mut self, rand: [u8; 16], sqn: u64) -> Challenge {
        self.sqn = sqn & SQN_MASK;
        let mut functions = self.functions();
        let sqn = sqn_bytes(self.sqn);
        let mac_a = functions.f1(&rand, &sqn, &self.amf);
        let (xres, ck, ik, ak) = functions.f2345(&rand);
        let mut autn = [0; 16];
        autn[..6].copy_from_slice(&xor(sqn, ak));
        autn[6..8].copy_from_slice(&self.amf);
        autn[8..].copy_from_slice(&mac_a);
        Challenge { rand, autn, xres, ck, ik }
    }

    /// Takes the card's sequence number from `auts`, the answer to `challenge` (TS 33.102 section 6.3.5). False, and
    /// nothing taken, if MAC-S is wrong.
    #[must_use]
    pub fn resynchronise(&mut self, challenge: &Challenge, auts: &[u8; 14]) -> bool {
        let mut functions = self.functions();
        let (concealed, mac_s) = auts.split_at(6);
        let Ok(concealed) = concealed.try_into() else { return false };
        let sqn_ms = xor(concealed, functions.f5star(&challenge.rand));
        // AMF is a dummy value of zeroes in AUTS.
        if functions.f1star(&challenge.rand, &sqn_ms, &[0, 0]) != mac_s {
            return false;
        }
        self.sqn = sqn_ms.iter().fold(0, |sqn, byte| (sqn << 8) | u64::from(*byte));
        true
    }

    fn functions(&self) -> Milenage {
        Milenage::new_with_opc(self.k, self.opc)
    }
}

fn sqn_bytes(sqn: u64) -> [u8; 6] {
    let [_, _, bytes @ ..] = sqn.to_be_bytes();
    bytes
}

fn xor(left: [u8; 6], right: [u8; 6]) -> [u8; 6] {
    std::array::from_fn(|index| left[index] ^ right[index])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// TS 35.208 section 4.3, test set 1.
    const K: [u8; 16] = hex!("465b5ce8b199b49faa5f0a2ee238a6bc");
    const OPC: [u8; 16] = hex!("cd63cb71954a9f4e48a5994e37a02baf");
    const RAND: [u8; 16] = hex!("23553cbe9637a89d218ae64dae47bf35");
    const SQN: u64 = 0xff9b_b4d0_b607;

    #[test]
    fn a_challenge_is_that_of_the_published_set() {
        let mut subscriber = Subscriber { amf: hex!("b9b9"), ..Subscriber::new(K, OPC, 0) };
        let challenge = subscriber.challenge_with(RAND, SQN);
        // SQN xor AK (aa689c648370), AMF, f1.
        assert_eq!(challenge.autn, hex!("55f328b43577 b9b9 4a9ffac354dfafb3"));
        let answer = Authentication::Accepted {
            res: hex!("a54211d5e3ba50bf").to_vec(),
            ck: hex!("b40ba9a3c58b2a05bbf0d987b21bf8cb"),
            ik: hex!("f769bcd751044604127672711c6d3441"),
        };
        assert!(challenge.accepts(&answer));
        assert!(!challenge.accepts(&Authentication::MacFailure));
    }

    #[test]
    fn resynchronisation_takes_the_cards_number_and_only_with_its_mac() {
        let mut subscriber = Subscriber::new(K, OPC, 0);
        let challenge = subscriber.challenge_with(RAND, 32);
        // SQN_MS xor f5* (451e8beca43b), f1* with AMF 0000 computed by the functions themselves.
        let mac_s = Milenage::new_with_opc(K, OPC).f1star(&RAND, &sqn_bytes(SQN), &[0, 0]);
        let mut auts = [0; 14];
        auts[..6].copy_from_slice(&xor(sqn_bytes(SQN), hex!("451e8beca43b")));
        auts[6..].copy_from_slice(&mac_s);
        let mut forged = auts;
        forged[13] ^= 1;
        assert!(!subscriber.resynchronise(&challenge, &forged));
        assert_eq!(subscriber.sqn(), 32);
        assert!(subscriber.resynchronise(&challenge, &auts));
        assert_eq!(subscriber.sqn(), SQN);
    }
}
