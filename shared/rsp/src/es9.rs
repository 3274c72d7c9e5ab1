//! Names of ES9+, ES11 and ES12 over HTTPS, and the status codes of servers in words (SGP.22 v2.5 sections 5.2.6, 5.6,
//! 6.5). There is no JSON here.

use core::fmt;

/// Path of ES9+.InitiateAuthentication, and of ES11.
pub const INITIATE_AUTHENTICATION: &str = "/gsma/rsp2/es9plus/initiateAuthentication";
/// Path of ES9+.AuthenticateClient, and of ES11.
pub const AUTHENTICATE_CLIENT: &str = "/gsma/rsp2/es9plus/authenticateClient";
/// Path of ES9+.GetBoundProfilePackage.
pub const GET_BOUND_PROFILE_PACKAGE: &str = "/gsma/rsp2/es9plus/getBoundProfilePackage";
/// Path of ES9+.HandleNotification. It answers 204 without a body.
pub const HANDLE_NOTIFICATION: &str = "/gsma/rsp2/es9plus/handleNotification";
/// Path of ES9+.CancelSession, and of ES11.
pub const CANCEL_SESSION: &str = "/gsma/rsp2/es9plus/cancelSession";
/// Path of ES12.RegisterEvent.
pub const REGISTER_EVENT: &str = "/gsma/rsp2/es12/registerEvent";
/// Path of ES12.DeleteEvent.
pub const DELETE_EVENT: &str = "/gsma/rsp2/es12/deleteEvent";

/// Value of the header `User-Agent` of an LPA.
pub const USER_AGENT: &str = "gsma-rsp-lpad";
/// Name of the header with the protocol version.
pub const ADMIN_PROTOCOL_HEADER: &str = "X-Admin-Protocol";
/// Value of the header with the protocol version.
pub const ADMIN_PROTOCOL: &str = "gsma/rsp/v2.5.0";
/// Value of the header `Content-Type`, both ways.
pub const CONTENT_TYPE: &str = "application/json;charset=UTF-8";

/// `status` of a response whose function was executed.
pub const EXECUTED_SUCCESS: &str = "Executed-Success";
/// `status` of a response whose function was executed, with a warning.
pub const EXECUTED_WITH_WARNING: &str = "Executed-WithWarning";
/// `status` of a response whose function failed.
pub const FAILED: &str = "Failed";
/// `status` of a response whose function was not executed in time.
pub const EXPIRED: &str = "Expired";

/// Subject code and reason code of a failed function (section 5.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusCode {
    /// Subject code, `8.1.1`.
    pub subject: &'static str,
    /// Reason code, `3.8`.
    pub reason: &'static str,
    /// What they mean together.
    pub words: &'static str,
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}/{})", self.words, self.subject, self.reason)
    }
}

/// The pair that `subject` and `reason` make, if it is one of the specification.
#[must_use]
pub fn status_code(subject: &str, reason: &str) -> Option<&'static StatusCode> {
    STATUS_CODES.iter().find(|code| code.subject == subject && code.reason == reason)
}

macro_rules! status_codes {
    ($( $(#[$meta:meta])* $name:ident = $subject:literal $reason:literal $words:literal ),* $(,)?) => {
        $(
            #[doc = concat!($subject, "/", $reason, ": ", $words, ".")]
            pub const $name: StatusCode = StatusCode { subject: $subject, reason: $reason, words: $words };
        )*

        /// Every pair of the specification.
        pub const STATUS_CODES: &[StatusCode] = &[ $( $name ),* ];
    };
}

status_codes! {
    EUICC_INSUFFICIENT_MEMORY = "8.1" "4.8" "not enough memory in the eUICC",
    EUICC_VERIFICATION_FAILED = "8.1" "6.1" "the eUICC signature is wrong",
    EID_MISSING = "8.1.1" "2.2" "the EID is missing",
    EID_UNSUPPORTED = "8.1.1" "3.1" "the EID is not supported",
    EID_REFUSED = "8.1.1" "3.8" "the EID is refused",
    EUM_CERTIFICATE_VERIFICATION_FAILED = "8.1.2" "6.1" "verification of the EUM certificate failed",
    EUM_CERTIFICATE_EXPIRED = "8.1.2" "6.3" "the EUM certificate is expired",
    EUICC_CERTIFICATE_VERIFICATION_FAILED = "8.1.3" "6.1" "verification of the eUICC certificate failed",
    EUICC_CERTIFICATE_EXPIRED = "8.1.3" "6.3" "the eUICC certificate is expired",
    PROFILE_NOT_ALLOWED = "8.2" "1.2" "the profile is not allowed",
    BPP_REBINDING_REFUSED = "8.2" "3.7" "the profile is bound to another key already or is unavailable",
    PROFILE_ICCID_NOT_ALLOWED = "8.2.1" "1.2" "the ICCID of the profile is not allowed",
    PROFILE_ICCID_UNSUPPORTED = "8.2.1" "3.1" "the ICCID of the profile is not supported",
    PROFILE_ICCID_IN_USE = "8.2.1" "3.3" "the ICCID of the profile is already in use",
    PROFILE_ICCID_INVALID_ASSOCIATION = "8.2.1" "3.5" "the ICCID of the profile is associated otherwise",
    PROFILE_ICCID_UNKNOWN = "8.2.1" "3.9" "the ICCID of the profile is unknown",
    PROFILE_TYPE_NOT_ALLOWED = "8.2.5" "1.2" "the profile type is not allowed",
    PROFILE_TYPE_UNAVAILABLE = "8.2.5" "3.7" "the profile type is unavailable",
    PROFILE_TYPE_REFUSED = "8.2.5" "3.8" "the profile type is refused",
    PROFILE_TYPE_UNKNOWN = "8.2.5" "3.9" "the profile type is unknown",
    NO_ELIGIBLE_PROFILE = "8.2.5" "4.3" "no profile is eligible for this eUICC",
    MATCHING_ID_UNSUPPORTED = "8.2.6" "3.1" "the matching ID is not supported",
    MATCHING_ID_IN_USE = "8.2.6" "3.3" "the matching ID is already in use",
    MATCHING_ID_REFUSED = "8.2.6" "3.8" "the matching ID is refused",
    CONFIRMATION_CODE_MISSING = "8.2.7" "2.2" "the confirmation code is missing",
    CONFIRMATION_CODE_REFUSED = "8.2.7" "3.8" "the confirmation code is refused",
    CONFIRMATION_CODE_RETRIES_EXCEEDED = "8.2.7" "6.4" "the confirmation code was wrong too often",
    INVALID_SMDP_OID = "8.8" "3.1" "the SM-DP+ OID is not this server's",
    SMDP_ADDRESS_REFUSED = "8.8.1" "3.8" "the SM-DP+ address is not this server's",
    NO_SUPPORTED_CI_KEY = "8.8.2" "3.1" "none of the CI public keys is supported",
    SVN_UNSUPPORTED = "8.8.3" "3.1" "the SGP.22 version is not supported",
    NO_SMDP_CERTIFICATE = "8.8.4" "3.7" "the SM-DP+ has no certificate of a CI that the eUICC trusts",
    DOWNLOAD_ORDER_EXPIRED = "8.8.5" "4.10" "the download order is expired",
    DOWNLOAD_RETRIES_EXCEEDED = "8.8.5" "6.4" "the profile was downloaded too often",
    SMDS_EXECUTION_ERROR = "8.9" "4.2" "the SM-DS failed to execute",
    SMDS_INACCESSIBLE = "8.9" "5.1" "the SM-DS is inaccessible",
    SMDS_ADDRESS_REFUSED = "8.9.1" "3.8" "the SM-DS address is refused",
    SMDS_SECURITY_CONFIGURATION_UNSUPPORTED = "8.9.2" "3.1" "the SM-DS security configuration is not supported",
    SMDS_SVN_UNSUPPORTED = "8.9.3" "3.1" "the SM-DS SGP.22 version is not supported",
    SMDS_CERTIFICATE_UNAVAILABLE = "8.9.4" "3.7" "the SM-DS certificate is unavailable",
    EVENT_RECORD_IN_USE = "8.9.5" "3.3" "the event record is already in use",
    EVENT_RECORD_UNKNOWN = "8.9.5" "3.9" "the event record is unknown",
    TRANSACTION_ID_UNKNOWN = "8.10.1" "3.9" "the transaction ID is unknown",
    CI_PUBLIC_KEY_UNKNOWN = "8.11.1" "3.9" "the CI public key is unknown",
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_pair_stands_once() {
        assert_eq!(STATUS_CODES.len(), 44);
        for code in STATUS_CODES {
            assert_eq!(status_code(code.subject, code.reason), Some(code));
        }
        assert_eq!(status_code("8.2.6", "3.8").unwrap().to_string(), "the matching ID is refused (8.2.6/3.8)");
        assert_eq!(status_code("1.1", "3.8"), None);
    }
}
