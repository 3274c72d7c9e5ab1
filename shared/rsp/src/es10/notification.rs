//! Notifications and the profile installation result (SGP.22 v2.5 sections 2.5.6, 5.7.9 to 5.7.12).

use super::Signature;
use crate::codes::{
    BppCommandId, ErrorReason, ListNotificationError, LoadCrlError, NotificationSentResult,
    RetrieveNotificationsListError,
};
use crate::iccid::Iccid;
use crate::metadata::NotificationEvent;
use crate::object::{Aid, List, Object, Raw, Received, TransactionId, Value, choice, object};
use crate::tags;
use teuicc_tlv::{Error, Reader, Tag, Tlv, Writer};

object! {
    /// NotificationMetadata: what the eUICC signs in a notification.
    pub struct NotificationMetadata<'a>: tags::NOTIFICATION_METADATA => {
        /// Sequence number, over all notifications of the eUICC.
        seq_number: required u32 = 0x80,
        /// What happened: one bit.
        profile_management_operation: required NotificationEvent = 0x81,
        /// Host name of the recipient.
        notification_address: required &'a str = 0x0C,
        /// The profile.
        iccid: optional Iccid = 0x5A,
    }
}

object! {
    /// Request of ES10b.ListNotification.
    pub struct ListNotificationRequest: tags::LIST_NOTIFICATION => {
        /// Only notifications of these events.
        profile_management_operation: optional NotificationEvent = 0x81,
    }
}

choice! {
    /// Response of ES10b.ListNotification.
    pub enum ListNotificationResponse<'a>: tags::LIST_NOTIFICATION => {
        /// The pending notifications.
        List(List<'a, NotificationMetadata<'a>>) = 0xA0,
        /// Why not.
        Error(ListNotificationError) = 0x81,
    }
}

choice! {
    /// Which notifications ES10b.RetrieveNotificationsList shall give.
    pub enum NotificationSearchCriteria: Tag(0xA0) => {
        /// The one with this sequence number.
        SeqNumber(u32) = 0x80,
        /// Those of these events.
        ProfileManagementOperation(NotificationEvent) = 0x81,
    }
}

object! {
    /// Request of ES10b.RetrieveNotificationsList.
    pub struct RetrieveNotificationsListRequest: tags::RETRIEVE_NOTIFICATIONS_LIST => {
        /// Which; all if absent.
        search_criteria: optional NotificationSearchCriteria = 0xA0,
    }
}

choice! {
    /// Response of ES10b.RetrieveNotificationsList.
    pub enum RetrieveNotificationsListResponse<'a>: tags::RETRIEVE_NOTIFICATIONS_LIST => {
        /// PendingNotification objects, concatenated; [`pending_notifications`] separates them.
        List(&'a [u8]) = 0xA0,
        /// Why not.
        Error(RetrieveNotificationsListError) = 0x81,
    }
}

/// The notifications in the value of [`RetrieveNotificationsListResponse::List`]: each one's encoding, which is what
/// the recipient gets, and what it says.
pub fn pending_notifications<'a>(
    list: &'a [u8],
) -> impl Iterator<Item = Result<(&'a [u8], PendingNotification<'a>), Error>> {
    Reader::new(list).map(|tlv| tlv.and_then(|tlv| Ok((tlv.raw, PendingNotification::from_tlv(&tlv)?))))
}

/// PendingNotification: what is sent to a server in ES9+.HandleNotification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)]
pub enum PendingNotification<'a> {
    /// The result of an installation.
    ProfileInstallationResult(ProfileInstallationResult<'a>),
    /// Any other event.
    OtherSigned(OtherSignedNotification<'a>),
}

impl<'a> PendingNotification<'a> {
    /// Reads exactly one notification. Errors: neither kind, bad content, trailing data.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let tlv = reader.read()?;
        reader.finish()?;
        Self::from_tlv(&tlv)
    }

    /// Reads the notification from a data object. Errors: neither kind, bad content.
    pub fn from_tlv(tlv: &Tlv<'a>) -> Result<Self, Error> {
        if tlv.tag == tags::PROFILE_INSTALLATION_RESULT {
            ProfileInstallationResult::read(tlv).map(Self::ProfileInstallationResult)
        } else {
            OtherSignedNotification::from_tlv(tlv).map(Self::OtherSigned)
        }
    }

    /// Writes the notification. Errors: out of memory.
    pub fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        match self {
            Self::ProfileInstallationResult(result) => result.write(writer),
            Self::OtherSigned(notification) => notification.write(writer),
        }
    }

    /// What it is about, and where it goes.
    #[must_use]
    pub fn metadata(&self) -> &NotificationMetadata<'a> {
        match self {
            Self::ProfileInstallationResult(result) => &result.data.notification_metadata,
            Self::OtherSigned(notification) => &notification.tbs_other_notification,
        }
    }
}

object! {
    /// OtherSignedNotification.
    pub struct OtherSignedNotification<'a>: Tag::SEQUENCE => {
        /// What the eUICC signed.
        tbs_other_notification: required Received<'a, NotificationMetadata<'a>> = 0xBF2F,
        /// The signature over it.
        euicc_notification_signature: required Signature<'a> = 0x5F37,
        /// CERT.EUICC.ECDSA.
        euicc_certificate: required Raw<'a> = 0x30,
        /// CERT.EUM.ECDSA.
        eum_certificate: required Raw<'a> = 0x30,
    }
}

object! {
    /// Request of ES10b.RemoveNotificationFromList.
    pub struct NotificationSentRequest: tags::NOTIFICATION_SENT => {
        /// The notification.
        seq_number: required u32 = 0x80,
    }
}

object! {
    /// Response of ES10b.RemoveNotificationFromList.
    pub struct NotificationSentResponse: tags::NOTIFICATION_SENT => {
        /// The result.
        result: required NotificationSentResult = 0x80,
    }
}

object! {
    /// ProfileInstallationResult: the response to the last segment of a bound profile package.
    pub struct ProfileInstallationResult<'a>: tags::PROFILE_INSTALLATION_RESULT => {
        /// What the eUICC signed.
        data: required Received<'a, ProfileInstallationResultData<'a>> = 0xBF27,
        /// The signature over it.
        euicc_sign_pir: required Signature<'a> = 0x5F37,
    }
}

object! {
    /// ProfileInstallationResultData.
    pub struct ProfileInstallationResultData<'a>: tags::PROFILE_INSTALLATION_RESULT_DATA => {
        /// The transaction.
        transaction_id: required TransactionId<'a> = 0x80,
        /// Sequence number and recipient.
        notification_metadata: required NotificationMetadata<'a> = 0xBF2F,
        /// SM-DP+ OID as contained in CERT.DPauth.ECDSA, content octets.
        smdp_oid: required &'a [u8] = 0x06,
        /// How it ended.
        final_result: required FinalResult<'a> = 0xA2,
    }
}

choice! {
    /// How an installation ended.
    pub enum FinalResult<'a>: Tag(0xA2) => {
        /// The profile is installed.
        Success(SuccessResult<'a>) = 0xA0,
        /// It is not.
        Error(ErrorResult<'a>) = 0xA1,
    }
}

object! {
    /// SuccessResult.
    pub struct SuccessResult<'a>: Tag(0xA0) => {
        /// The ISD-P.
        aid: required Aid<'a> = 0x4F,
        /// EUICCResponse of the profile package interpreter (TCA "eUICC Profile Package").
        simpl_response: required &'a [u8] = 0x04,
    }
}

object! {
    /// ErrorResult.
    pub struct ErrorResult<'a>: Tag(0xA1) => {
        /// Which part failed.
        bpp_command_id: required BppCommandId = 0x80,
        /// Why.
        error_reason: required ErrorReason = 0x81,
        /// EUICCResponse of the profile package interpreter.
        simpl_response: optional &'a [u8] = 0x82,
    }
}

object! {
    /// Request of ES10b.LoadCRL.
    pub struct LoadCrlRequest<'a>: tags::LOAD_CRL => {
        /// CertificateList; its SEQUENCE tag is replaced.
        crl: required &'a [u8] = 0xA0,
    }
}

choice! {
    /// Response of ES10b.LoadCRL.
    pub enum LoadCrlResponse<'a>: tags::LOAD_CRL => {
        /// The CRL is stored.
        Ok(LoadCrlResponseOk<'a>) = 0xA0,
        /// It is not.
        Error(LoadCrlError) = 0x81,
    }
}

object! {
    /// LoadCRLResponseOk.
    pub struct LoadCrlResponseOk<'a>: Tag(0xA0) => {
        /// Numbers of the partial CRLs that are missing, as INTEGERs.
        missing_parts: optional &'a [u8] = 0xA0,
    }
}
