//! Profiles as the server takes them in: a profile package, and what the eUICC and the end user are told of it.

mod description;

pub use description::Description;

use crate::error::Error;
use crate::files;
use std::path::Path;
use teuicc_rsp::Iccid;
use teuicc_rsp::codes::{IconType, ProfileClass};
use teuicc_rsp::metadata::{
    Icon, MAX_ICON, MAX_PROFILE_NAME, MAX_SERVICE_PROVIDER_NAME, NotificationConfigurationInformation,
    NotificationEvent, OperatorId, PprIds, ProfileName, ServiceProviderName, StoreMetadata,
};
use teuicc_rsp::object::{List, Object, concatenated};
use teuicc_saip::order::OrderChecker;
use teuicc_saip::{ProfileElement, next_element};
use zeroize::Zeroizing;

/// What is told of a profile (SGP.22 v2.5 section 5.5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Service provider name, at most 32 bytes.
    pub service_provider_name: String,
    /// Profile name, at most 64 bytes.
    pub profile_name: String,
    /// Class.
    pub class: ProfileClass,
    /// Icon, at most 1024 bytes, 64 by 64 pixels.
    pub icon: Option<(IconType, Vec<u8>)>,
    /// Which events the eUICC shall tell of.
    pub notification_events: NotificationEvent,
    /// Whom; this server if absent.
    pub notification_address: Option<String>,
    /// Profile policy rules.
    pub rules: PprIds,
    /// The operator that owns the profile. A profile with rules needs one, since the eUICC looks for it.
    pub owner: Option<Owner>,
}

/// Owner of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// MCC and MNC as in TS 24.008.
    pub mcc_mnc: [u8; 3],
    /// Group identifier level 1.
    pub gid1: Option<Vec<u8>>,
    /// Group identifier level 2.
    pub gid2: Option<Vec<u8>>,
}

impl Owner {
    /// An owner from MCC and MNC as 5 or 6 digits. `None` if they are not.
    #[must_use]
    pub fn from_digits(mcc_mnc: &str) -> Option<Self> {
        let digits = mcc_mnc.bytes().map(|byte| byte.is_ascii_digit().then_some(byte & 0x0F));
        let digits: Vec<u8> = digits.collect::<Option<_>>()?;
        let (mcc, mnc) = digits.split_at_checked(3)?;
        let mnc = match *mnc {
            [a, b] => [a, b, 0x0F],
            [a, b, c] => [a, b, c],
            _ => return None,
        };
        let mcc_mnc = [mcc[1] << 4 | mcc[0], mnc[2] << 4 | mcc[2], mnc[1] << 4 | mnc[0]];
        Some(Owner { mcc_mnc, gid1: None, gid2: None })
    }
}

impl Default for Metadata {
    /// An operational profile of "teuicc" without icon and rules, which tells this server of everything.
    fn default() -> Self {
        let events = NotificationEvent::INSTALL.union(NotificationEvent::ENABLE);
        Metadata {
            service_provider_name: "teuicc".into(),
            profile_name: "teuicc test profile".into(),
            class: ProfileClass::Operational,
            icon: None,
            notification_events: events.union(NotificationEvent::DISABLE).union(NotificationEvent::DELETE),
            notification_address: None,
            rules: PprIds::default(),
            owner: None,
        }
    }
}

impl Metadata {
    /// Checks lengths and what belongs together. Errors: [`Error::Invalid`], which names the field.
    pub fn check(&self) -> Result<(), Error> {
        let limits = [
            ("spn", self.service_provider_name.len(), MAX_SERVICE_PROVIDER_NAME),
            ("name", self.profile_name.len(), MAX_PROFILE_NAME),
            ("icon", self.icon.as_ref().map_or(0, |(_, icon)| icon.len()), MAX_ICON),
        ];
        for (what, length, max) in limits {
            if length > max {
                return Err(Error::invalid(what, format!("{length} bytes, and at most {max} are allowed")));
            }
        }
        if matches!(self.class, ProfileClass::Other(_)) {
            return Err(Error::invalid("class", "neither test, provisioning nor operational"));
        }
        if !self.rules.is_empty() && self.owner.is_none() {
            return Err(Error::invalid("owner", "a profile with policy rules needs an owner (MCC and MNC)"));
        }
        Ok(())
    }

    /// StoreMetadataRequest. `address` is this server's.
    pub(crate) fn store_metadata(&self, iccid: Iccid, address: &str) -> Result<Vec<u8>, Error> {
        let failed = |error: teuicc_tlv::Error| Error::making("profile metadata", error);
        let too_long = || Error::invalid("metadata", "too long");
        let configuration = NotificationConfigurationInformation {
            events: self.notification_events,
            address: self.notification_address.as_deref().unwrap_or(address),
        };
        let configurations = (!self.notification_events.is_empty()).then_some(configuration);
        let configurations = concatenated(configurations).map_err(failed)?;
        let metadata = StoreMetadata {
            iccid,
            service_provider_name: ServiceProviderName::new(&self.service_provider_name).ok_or_else(too_long)?,
            profile_name: ProfileName::new(&self.profile_name).ok_or_else(too_long)?,
            icon_type: self.icon.as_ref().map(|(icon_type, _)| *icon_type),
            icon: match &self.icon {
                Some((_, icon)) => Some(Icon::new(icon).ok_or_else(too_long)?),
                None => None,
            },
            profile_class: (self.class != ProfileClass::Operational).then_some(self.class),
            notification_configuration: match configurations.as_slice() {
                [] => None,
                list => Some(List::new(list).map_err(failed)?),
            },
            profile_owner: self.owner.as_ref().map(|owner| OperatorId {
                mcc_mnc: &owner.mcc_mnc,
                gid1: owner.gid1.as_deref(),
                gid2: owner.gid2.as_deref(),
            }),
            profile_policy_rules: (!self.rules.is_empty()).then_some(self.rules),
            service_specific_data: None,
        };
        metadata.encode().map_err(failed)
    }
}

/// A profile to be added.
#[derive(Clone)]
pub struct NewProfile {
    /// ICCID, of the package's header.
    pub iccid: Iccid,
    /// The profile package: its elements in DER, one after the other.
    pub package: Zeroizing<Vec<u8>>,
    /// What is told of it.
    pub metadata: Metadata,
}

impl std::fmt::Debug for NewProfile {
    /// Without the package, which holds the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewProfile")
            .field("iccid", &self.iccid)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

impl NewProfile {
    /// A profile from a file: a package in DER if its name ends with `.der`, a description if with `.toml`. `metadata`
    /// is for a package; a description brings its own, and `metadata` is what it leaves out.
    ///
    /// Errors: those of [`NewProfile::from_package`] and [`Description::parse`], with the file's name.
    pub fn from_file(path: &Path, metadata: Metadata) -> Result<Self, Error> {
        let bytes = Zeroizing::new(files::read(path)?);
        let named = |error| Error::file(path, error);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => {
                let text = std::str::from_utf8(&bytes).map_err(|error| Error::file(path, error))?;
                Description::parse(text).and_then(|description| description.build(metadata)).map_err(named)
            }
            Some("der" | "rename2der") => Self::from_package(bytes, metadata).map_err(named),
            _ => Err(Error::file(path, "neither .der (a profile package) nor .toml (a description)")),
        }
    }

    /// A profile from a package, which is read to its end. Its ICCID is that of the header.
    ///
    /// Errors: [`Error::Invalid`], which names the element and what is wrong.
    pub fn from_package(package: Zeroizing<Vec<u8>>, metadata: Metadata) -> Result<Self, Error> {
        metadata.check()?;
        let iccid = PackageFacts::read(&package)?.iccid;
        Ok(NewProfile { iccid, package, metadata })
    }
}

/// What the server must know of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackageFacts {
    pub(crate) iccid: Iccid,
    /// Major version of the profile package format.
    pub(crate) major: u8,
}

impl PackageFacts {
    /// Reads all elements of a package and checks their order.
    pub(crate) fn read(package: &[u8]) -> Result<Self, Error> {
        let mut rest = package;
        let mut order = OrderChecker::new();
        let mut facts = None;
        for number in 0usize.. {
            if rest.is_empty() {
                break;
            }
            let at = || format!("element {number} at byte {}", package.len().saturating_sub(rest.len()));
            let element = next_element(rest)
                .map_err(|status| Error::invalid("package", format!("{}: {status}", at())))?
                .ok_or_else(|| Error::invalid("package", format!("{}: cut off", at())))?;
            order
                .feed(element.kind)
                .map_err(|violation| Error::invalid("package", format!("{}: {violation}", at())))?;
            if let ProfileElement::Header(header) = &element.content {
                let iccid = Iccid::from_profile_header(header.iccid)
                    .ok_or_else(|| Error::invalid("package", "the header's ICCID is not one"))?;
                facts = Some(PackageFacts { iccid, major: header.major });
            }
            rest = rest.get(element.raw.len()..).unwrap_or_default();
        }
        match facts {
            Some(facts) if order.is_complete() => Ok(facts),
            Some(_) => Err(Error::invalid("package", "it does not end with an end element")),
            None => Err(Error::invalid("package", "it is empty, or has no header")),
        }
    }
}
