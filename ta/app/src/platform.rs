//! The TEE's random source.

use optee_utee::Random;
use teuicc_card::Rng;

/// `TEE_GenerateRandom`. OP-TEE panics the TA when its source fails.
pub(crate) struct TeeRng;

impl Rng for TeeRng {
    fn fill(&mut self, bytes: &mut [u8]) {
        Random::generate(bytes);
    }
}
