//! ES10a, and the functions of ES10b and ES10c that are about the eUICC as a whole: addresses, EID, reset, RAT.

use crate::codes::{EuiccMemoryResetResult, SetDefaultDpAddressResult};
use crate::eid::Eid;
use crate::metadata::RulesAuthorisationTable;
use crate::object::{bits, object};
use crate::tags;

object! {
    /// Response of ES10a.GetEuiccConfiguredAddresses (section 5.7.3).
    pub struct EuiccConfiguredAddresses<'a>: tags::EUICC_CONFIGURED_ADDRESSES => {
        /// Default SM-DP+ address.
        default_dp_address: optional &'a str = 0x80,
        /// Root SM-DS address.
        root_ds_address: required &'a str = 0x81,
    }
}

object! {
    /// Request of ES10a.SetDefaultDpAddress (section 5.7.4).
    pub struct SetDefaultDpAddressRequest<'a>: tags::SET_DEFAULT_DP_ADDRESS => {
        /// Host name; an empty one removes the setting.
        default_dp_address: required &'a str = 0x80,
    }
}

object! {
    /// Response of ES10a.SetDefaultDpAddress.
    pub struct SetDefaultDpAddressResponse: tags::SET_DEFAULT_DP_ADDRESS => {
        /// The result.
        result: required SetDefaultDpAddressResult = 0x80,
    }
}

object! {
    /// Request of ES10c.GetEID (section 5.7.20).
    pub struct GetEidRequest<'a>: tags::GET_EID => {
        /// The tags asked for: `5A`.
        tag_list: required &'a [u8] = 0x5C,
    }
}

object! {
    /// Response of ES10c.GetEID.
    pub struct GetEidResponse: tags::GET_EID => {
        /// The EID.
        eid: required Eid = 0x5A,
    }
}

bits! {
    /// What ES10c.eUICCMemoryReset resets.
    pub struct ResetOptions {
        /// Operational profiles.
        DELETE_OPERATIONAL_PROFILES = 0,
        /// Test profiles that were loaded in the field.
        DELETE_FIELD_LOADED_TEST_PROFILES = 1,
        /// The default SM-DP+ address.
        RESET_DEFAULT_SMDP_ADDRESS = 2,
    }
}

object! {
    /// Request of ES10c.eUICCMemoryReset (section 5.7.19).
    pub struct EuiccMemoryResetRequest: tags::EUICC_MEMORY_RESET => {
        /// What to reset.
        reset_options: required ResetOptions = 0x82,
    }
}

object! {
    /// Response of ES10c.eUICCMemoryReset.
    pub struct EuiccMemoryResetResponse: tags::EUICC_MEMORY_RESET => {
        /// The result.
        result: required EuiccMemoryResetResult = 0x80,
    }
}

object! {
    /// Response of ES10b.GetRAT (section 5.7.22).
    pub struct GetRatResponse<'a>: tags::GET_RAT => {
        /// The Rules Authorisation Table.
        rat: required RulesAuthorisationTable<'a> = 0xA0,
    }
}
