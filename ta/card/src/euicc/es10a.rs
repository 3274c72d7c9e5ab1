//! ES10a: addresses (SGP.22 v2.5 sections 5.7.3, 5.7.4).

use super::{Euicc, Failure};
use crate::euicc::registry::MAX_ADDRESS;
use crate::platform::Env;
use alloc::vec::Vec;
use teuicc_rsp::codes::SetDefaultDpAddressResult;
use teuicc_rsp::es10::{EuiccConfiguredAddresses, SetDefaultDpAddressRequest, SetDefaultDpAddressResponse};
use teuicc_rsp::object::Object;
use teuicc_tlv::try_copy;

impl Euicc {
    /// GetEuiccConfiguredAddresses.
    pub(super) fn configured_addresses(&self) -> Result<Vec<u8>, Failure> {
        let default = text(&self.registry.default_dp_address)?;
        let response = EuiccConfiguredAddresses {
            default_dp_address: (!default.is_empty()).then_some(default),
            root_ds_address: text(&self.personalized()?.root_ds_address)?,
        };
        Ok(response.encode()?)
    }

    /// SetDefaultDpAddress: 1 replace.
    pub(super) fn set_default_dp_address(&mut self, env: &mut Env<'_>, command: &[u8]) -> Result<Vec<u8>, Failure> {
        let request = SetDefaultDpAddressRequest::parse(command)?;
        if request.default_dp_address.len() > MAX_ADDRESS {
            return Err(Failure::Malformed);
        }
        let mut next = self.registry.duplicate()?;
        next.default_dp_address = try_copy(request.default_dp_address.as_bytes())?;
        self.commit(env, next)?;
        Ok(SetDefaultDpAddressResponse { result: SetDefaultDpAddressResult::Ok }.encode()?)
    }
}

/// Stored text; it was checked when it came in and when it was loaded.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Failure> {
    core::str::from_utf8(bytes).map_err(|_| Failure::Internal)
}
