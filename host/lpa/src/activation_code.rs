//! Activation codes, `LPA:1$<SM-DP+ address>$<matching ID>[$<SM-DP+ OID>][$1]` (SGP.22 v2.5 section 4.1).

use core::fmt;
use core::str::FromStr;

/// Longest activation code in bytes. The specification allows 255 characters in a QR code.
pub const MAX_ACTIVATION_CODE: usize = 255;

/// What an activation code says. `Display` writes it in its canonical form.
#[derive(Clone, PartialEq, Eq)]
pub struct ActivationCode {
    /// Where the SM-DP+ is.
    pub address: ServerAddress,
    /// Which order; empty for the one that the SM-DP+ keeps for this EID. A secret: whoever knows it first gets the
    /// profile, so `Debug` leaves it out.
    pub matching_id: String,
    /// The SM-DP+ that must answer: its object identifier in dotted form.
    pub smdp_oid: Option<String>,
    /// Whether a confirmation code will be asked for.
    pub confirmation_code_required: bool,
}

/// Host name of a server, possibly with a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress(String);

/// Why a text is no activation code, and where it is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActivationCodeError {
    /// Longer than [`MAX_ACTIVATION_CODE`].
    #[error("an activation code has at most {MAX_ACTIVATION_CODE} characters; this has {0}")]
    TooLong(usize),
    /// It does not begin with `LPA:1$` or `1$`.
    #[error("an activation code begins with \"LPA:1$\"; this begins with {0:?}")]
    Prefix(String),
    /// A format other than 1.
    #[error("activation code format {0:?} is not known; only format 1 exists")]
    Format(String),
    /// There are fewer fields than an address and a matching ID.
    #[error(
        "the activation code ends after the SM-DP+ address: a \"$\" and the matching ID (which may be empty) follow it"
    )]
    NoMatchingId,
    /// The address is no host name.
    #[error("field 2 of the activation code, the SM-DP+ address: {0}")]
    Address(#[from] ServerAddressError),
    /// The matching ID has a character that it cannot have.
    #[error(
        "field 3 of the activation code, the matching ID, has {0:?} in it; printable ASCII without spaces is expected"
    )]
    MatchingId(char),
    /// The OID is none.
    #[error(
        "field 4 of the activation code, the SM-DP+ OID, is {0:?}; numbers with dots between them are expected \
         (the flag for a confirmation code is field 5: \"$$1\" without an OID)"
    )]
    Oid(String),
    /// The confirmation code flag is something else than 1.
    #[error(
        "field 5 of the activation code, whether a confirmation code is required, is {0:?}; only \"1\" or nothing is allowed"
    )]
    ConfirmationCodeFlag(String),
    /// There are more than five fields.
    #[error("the activation code has {0} fields; there are at most 5")]
    TooManyFields(usize),
}

/// Why a text is no address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerAddressError {
    /// Nothing.
    #[error("it is empty")]
    Empty,
    /// More than 253 bytes.
    #[error("it has {0} characters; a host name has at most 253")]
    TooLong(usize),
    /// A scheme, path or user stands in it.
    #[error("{0:?} is a URL; only the host name is expected")]
    Url(String),
    /// A character that no host name has.
    #[error("{name:?} has {character:?} in it, which no host name has")]
    Character {
        /// The text.
        name: String,
        /// What is wrong in it.
        character: char,
    },
    /// A label between dots is empty, too long, or begins or ends with a hyphen.
    #[error("{0:?} is no host name: a part between dots is empty, longer than 63, or begins or ends with a hyphen")]
    Label(String),
    /// The port is no number from 1 to 65535.
    #[error("port {0:?} is no number from 1 to 65535")]
    Port(String),
}

impl FromStr for ActivationCode {
    type Err = ActivationCodeError;

    /// Reads an activation code. White space around it is ignored, the prefix `LPA:` may be in any case, and may be
    /// absent, as in a code that is typed (section 4.1).
    fn from_str(text: &str) -> Result<Self, ActivationCodeError> {
        let text = text.trim();
        if text.len() > MAX_ACTIVATION_CODE {
            return Err(ActivationCodeError::TooLong(text.len()));
        }
        let (format, fields) = strip_lpa(text)
            .split_once('$')
            .ok_or_else(|| ActivationCodeError::Prefix(text.chars().take(8).collect()))?;
        if format != "1" {
            let known_shape = !format.is_empty() && format.bytes().all(|byte| byte.is_ascii_digit());
            return Err(if known_shape {
                ActivationCodeError::Format(format.into())
            } else {
                ActivationCodeError::Prefix(text.chars().take(8).collect())
            });
        }
        let fields: Vec<&str> = fields.split('$').collect();
        let (address, matching_id, oid, flag) = match fields[..] {
            [_] | [] => return Err(ActivationCodeError::NoMatchingId),
            [address, matching_id] => (address, matching_id, "", ""),
            [address, matching_id, oid] => (address, matching_id, oid, ""),
            [address, matching_id, oid, flag] => (address, matching_id, oid, flag),
            _ => return Err(ActivationCodeError::TooManyFields(fields.len() + 1)),
        };
        Ok(ActivationCode {
            address: address.parse()?,
            matching_id: read_matching_id(matching_id)?,
            smdp_oid: read_oid(oid)?,
            confirmation_code_required: match flag {
                "" => false,
                "1" => true,
                other => return Err(ActivationCodeError::ConfirmationCodeFlag(other.into())),
            },
        })
    }
}

fn strip_lpa(text: &str) -> &str {
    match text.split_at_checked(4) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("LPA:") => rest,
        _ => text,
    }
}

/// Letters, digits and hyphens (section 4.1). Servers in the field use other printable characters too, and know their
/// own orders: only white space and what is not ASCII is refused.
fn read_matching_id(text: &str) -> Result<String, ActivationCodeError> {
    match text.chars().find(|character| !character.is_ascii_graphic()) {
        Some(character) => Err(ActivationCodeError::MatchingId(character)),
        None => Ok(text.into()),
    }
}

fn read_oid(text: &str) -> Result<Option<String>, ActivationCodeError> {
    if text.is_empty() {
        return Ok(None);
    }
    let numbers = text.split('.');
    let valid = numbers.clone().count() >= 2
        && numbers.clone().all(|number| {
            let canonical = number == "0" || !number.starts_with('0');
            canonical && number.bytes().all(|byte| byte.is_ascii_digit()) && number.parse::<u64>().is_ok()
        });
    if valid { Ok(Some(text.into())) } else { Err(ActivationCodeError::Oid(text.into())) }
}

impl fmt::Display for ActivationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LPA:1${}${}", self.address, self.matching_id)?;
        match (&self.smdp_oid, self.confirmation_code_required) {
            (None, false) => Ok(()),
            (Some(oid), false) => write!(f, "${oid}"),
            (oid, true) => write!(f, "${}$1", oid.as_deref().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for ActivationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivationCode")
            .field("address", &self.address)
            .field("smdp_oid", &self.smdp_oid)
            .field("confirmation_code_required", &self.confirmation_code_required)
            .finish_non_exhaustive()
    }
}

impl ServerAddress {
    /// The address as given, host name and possibly port.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host name alone.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(host, _)| host)
    }

    /// Whether `other`, from a server, names this server: the same host name in any case and, if both have one, the
    /// same port.
    #[must_use]
    pub fn is(&self, other: &str) -> bool {
        let (host, port) = other.split_once(':').map_or((other, None), |(host, port)| (host, Some(port)));
        let own_port = self.0.split_once(':').map(|(_, port)| port);
        let same_port = match (own_port, port) {
            (Some(own), Some(port)) => own == port,
            (Some(port), None) | (None, Some(port)) => port.parse::<u16>().is_ok(),
            (None, None) => true,
        };
        self.host().eq_ignore_ascii_case(host) && same_port
    }
}

impl FromStr for ServerAddress {
    type Err = ServerAddressError;

    fn from_str(text: &str) -> Result<Self, ServerAddressError> {
        if text.is_empty() {
            return Err(ServerAddressError::Empty);
        }
        if text.contains("//") || text.contains('/') || text.contains('@') {
            return Err(ServerAddressError::Url(text.into()));
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        if let Some(port) = port {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            if !digits || !port.parse::<u16>().is_ok_and(|port| port > 0) {
                return Err(ServerAddressError::Port(port.into()));
            }
        }
        if host.len() > 253 {
            return Err(ServerAddressError::TooLong(host.len()));
        }
        let foreign = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
        if let Some(character) = host.chars().find(foreign) {
            return Err(ServerAddressError::Character { name: text.into(), character });
        }
        let bad_label =
            |label: &str| label.is_empty() || label.len() > 63 || label.starts_with('-') || label.ends_with('-');
        if host.split('.').any(bad_label) {
            return Err(ServerAddressError::Label(text.into()));
        }
        Ok(ServerAddress(text.into()))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<ActivationCode, ActivationCodeError> {
        text.parse()
    }

    #[test]
    fn codes_that_are_one() {
        let table = [
            ("LPA:1$smdp.example.com$ABC-1", "smdp.example.com", "ABC-1", None, false),
            ("lpa:1$smdp.example.com$ABC-1", "smdp.example.com", "ABC-1", None, false),
            ("Lpa:1$SMDP.example.com$abc", "SMDP.example.com", "abc", None, false),
            ("1$smdp.example.com$ABC", "smdp.example.com", "ABC", None, false),
            ("  LPA:1$smdp.example.com$ABC\n", "smdp.example.com", "ABC", None, false),
            ("LPA:1$smdp.example.com$", "smdp.example.com", "", None, false),
            ("LPA:1$smdp.example.com$$1.3.6.1.4.1.31746", "smdp.example.com", "", Some("1.3.6.1.4.1.31746"), false),
            ("LPA:1$smdp.example.com$ABC$1.3.6.1$1", "smdp.example.com", "ABC", Some("1.3.6.1"), true),
            ("LPA:1$smdp.example.com$ABC$$1", "smdp.example.com", "ABC", None, true),
            ("LPA:1$localhost:8443$ABC", "localhost:8443", "ABC", None, false),
        ];
        for (text, address, matching_id, oid, confirmation) in table {
            let code = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(code.address.as_str(), address, "{text}");
            assert_eq!(code.matching_id, matching_id, "{text}");
            assert_eq!(code.smdp_oid.as_deref(), oid, "{text}");
            assert_eq!(code.confirmation_code_required, confirmation, "{text}");
            assert_eq!(parse(&code.to_string()), Ok(code), "{text}");
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_where() {
        let table = [
            ("", "begins with \"LPA:1$\""),
            ("https://smdp.example.com", "begins with \"LPA:1$\""),
            ("LPA:2$smdp.example.com$A", "format \"2\""),
            ("LPA:1$smdp.example.com", "ends after the SM-DP+ address"),
            ("LPA:1$$A", "field 2 of the activation code, the SM-DP+ address: it is empty"),
            ("LPA:1$https://smdp.example.com$A", "is a URL"),
            ("LPA:1$smdp.example.com/x$A", "is a URL"),
            ("LPA:1$smdp example.com$A", "' '"),
            ("LPA:1$smdp..example.com$A", "between dots"),
            ("LPA:1$-smdp.example.com$A", "between dots"),
            ("LPA:1$smdp.example.com:0$A", "port \"0\""),
            ("LPA:1$smdp.example.com:99999$A", "port \"99999\""),
            ("LPA:1$smdp.example.com:+44$A", "port \"+44\""),
            ("LPA:1$smdp.example.com$A B", "field 3"),
            ("LPA:1$smdp.example.com$A$x.y", "field 4"),
            ("LPA:1$smdp.example.com$A$1", "field 4"),
            ("LPA:1$smdp.example.com$A$1..3", "field 4"),
            ("LPA:1$smdp.example.com$A$1.3$0", "field 5"),
            ("LPA:1$smdp.example.com$A$1.3$1$1", "6 fields"),
        ];
        for (text, words) in table {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text} was taken")).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert_eq!(parse(&format!("LPA:1$a.example${}", "A".repeat(300))), Err(ActivationCodeError::TooLong(316)));
    }

    #[test]
    fn the_matching_id_is_not_in_debug() {
        let code = parse("LPA:1$smdp.example.com$PLANTED-SECRET$$1").unwrap();
        assert!(!format!("{code:?}").contains("PLANTED"));
    }

    #[test]
    fn a_server_names_itself_with_or_without_port() {
        let address: ServerAddress = "Localhost:8443".parse().unwrap();
        assert!(address.is("localhost:8443"));
        assert!(address.is("LOCALHOST"));
        assert!(!address.is("localhost:8444"));
        assert!(!address.is("otherhost:8443"));
        let address: ServerAddress = "smdp.example.com".parse().unwrap();
        assert!(address.is("SMDP.example.com"));
        assert!(!address.is("smdp.example.com.evil.example"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_code_or_an_error(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn near_codes_survive_a_round_trip(text in "(?i:lpa:)?[12]\\$[a-z0-9.:-]{0,20}\\$[A-Z0-9-]{0,12}(\\$[0-9.]{0,9})?(\\$[01]?)?") {
            if let Ok(code) = parse(&text) {
                prop_assert_eq!(parse(&code.to_string()).unwrap(), code);
            }
        }
    }
}
