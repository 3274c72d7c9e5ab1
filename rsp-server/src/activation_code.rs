//! Activation codes (SGP.22 v2.5 section 4.1), as the operator gives them out.

use std::fmt;

/// What the end user gets for a download order. [`fmt::Display`] gives the text, `LPA:1$host$matching-id`.
#[derive(Clone, PartialEq, Eq)]
pub struct ActivationCode {
    /// The SM-DP+: `host` or `host:port`.
    pub address: String,
    /// Matching ID.
    pub matching_id: String,
    /// Whether the end user needs a confirmation code.
    pub confirmation_code_required: bool,
}

impl fmt::Display for ActivationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The field before the last is the SM-DP+ OID, which is left out.
        let confirmation = if self.confirmation_code_required { "$$1" } else { "" };
        write!(f, "LPA:1${}${}{confirmation}", self.address, self.matching_id)
    }
}

impl fmt::Debug for ActivationCode {
    /// Without the matching ID, which is a bearer token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActivationCode({}, ..)", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_an_activation_code() {
        let mut code = ActivationCode {
            address: "smdp.example.com:8443".into(),
            matching_id: "04386-AGYFT-A74Y8-3F815".into(),
            confirmation_code_required: false,
        };
        assert_eq!(code.to_string(), "LPA:1$smdp.example.com:8443$04386-AGYFT-A74Y8-3F815");
        code.confirmation_code_required = true;
        assert_eq!(code.to_string(), "LPA:1$smdp.example.com:8443$04386-AGYFT-A74Y8-3F815$$1");
        assert!(!format!("{code:?}").contains("AGYFT"));
    }
}
