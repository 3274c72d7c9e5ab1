//! PE-PINCodes and PE-PUKCodes (clauses 8.5.1 and 8.5.2).

use super::{Build, Outcome, Secret};
use crate::profile::{FileIndex, MAX_PINS, Pin, Puk, SharedPins};
use teuicc_saip::StatusCode;
use teuicc_saip::pe::{List, PinCodes, PinConfiguration, PukConfiguration};
use teuicc_tlv::TryBytes;

/// pinAttributes: the PIN is enabled from the start.
const ENABLED: u8 = 0x01;

/// Bit 8 of a key reference: it belongs to a DF or ADF.
const LOCAL: u8 = 0x80;

impl Build {
    /// Errors: the same reference twice in a context, a global reference outside of the MF, counters that contradict
    /// each other, an unknown PUK; the context whose PINs are shared has none, or they
    /// are shared twice.
    pub(super) fn pin_codes(&mut self, codes: &PinCodes<'_>) -> Outcome {
        let context = self.context.pins.ok_or(StatusCode::InvalidRequestFormat)?;
        match codes {
            PinCodes::Config(pins) => pins.iter().try_for_each(|pin| self.pin(context, &pin)),
            PinCodes::Shared(path) => self.share_pins(context, path),
        }
    }

    fn pin(&mut self, context: FileIndex, pin: &PinConfiguration) -> Outcome {
        let misplaced = pin.key_reference & LOCAL == 0 && context != FileIndex::MF;
        let repeated =
            self.profile.pins.iter().any(|other| other.context == context && other.reference == pin.key_reference);
        if misplaced || repeated {
            return Err(StatusCode::InvalidParameter.into());
        }
        if pin.max_attempts == 0 || pin.attempts_left > pin.max_attempts {
            return Err(StatusCode::BadValues.into());
        }
        if self.profile.pins.len() >= MAX_PINS {
            return Err(StatusCode::NotEnoughMemory.into());
        }
        let puk = pin.unblocking_reference.map(|reference| self.puk(reference)).transpose()?;
        self.profile.pins.try_push(Pin {
            reference: pin.key_reference,
            context,
            value: pin.value,
            // A PIN that is not enabled need not be presented, which an administrative key always must be.
            enabled: pin.attributes & ENABLED != 0 || is_administrative(pin.key_reference),
            attributes: pin.attributes,
            max_tries: pin.max_attempts,
            tries_left: pin.attempts_left,
            puk,
        })?;
        Ok(())
    }

    fn puk(&self, reference: u8) -> Outcome<Puk> {
        let found =
            self.puks.iter().find(|puk| puk.0.key_reference == reference).ok_or(StatusCode::InvalidParameter)?;
        let PukConfiguration { value, max_attempts, attempts_left, .. } = found.0;
        Ok(Puk { reference, value, max_tries: max_attempts, tries_left: attempts_left })
    }

    fn share_pins(&mut self, context: FileIndex, path: &[u8]) -> Outcome {
        let source = self.resolve(path)?;
        let source = self.profile.pins_of(source);
        let again = self.profile.shared_pins.iter().any(|shared| shared.context == context);
        if again || context == source || !self.profile.pins.iter().any(|pin| pin.context == source) {
            return Err(StatusCode::InvalidParameter.into());
        }
        self.profile.shared_pins.try_push(SharedPins { context, source })?;
        Ok(())
    }

    /// Errors: the same reference twice, counters that contradict each other.
    pub(super) fn puk_codes(&mut self, codes: List<'_, PukConfiguration>) -> Outcome {
        for puk in codes.iter() {
            if self.puks.iter().any(|other| other.0.key_reference == puk.key_reference) {
                return Err(StatusCode::InvalidParameter.into());
            }
            if puk.max_attempts == 0 || puk.attempts_left > puk.max_attempts {
                return Err(StatusCode::BadValues.into());
            }
            self.puks.try_push(Secret(puk))?;
        }
        Ok(())
    }

    /// Whether each PIN that a PIN status template DO names is there (clause 8.1.3). Errors: pin-code-missing.
    pub(super) fn check_pins(&mut self) -> Outcome {
        let profile = &self.profile;
        let missing = profile.indexed().any(|(index, file)| {
            file.pin_status.iter().any(|reference| profile.pin_index(*reference, index).is_none())
        });
        if missing { Err(StatusCode::PinCodeMissing.into()) } else { Ok(()) }
    }
}

/// Whether a key reference is that of an administrative key: ADM1 to ADM10 (TS 102 221 table 9.3).
fn is_administrative(reference: u8) -> bool {
    matches!(reference & !LOCAL, 0x0A..=0x0E)
}
