//! A profile described in a few lines of TOML; `examples/profile.toml` explains every field.

use crate::error::Error;
use crate::profile::{Metadata, NewProfile, Owner};
use serde::Deserialize;
use teuicc_rsp::Iccid;
use teuicc_rsp::codes::ProfileClass;
use teuicc_rsp::metadata::PprIds;
use zeroize::Zeroizing;

/// A 16 byte key or constant in the file: 32 hexadecimal digits. Never printed.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 16]>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, Self::Error> {
        let digits = Zeroizing::new(digits);
        let mut key = Zeroizing::new([0u8; 16]);
        hex::decode_to_slice(digits.as_bytes(), key.as_mut_slice()).map_err(|_| "not 32 hexadecimal digits")?;
        Ok(Key(key))
    }
}

/// Digits of a PIN or PUK. Never printed.
#[derive(Clone)]
pub struct Code(Zeroizing<String>);

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(..)")
    }
}

impl TryFrom<String> for Code {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, Self::Error> {
        let digits = Zeroizing::new(digits);
        let valid = (4..=8).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
        if valid { Ok(Code(digits)) } else { Err("not 4 to 8 digits") }
    }
}

/// How the network is authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// Milenage (TS 35.206).
    #[default]
    Milenage,
    /// The XOR test algorithm (TS 34.108 section 8.1.2).
    XorTest,
}

/// Class, as it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Class {
    Test,
    Provisioning,
    Operational,
}

/// The file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Description {
    iccid: String,
    imsi: String,
    #[serde(default = "two_digits")]
    mnc_length: u8,
    #[serde(default)]
    algorithm: Algorithm,
    #[serde(deserialize_with = "parsed")]
    k: Key,
    #[serde(default, deserialize_with = "parsed_option")]
    opc: Option<Key>,
    #[serde(default, deserialize_with = "parsed_option")]
    op: Option<Key>,
    #[serde(default, deserialize_with = "parsed_option")]
    pin: Option<Code>,
    #[serde(default)]
    pin_enabled: bool,
    #[serde(default, deserialize_with = "parsed_option")]
    puk: Option<Code>,
    spn: Option<String>,
    name: Option<String>,
    class: Option<Class>,
    #[serde(default)]
    ppr1: bool,
    #[serde(default)]
    ppr2: bool,
}

fn two_digits() -> u8 {
    2
}

/// Reads a string and turns it into `T`, with the error at the field.
fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<String, Error = &'static str>,
    D: serde::Deserializer<'de>,
{
    T::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn parsed_option<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: TryFrom<String, Error = &'static str>,
    D: serde::Deserializer<'de>,
{
    parsed(deserializer).map(Some)
}

impl Description {
    /// Reads a description. Errors: [`Error::Invalid`] with line, column and field. The line itself is not shown: it
    /// may hold a key.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let description: Description = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| text.get(..span.start).unwrap_or(text).lines().count().max(1));
            let field = error.span().and_then(|span| field_at(text, span.start)).unwrap_or_default();
            Error::invalid("profile description", format!("line {line}{field}: {}", error.message()))
        })?;
        description.check()?;
        Ok(description)
    }

    fn check(&self) -> Result<(), Error> {
        let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
        if !(18..=20).contains(&self.iccid.len()) || Iccid::from_digits(&self.iccid).is_none() {
            return Err(Error::invalid("iccid", "not 18 to 20 digits"));
        }
        if !(6..=15).contains(&self.imsi.len()) || !digits(&self.imsi) {
            return Err(Error::invalid("imsi", "not 6 to 15 digits"));
        }
        if !matches!(self.mnc_length, 2 | 3) {
            return Err(Error::invalid("mnc-length", "neither 2 nor 3"));
        }
        match (self.algorithm, &self.opc, &self.op) {
            (Algorithm::Milenage, Some(_), None) | (Algorithm::Milenage, None, Some(_)) => Ok(()),
            (Algorithm::Milenage, ..) => Err(Error::invalid("opc", "milenage needs exactly one of opc and op")),
            (Algorithm::XorTest, None, None) => Ok(()),
            (Algorithm::XorTest, ..) => Err(Error::invalid("opc", "xor-test has neither opc nor op")),
        }
    }

    /// Builds the profile. `defaults` is what the description leaves out.
    pub fn build(&self, defaults: Metadata) -> Result<NewProfile, Error> {
        let metadata = self.metadata(defaults);
        NewProfile::from_package(self.package(&metadata)?, metadata)
    }

    fn metadata(&self, defaults: Metadata) -> Metadata {
        let rule = |wanted: bool, rule| if wanted { rule } else { PprIds::default() };
        let class = match self.class {
            Some(Class::Test) => ProfileClass::Test,
            Some(Class::Provisioning) => ProfileClass::Provisioning,
            Some(Class::Operational) => ProfileClass::Operational,
            None => defaults.class,
        };
        let home = self.imsi.get(..3 + usize::from(self.mnc_length)).and_then(Owner::from_digits);
        Metadata {
            service_provider_name: self.spn.clone().unwrap_or(defaults.service_provider_name),
            profile_name: self.name.clone().unwrap_or(defaults.profile_name),
            class,
            rules: defaults.rules.union(rule(self.ppr1, PprIds::PPR1)).union(rule(self.ppr2, PprIds::PPR2)),
            owner: defaults.owner.or(home),
            ..defaults
        }
    }

    fn package(&self, _metadata: &Metadata) -> Result<Zeroizing<Vec<u8>>, Error> {
        Err(Error::invalid("profile description", "building is not there yet"))
    }
}

/// The name of the field in whose line `position` is, as ` (name)`.
fn field_at(text: &str, position: usize) -> Option<String> {
    let start = text.get(..position)?.rfind('\n').map_or(0, |newline| newline + 1);
    let name = text.get(start..)?.split(['=', '\n']).next()?.trim();
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    plain.then(|| format!(" ({name})"))
}
