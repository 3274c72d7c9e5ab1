//! A profile described in a few lines of TOML; `examples/profile.toml` explains every field.

use crate::error::Error;
use crate::profile::{Metadata, NewProfile, Owner};
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use serde::{Deserialize, Deserializer};
use teuicc_rsp::codes::ProfileClass;
use teuicc_rsp::metadata::PprIds;
use teuicc_saip::build::{self, BuildError, Ims, ProfileSpec};
use zeroize::{Zeroize, Zeroizing};

/// The description of a profile. Debug output leaves the secrets out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Description {
    iccid: String,
    imsi: String,
    #[serde(default = "two_digits")]
    mnc_length: u8,
    #[serde(default)]
    algorithm: Algorithm,
    k: SubscriberKey,
    opc: Option<Key<16>>,
    op: Option<Key<16>>,
    topc: Option<Key<32>>,
    #[serde(default = "Code::pin")]
    pin: Code,
    #[serde(default)]
    pin_enabled: bool,
    #[serde(default = "Code::puk")]
    puk: Code,
    #[serde(default = "Code::pin")]
    pin2: Code,
    #[serde(default = "Code::puk")]
    puk2: Code,
    #[serde(default = "Code::adm")]
    adm: Code,
    msisdn: Option<String>,
    #[serde(default = "yes")]
    isim: bool,
    spn: Option<String>,
    name: Option<String>,
    class: Option<Class>,
    #[serde(default)]
    ppr1: bool,
    #[serde(default)]
    ppr2: bool,
}

/// How the network is authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Algorithm {
    #[default]
    Milenage,
    Tuak,
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

/// N bytes: twice as many hexadecimal digits in the file.
struct Key<const N: usize>(Zeroizing<[u8; N]>);

impl<'de, const N: usize> Deserialize<'de> for Key<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = Zeroizing::new(String::deserialize(deserializer)?);
        let mut key = Zeroizing::new([0u8; N]);
        hex::decode_to_slice(digits.as_bytes(), key.as_mut_slice())
            .map_err(|_| serde::de::Error::custom(format!("not {} hexadecimal digits", 2 * N)))?;
        Ok(Key(key))
    }
}

/// K: 16 bytes, or 32, which only TUAK has.
struct SubscriberKey(Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for SubscriberKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = if digits.len() == 64 { 32 } else { 16 };
        let mut key = Zeroizing::new(vec![0u8; bytes]);
        hex::decode_to_slice(digits.as_bytes(), &mut key)
            .map_err(|_| serde::de::Error::custom("not 32 hexadecimal digits, or 64 for tuak"))?;
        Ok(SubscriberKey(key))
    }
}

/// A PIN, PUK or administrative code.
struct Code(Zeroizing<String>);

impl Code {
    fn pin() -> Self {
        Code(Zeroizing::new("0000".into()))
    }

    fn puk() -> Self {
        Code(Zeroizing::new("12345678".into()))
    }

    fn adm() -> Self {
        Code(Zeroizing::new("12345678".into()))
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = Zeroizing::new(String::deserialize(deserializer)?);
        let valid = (4..=8).contains(&code.len()) && code.bytes().all(|digit| digit.is_ascii_digit());
        if valid { Ok(Code(code)) } else { Err(serde::de::Error::custom("not 4 to 8 digits in quotes")) }
    }
}

fn two_digits() -> u8 {
    2
}

fn yes() -> bool {
    true
}

impl std::fmt::Debug for Description {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Description").field("iccid", &self.iccid).field("imsi", &self.imsi).finish_non_exhaustive()
    }
}

impl Description {
    /// Reads a description. Errors: [`Error::Invalid`] with line and field. The line itself is not shown: it may hold a
    /// key.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let description: Description = toml::from_str(text).map_err(|error| {
            let place = error.span().map_or(String::new(), |span| place(text, span.start));
            Error::invalid("profile description", format!("{place}{}", error.message()))
        })?;
        let given = (description.opc.is_some(), description.op.is_some(), description.topc.is_some());
        match (description.algorithm, given) {
            (Algorithm::Milenage, (true, false, false) | (false, true, false)) => Ok(description),
            (Algorithm::Tuak, (false, false, true)) | (Algorithm::XorTest, (false, false, false)) => Ok(description),
            (Algorithm::Milenage, _) => Err(Error::invalid("opc", "milenage needs exactly one of opc and op")),
            (Algorithm::Tuak, _) => Err(Error::invalid("topc", "tuak needs topc, and has neither opc nor op")),
            (Algorithm::XorTest, _) => Err(Error::invalid("opc", "xor-test has neither opc nor op nor topc")),
        }
    }

    /// Builds the profile. `defaults` is what the description leaves out.
    pub fn build(&self, defaults: Metadata) -> Result<NewProfile, Error> {
        let metadata = self.metadata(defaults);
        metadata.check()?;
        let opc = self.operator_key();
        let spec = ProfileSpec {
            iccid: &self.iccid,
            imsi: &self.imsi,
            mnc_len: self.mnc_length,
            algorithm: match self.algorithm {
                Algorithm::Milenage => build::Algorithm::Milenage,
                Algorithm::Tuak => build::Algorithm::Tuak,
                Algorithm::XorTest => build::Algorithm::XorTest,
            },
            key: self.k.0.as_slice(),
            opc: opc.as_slice(),
            profile_type: &metadata.profile_name,
            service_provider_name: &metadata.service_provider_name,
            pin1: &self.pin.0,
            pin1_enabled: self.pin_enabled,
            puk1: &self.puk.0,
            pin2: &self.pin2.0,
            puk2: &self.puk2.0,
            adm1: &self.adm.0,
            msisdn: self.msisdn.as_deref(),
            access_class: None,
            ims: self.isim.then(Ims::default),
        };
        let package = build::build(&spec).map_err(build_error)?;
        NewProfile::from_package(Zeroizing::new(package), metadata)
    }

    fn metadata(&self, defaults: Metadata) -> Metadata {
        let rule = |wanted: bool, rule| if wanted { rule } else { PprIds::default() };
        let class = match self.class {
            Some(Class::Test) => ProfileClass::Test,
            Some(Class::Provisioning) => ProfileClass::Provisioning,
            Some(Class::Operational) => ProfileClass::Operational,
            None => defaults.class,
        };
        let home = self.imsi.get(..usize::from(self.mnc_length).saturating_add(3)).and_then(Owner::from_digits);
        Metadata {
            service_provider_name: self.spn.clone().unwrap_or(defaults.service_provider_name),
            profile_name: self.name.clone().unwrap_or(defaults.profile_name),
            class,
            rules: defaults.rules.union(rule(self.ppr1, PprIds::PPR1)).union(rule(self.ppr2, PprIds::PPR2)),
            owner: defaults.owner.or(home),
            ..defaults
        }
    }

    /// TOPc, or OPc, computed from OP if that is given (TS 35.206 section 8.2). The XOR test algorithm has none.
    fn operator_key(&self) -> Zeroizing<Vec<u8>> {
        match (&self.topc, &self.opc, &self.op) {
            (Some(topc), ..) => Zeroizing::new(topc.0.to_vec()),
            (_, Some(opc), _) => Zeroizing::new(opc.0.to_vec()),
            (_, _, Some(op)) => {
                let Ok(cipher) = Aes128::new_from_slice(&self.k.0) else {
                    // A K of another length is refused where the profile is built.
                    return Zeroizing::new(Vec::new());
                };
                let mut block = aes::Block::from(*op.0);
                cipher.encrypt_block(&mut block);
                let opc = block.iter().zip(op.0.iter()).map(|(encrypted, op)| encrypted ^ op).collect();
                block.as_mut_slice().zeroize();
                Zeroizing::new(opc)
            }
            (None, None, None) => Zeroizing::new(vec![0; 16]),
        }
    }
}

/// Names the field as the file does.
fn build_error(error: BuildError) -> Error {
    match error {
        BuildError::Field { name, must_be } => {
            let field = match name {
                "mnc_len" => "mnc-length",
                "key" => "k",
                "profile_type" => "name",
                "service_provider_name" => "spn",
                "pin1" => "pin",
                "puk1" => "puk",
                "adm1" => "adm",
                other => other,
            };
            Error::invalid(field, format!("must be {must_be}"))
        }
        other => Error::making("a profile package", other),
    }
}

/// The line of `position`, and the field in it, for an error message.
fn place(text: &str, position: usize) -> String {
    let before = text.get(..position).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
    let field = text.get(start..).and_then(|rest| rest.split(['=', '\n']).next()).unwrap_or_default().trim();
    let plain = !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if plain { format!("line {line}, {field}: ") } else { format!("line {line}: ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::PackageFacts;
    use teuicc_rsp::Iccid;

    const EXAMPLE: &str = include_str!("../../examples/profile.toml");

    fn error(text: &str) -> String {
        let built = Description::parse(text).and_then(|description| description.build(Metadata::default()));
        built.unwrap_err().to_string()
    }

    #[test]
    fn the_example_is_a_profile() {
        let profile = Description::parse(EXAMPLE).unwrap().build(Metadata::default()).unwrap();
        assert_eq!(profile.iccid, Iccid::from_digits("8988211000000000011").unwrap());
        assert_eq!(PackageFacts::read(&profile.package).unwrap(), PackageFacts { iccid: profile.iccid, major: 2 });
        assert_eq!(profile.metadata.service_provider_name, "teuicc");
    }

    #[test]
    fn every_field_is_in_the_example() {
        let known = "iccid imsi mnc-length algorithm k opc op topc pin pin-enabled puk pin2 puk2 adm msisdn isim spn name class \
                     ppr1 ppr2";
        for field in known.split_whitespace() {
            let stands = EXAMPLE.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{field} = ")));
            assert!(stands, "{field}");
        }
    }

    #[test]
    fn opc_of_ts_35_208_set_1() {
        let text = EXAMPLE.replace("# op = ", "op = ").replace("\nopc = ", "\n# opc = ");
        let set_1 = |name: &str, value: &str, text: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap();
            text.replace(line, &format!("{name} = \"{value}\""))
        };
        let text = set_1("k", "465b5ce8b199b49faa5f0a2ee238a6bc", &text);
        let text = set_1("op", "cdc202d5123e20f62b6d676ac72cb318", &text);
        let opc = Description::parse(&text).unwrap().operator_key();
        assert_eq!(hex::encode(opc.as_slice()), "cd63cb71954a9f4e48a5994e37a02baf");
    }

    #[test]
    fn errors_name_line_and_field_and_no_key() {
        let lines = |more: &str| format!("iccid = \"8988211000000000016\"\nimsi = \"001010123456789\"\n{more}");
        let k = "k = \"00112233445566778899AABBCCDDEEFF\"\n";
        assert!(error(&lines("k = \"0011zz\"\n")).contains("line 3, k: not 32 hexadecimal digits"));
        assert!(!error(&lines("k = \"0011zz\"\n")).contains("0011zz"));
        assert!(error(&lines(&format!("{k}pni = \"0000\"\n"))).contains("line 4, pni: unknown field"));
        assert!(error(&lines("")).contains("missing field `k`"));
        assert!(error(&lines(k)).contains("exactly one of opc and op"));
        assert!(error(&lines(&format!("{k}algorithm = \"comp128\"\n"))).contains("line 4, algorithm: unknown variant"));
        assert!(error(&lines(&format!("{k}algorithm = \"tuak\"\n"))).contains("tuak needs topc"));
        assert!(
            error(&lines(&format!("{k}algorithm = \"xor-test\"\npin = \"1\"\n"))).contains("line 5, pin: not 4 to 8")
        );
        assert!(error("iccid = \"1\"\nimsi = [\n").contains("line "));
        let short = format!("iccid = \"123\"\nimsi = \"001010123456789\"\n{k}algorithm = \"xor-test\"\n");
        assert!(error(&short).starts_with("iccid: must be"), "{}", error(&short));
    }

    #[test]
    fn tuak_profiles_are_built_with_both_lengths_of_k() {
        let of = |k: &str, algorithm: &str| {
            let text = format!(
                "iccid = \"8988211000000000016\"\nimsi = \"001010123456789\"\nalgorithm = \"{algorithm}\"\nk = \"{k}\"\n"
            );
            let key = if algorithm == "tuak" { "11".repeat(32) } else { "11".repeat(16) };
            let name = if algorithm == "tuak" { "topc" } else { "op" };
            Description::parse(&format!("{text}{name} = \"{key}\"\n"))?.build(Metadata::default())
        };
        assert!(of(&"00".repeat(16), "tuak").is_ok());
        assert!(of(&"00".repeat(32), "tuak").is_ok());
        assert!(of(&"00".repeat(32), "milenage").unwrap_err().to_string().starts_with("k: must be"));
    }

    #[test]
    fn xor_profiles_and_rules_are_built() {
        let text = "iccid = \"8988211000000000016\"\nimsi = \"310410123456789\"\nmnc-length = 3\nalgorithm = \"xor-test\"\n\
                    k = \"00112233445566778899AABBCCDDEEFF\"\nclass = \"test\"\nppr2 = true\n";
        let profile = Description::parse(text).unwrap().build(Metadata::default()).unwrap();
        assert_eq!(profile.metadata.class, ProfileClass::Test);
        assert_eq!(profile.metadata.rules, PprIds::PPR2);
        assert_eq!(profile.metadata.owner.unwrap().mcc_mnc, [0x13, 0x00, 0x14]);
        assert!(!format!("{:?}", Description::parse(text).unwrap()).contains("0011"));
    }
}
