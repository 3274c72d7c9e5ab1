//! PE-AKAParameter (clause 8.4.2).

use super::{Build, Failure, Outcome};
use crate::profile::{Algorithm, MAX_NAAS, Naa};
use teuicc_rsp::codes::ErrorReason;
use teuicc_saip::pe::{AkaParameter, AlgoConfiguration, AlgoParameter, AlgorithmId};
use teuicc_saip::{PeStatus, StatusCode};
use teuicc_tlv::{TryBytes, try_copy};

/// Largest rotation of Milenage, in bits.
const MAX_ROTATION: u8 = 127;

impl Build {
    /// Errors: a second set of keys for an application, an algorithm that may not be used, bad constants, a mapping
    /// to an application without keys, a key that is not a test key in a test profile.
    pub(super) fn aka_parameter(&mut self, parameter: &AkaParameter<'_>) -> Outcome {
        let adf = self.context.naa.ok_or(StatusCode::InvalidRequestFormat)?;
        if self.profile.naas.iter().any(|naa| naa.adf == adf) {
            return Err(StatusCode::InvalidParameter.into());
        }
        if self.profile.naas.len() >= MAX_NAAS {
            return Err(StatusCode::NotEnoughMemory.into());
        }
        let algorithm = match &parameter.algorithm {
            AlgoConfiguration::Mapping { options, source } => self.mapped(*options, source)?,
            AlgoConfiguration::Algorithm(parameter) => self.algorithm(parameter)?,
        };
        self.profile.naas.try_push(Naa {
            adf,
            algorithm,
            sqn_options: parameter.sqn_options,
            sqn_delta: parameter.sqn_delta,
            sqn_age_limit: parameter.sqn_age_limit,
            seq: parameter.sqn_init,
            bootstrapping: None,
        })?;
        Ok(())
    }

    /// The algorithm of the application with this AID, which must have come earlier.
    fn mapped(&self, options: u8, source: &[u8]) -> Outcome<Algorithm> {
        Options::Mapping.read(options)?;
        let adf = self.profile.adfs().find(|(_, adf)| adf.aid == source).map(|(index, _)| index);
        let naa = self.profile.naas.iter().find(|naa| Some(naa.adf) == adf).ok_or(StatusCode::InvalidParameter)?;
        Ok(naa.algorithm.try_clone()?)
    }

    fn algorithm(&self, parameter: &AlgoParameter<'_>) -> Outcome<Algorithm> {
        let bad = Failure::from(StatusCode::BadValues);
        if self.test_class && !is_test_key(parameter.key) {
            let status = PeStatus::new(StatusCode::BadValues);
            return Err(Failure { status, reason: ErrorReason::TestProfileInstallFailedDueToInvalidNaaKey });
        }
        match parameter.algorithm {
            AlgorithmId::Milenage => {
                if parameter.rotation.iter().any(|bits| *bits > MAX_ROTATION) {
                    return Err(bad);
                }
                let (constants, _) = parameter.xoring.as_chunks::<16>();
                Ok(Algorithm::Milenage {
                    k: array(parameter.key)?,
                    opc: array(parameter.opc)?,
                    rotations: parameter.rotation,
                    constants: constants.try_into().map_err(|_| bad)?,
                })
            }
            AlgorithmId::UsimTestAlgorithm if !self.test_algorithm_allowed => {
                Err(StatusCode::FeatureNotSupported.into())
            }
            AlgorithmId::UsimTestAlgorithm => {
                let res_len = Options::TestAlgorithm.read(parameter.options)?;
                Ok(Algorithm::XorTest { k: array(parameter.key)?, res_len })
            }
            AlgorithmId::Tuak if parameter.number_of_keccak == 0 => Err(bad),
            AlgorithmId::Tuak => Ok(Algorithm::Tuak {
                k: try_copy(parameter.key)?,
                topc: array(parameter.opc)?,
                res_len: Options::Tuak.read(parameter.options)?,
                iterations: parameter.number_of_keccak,
            }),
            AlgorithmId::Other(_) => Err(StatusCode::FeatureNotSupported.into()),
        }
    }
}

fn array<const N: usize>(bytes: &[u8]) -> Outcome<[u8; N]> {
    bytes.try_into().map_err(|_| StatusCode::BadValues.into())
}

/// The option bytes of PE-AKAParameter. (That of Milenage means nothing.)
#[derive(Clone, Copy)]
enum Options {
    /// mappingOptions.
    Mapping,
    /// algorithmOptions of TUAK.
    Tuak,
    /// algorithmOptions of the XOR test algorithm.
    TestAlgorithm,
}

impl Options {
    /// What an option byte says: the length of RES in bytes, 0 of a mapping. The text of clause 8.4.2 was not at hand:
    /// 02 is 128 bits in the TS.48 packages, 00 is what pySim writes, for the shortest RES, and 06 is the mapping that
    /// it writes.
    ///
    /// Errors: bad-values for a value without a known meaning, rather than a RES that the network does not expect.
    fn read(self, value: u8) -> Outcome<u8> {
        match (self, value) {
            (Options::Mapping, 6) => Ok(0),
            (Options::Tuak | Options::TestAlgorithm, 0) => Ok(4),
            (Options::Tuak | Options::TestAlgorithm, 2) => Ok(16),
            _ => Err(StatusCode::BadValues.into()),
        }
    }
}

/// Whether a key is all zero, or that of TS 34.108 section 8.2: 00 01 02 and so on.
fn is_test_key(key: &[u8]) -> bool {
    key.iter().all(|byte| *byte == 0) || (0u8..=0xFF).zip(key).all(|(expected, byte)| expected == *byte)
}
