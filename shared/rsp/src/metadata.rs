//! Profile metadata (SGP.22 v2.5 sections 5.5.3 and 5.4.1) and the Rules Authorisation Table (section 2.9.2).

use crate::codes::{IconType, ProfileClass};
use crate::iccid::Iccid;
use crate::object::{List, Octets, Raw, Text, bits, object};
use crate::tags;
use teuicc_tlv::Tag;

/// Longest service provider name in bytes of UTF-8.
pub const MAX_SERVICE_PROVIDER_NAME: usize = 32;
/// Longest profile name in bytes of UTF-8.
pub const MAX_PROFILE_NAME: usize = 64;
/// Longest nickname in bytes of UTF-8.
pub const MAX_NICKNAME: usize = 64;
/// Largest icon in bytes.
pub const MAX_ICON: usize = 1024;

/// Service provider name.
pub type ServiceProviderName<'a> = Text<'a, MAX_SERVICE_PROVIDER_NAME>;
/// Profile name.
pub type ProfileName<'a> = Text<'a, MAX_PROFILE_NAME>;
/// Profile nickname.
pub type Nickname<'a> = Text<'a, MAX_NICKNAME>;
/// Icon, 64 by 64 pixels.
pub type Icon<'a> = Octets<'a, 0, MAX_ICON>;

bits! {
    /// NotificationEvent: which event a notification is for (exactly one bit), or which are asked for.
    pub struct NotificationEvent {
        /// Installation.
        INSTALL = 0,
        /// Enabling.
        ENABLE = 1,
        /// Disabling.
        DISABLE = 2,
        /// Deletion.
        DELETE = 3,
    }
}

bits! {
    /// PprIds: profile policy rules (section 2.9.1).
    pub struct PprIds {
        /// pprUpdateControl: the rules can be updated through ES6.
        PPR_UPDATE_CONTROL = 0,
        /// PPR1: the profile may not be disabled.
        PPR1 = 1,
        /// PPR2: the profile may not be deleted.
        PPR2 = 2,
    }
}

object! {
    /// StoreMetadataRequest of ES8+ (section 5.5.3).
    pub struct StoreMetadata<'a>: tags::STORE_METADATA, any order => {
        /// ICCID.
        iccid: required Iccid = 0x5A,
        /// Service provider name.
        service_provider_name: required ServiceProviderName<'a> = 0x91,
        /// Profile name.
        profile_name: required ProfileName<'a> = 0x92,
        /// Format of the icon.
        icon_type: optional IconType = 0x93,
        /// The icon.
        icon: optional Icon<'a> = 0x94,
        /// Class; [`StoreMetadata::class`] knows the default.
        profile_class: optional ProfileClass = 0x95,
        /// Who is told of what.
        notification_configuration: optional List<'a, NotificationConfigurationInformation<'a>> = 0xB6,
        /// The owner.
        profile_owner: optional OperatorId<'a> = 0xB7,
        /// Profile policy rules.
        profile_policy_rules: optional PprIds = 0x99,
        /// serviceSpecificDataStoredInEuicc.
        service_specific_data: optional Raw<'a> = 0xBF22,
    }
}

impl StoreMetadata<'_> {
    /// The class; DEFAULT operational.
    #[must_use]
    pub fn class(&self) -> ProfileClass {
        self.profile_class.unwrap_or(ProfileClass::Operational)
    }

    /// The profile policy rules, none if the member is absent.
    #[must_use]
    pub fn rules(&self) -> PprIds {
        self.profile_policy_rules.unwrap_or_default()
    }
}

object! {
    /// UpdateMetadataRequest of ES6 (section 5.4.1): what is present replaces what is stored.
    pub struct UpdateMetadata<'a>: tags::UPDATE_METADATA, any order => {
        /// Service provider name.
        service_provider_name: optional ServiceProviderName<'a> = 0x91,
        /// Profile name.
        profile_name: optional ProfileName<'a> = 0x92,
        /// Format of the icon.
        icon_type: optional IconType = 0x93,
        /// The icon; an empty one removes it.
        icon: optional Icon<'a> = 0x94,
        /// Profile policy rules.
        profile_policy_rules: optional PprIds = 0x99,
        /// serviceSpecificDataStoredInEuicc.
        service_specific_data: optional Raw<'a> = 0xBF22,
    }
}

object! {
    /// NotificationConfigurationInformation (section 2.4.a.1.1): events and where their notifications go.
    pub struct NotificationConfigurationInformation<'a>: Tag::SEQUENCE => {
        /// The events.
        events: required NotificationEvent = 0x80,
        /// Host name of the recipient.
        address: required &'a str = 0x81,
    }
}

object! {
    /// OperatorId (section 2.4.a.1.2), under a tag given by the context.
    pub struct OperatorId<'a>: Tag::SEQUENCE => {
        /// MCC and MNC as in TS 24.008; in a RAT a nibble E stands for any digit.
        mcc_mnc: required &'a [u8; 3] = 0x80,
        /// Group identifier level 1; empty stands for any, in a RAT.
        gid1: optional &'a [u8] = 0x81,
        /// Group identifier level 2; empty stands for any, in a RAT.
        gid2: optional &'a [u8] = 0x82,
    }
}

impl<'a> crate::object::Object<'a> for PprIds {
    const TAG: Tag = Tag::context(0x19);
}

bits! {
    /// Flags of an entry of the Rules Authorisation Table.
    pub struct RatFlags {
        /// The end user must consent.
        CONSENT_REQUIRED = 0,
    }
}

object! {
    /// ProfilePolicyAuthorisationRule: an entry of the Rules Authorisation Table (section 2.9.2.1).
    pub struct ProfilePolicyAuthorisationRule<'a>: Tag::SEQUENCE => {
        /// The rules that the entry authorises.
        ppr_ids: required PprIds = 0x80,
        /// For the profiles of these operators.
        allowed_operators: required List<'a, OperatorId<'a>> = 0xA1,
        /// Whether the end user must consent.
        flags: required RatFlags = 0x82,
    }
}

/// The Rules Authorisation Table.
pub type RulesAuthorisationTable<'a> = List<'a, ProfilePolicyAuthorisationRule<'a>>;

/// What the Rules Authorisation Table says of a set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorisation {
    /// Every rule is authorised.
    Allowed {
        /// Whether the end user must consent first.
        consent_required: bool,
    },
    /// A rule is not authorised.
    Forbidden,
}

/// Whether `table` authorises the rules of a profile of `owner` (section 2.9.2.4): for each rule the first entry that
/// has the rule and the operator counts, and without one the rule is forbidden. A profile that names no owner matches
/// no entry. `forbidden` are the rules that the eUICC never allows.
#[must_use]
pub fn authorise(
    table: &RulesAuthorisationTable<'_>,
    rules: PprIds,
    owner: Option<&OperatorId<'_>>,
    forbidden: PprIds,
) -> Authorisation {
    let mut consent_required = false;
    for rule in [PprIds::PPR1, PprIds::PPR2] {
        if !rules.contains(rule) {
            continue;
        }
        let entry = owner.filter(|_| !forbidden.contains(rule)).and_then(|owner| {
            table.iter().find(|entry| {
                entry.ppr_ids.contains(rule) && entry.allowed_operators.iter().any(|allowed| allowed.covers(owner))
            })
        });
        match entry {
            Some(entry) => consent_required |= entry.flags.contains(RatFlags::CONSENT_REQUIRED),
            None => return Authorisation::Forbidden,
        }
    }
    Authorisation::Allowed { consent_required }
}

impl OperatorId<'_> {
    /// Whether this entry of a RAT is for `owner`: a nibble E of MCC and MNC stands for any digit, an empty GID for
    /// any, and an absent GID only for an absent one.
    #[must_use]
    pub fn covers(&self, owner: &OperatorId<'_>) -> bool {
        let digits = self.mcc_mnc.iter().zip(owner.mcc_mnc).all(|(allowed, owned)| {
            let nibble = |mask: u8, any: u8| allowed & mask == any || allowed & mask == owned & mask;
            nibble(0xF0, 0xE0) && nibble(0x0F, 0x0E)
        });
        digits && covers_gid(self.gid1, owner.gid1) && covers_gid(self.gid2, owner.gid2)
    }
}

fn covers_gid(allowed: Option<&[u8]>, owned: Option<&[u8]>) -> bool {
    match (allowed, owned) {
        (None, None) | (Some([]), _) => true,
        (Some(allowed), Some(owned)) => allowed == owned,
        _ => false,
    }
}
