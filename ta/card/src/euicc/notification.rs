//! Notifications (SGP.22 v2.5 sections 3.5, 5.7.9 to 5.7.11): made when something happens, signed when they are
//! retrieved. Signatures are deterministic, so that the ProfileInstallationResult that LoadBoundProfilePackage
//! answers with is the one that is retrieved later.

use super::es10a::text;
use super::identity::{Chain, Personalized};
use super::registry::{Notification, Registry};
use super::{Euicc, Failure};
use crate::platform::{Env, ProfileSlot};
use crate::profile::Profile;
use alloc::vec::Vec;
use teuicc_rsp::codes::{NotificationSentResult, RetrieveNotificationsListError};
use teuicc_rsp::es10::{
    FinalResult, ListNotificationRequest, NotificationMetadata, NotificationSearchCriteria, NotificationSentRequest,
    NotificationSentResponse, ProfileInstallationResultData, RetrieveNotificationsListRequest,
    RetrieveNotificationsListResponse,
};
use teuicc_rsp::metadata::{NotificationEvent, StoreMetadata};
use teuicc_rsp::object::{Object, TransactionId};
use teuicc_rsp::tags;
use teuicc_tlv::{Tag, TryBytes, Writer, try_copy};

/// How many bytes of notifications one RetrieveNotificationsList gives; the rest comes when these were removed.
const MAX_RETRIEVED: usize = 48 * 1024;

impl Euicc {
    /// ListNotification.
    pub(super) fn list_notifications(&self, command: &[u8]) -> Result<Vec<u8>, Failure> {
        let filter = ListNotificationRequest::parse(command)?.profile_management_operation;
        let mut writer = Writer::new();
        writer.nested::<Failure>(tags::LIST_NOTIFICATION, |writer| {
            writer.nested(Tag(0xA0), |writer| {
                for notification in self.registry.notifications.iter().filter(|one| is_asked_for(one, filter)) {
                    metadata(notification)?.write(writer)?;
                }
                Ok(())
            })
        })?;
        Ok(writer.into_bytes())
    }

    /// RetrieveNotificationsList.
    pub(super) fn retrieve_notifications(&self, command: &[u8]) -> Result<Vec<u8>, Failure> {
        let criteria = RetrieveNotificationsListRequest::parse(command)?.search_criteria;
        let identity = self.personalized()?;
        let mut list = Vec::new();
        for notification in &self.registry.notifications {
            let wanted = match criteria {
                None => true,
                Some(NotificationSearchCriteria::SeqNumber(number)) => notification.sequence == number,
                Some(NotificationSearchCriteria::ProfileManagementOperation(events)) => {
                    is_asked_for(notification, Some(events))
                }
            };
            if !wanted {
                continue;
            }
            let signed = signed(notification, identity)?;
            if list.len().saturating_add(signed.len()) > MAX_RETRIEVED {
                break;
            }
            list.try_extend(&signed)?;
        }
        let response = if list.is_empty() && criteria.is_some() {
            RetrieveNotificationsListResponse::Error(RetrieveNotificationsListError::NoResultAvailable)
        } else {
            RetrieveNotificationsListResponse::List(&list)
        };
        Ok(response.encode()?)
    }

    /// RemoveNotificationFromList: 1 replace.
    pub(super) fn remove_notification(&mut self, env: &mut Env<'_>, command: &[u8]) -> Result<Vec<u8>, Failure> {
        let number = NotificationSentRequest::parse(command)?.seq_number;
        let result = if self.registry.notifications.iter().any(|one| one.sequence == number) {
            let mut next = self.registry.duplicate()?;
            next.notifications.retain(|one| one.sequence != number);
            self.commit(env, next)?;
            NotificationSentResult::Ok
        } else {
            NotificationSentResult::NothingToDelete
        };
        Ok(NotificationSentResponse { result }.encode()?)
    }

    /// Adds the notifications that the profile in `slot` is configured for to `next`: none if its metadata, which name
    /// the recipients, are damaged.
    pub(super) fn notify_of(
        &self,
        env: &Env<'_>,
        next: &mut Registry,
        slot: ProfileSlot,
        event: NotificationEvent,
    ) -> Result<(), Failure> {
        let stored = Profile::load_metadata(env.store, slot)?;
        let Some(metadata) = stored.as_deref().and_then(|stored| StoreMetadata::parse(stored).ok()) else {
            return Ok(());
        };
        let chain = self.registry.profile(slot).ok_or(Failure::Internal)?.chain;
        notify_configured(next, &metadata, chain, event, "")
    }
}

/// Adds a notification of `event` for each recipient that the metadata name, but for `except`.
pub(super) fn notify_configured(
    next: &mut Registry,
    metadata: &StoreMetadata<'_>,
    chain: u8,
    event: NotificationEvent,
    except: &str,
) -> Result<(), Failure> {
    let Some(configuration) = &metadata.notification_configuration else { return Ok(()) };
    for recipient in configuration.iter() {
        if recipient.events.contains(event) && !recipient.address.eq_ignore_ascii_case(except) {
            next.notify(Notification {
                sequence: 0,
                event,
                chain,
                address: try_copy(recipient.address.as_bytes())?,
                iccid: Some(metadata.iccid),
                installation: None,
            })?;
        }
    }
    Ok(())
}

/// The PendingNotification of a stored notification, as it is sent to the server.
pub(super) fn signed(notification: &Notification, identity: &Personalized) -> Result<Vec<u8>, Failure> {
    let chain = identity.chain(notification.chain).ok_or(Failure::Internal)?;
    match &notification.installation {
        Some(_) => installation_result(notification, chain),
        None => other_signed(notification, chain),
    }
}

/// ProfileInstallationResult.
fn installation_result(notification: &Notification, chain: &Chain) -> Result<Vec<u8>, Failure> {
    let installation = notification.installation.as_ref().ok_or(Failure::Internal)?;
    let data = ProfileInstallationResultData {
        transaction_id: TransactionId::new(&installation.transaction_id).ok_or(Failure::Internal)?,
        notification_metadata: metadata(notification)?,
        smdp_oid: &installation.smdp_oid,
        final_result: FinalResult::parse(&installation.final_result)?,
    }
    .encode()?;
    let signature = chain.sign(&[&data])?;
    let mut writer = Writer::new();
    writer.nested::<Failure>(tags::PROFILE_INSTALLATION_RESULT, |writer| {
        writer.raw(&data)?;
        Ok(writer.primitive(tags::SIGNATURE, &signature)?)
    })?;
    Ok(writer.into_bytes())
}

/// OtherSignedNotification.
fn other_signed(notification: &Notification, chain: &Chain) -> Result<Vec<u8>, Failure> {
    let data = metadata(notification)?.encode()?;
    let signature = chain.sign(&[&data])?;
    let mut writer = Writer::new();
    writer.nested::<Failure>(Tag::SEQUENCE, |writer| {
        writer.raw(&data)?;
        writer.primitive(tags::SIGNATURE, &signature)?;
        writer.raw(&chain.euicc)?;
        Ok(writer.raw(&chain.eum)?)
    })?;
    Ok(writer.into_bytes())
}

fn metadata(notification: &Notification) -> Result<NotificationMetadata<'_>, Failure> {
    Ok(NotificationMetadata {
        seq_number: notification.sequence,
        profile_management_operation: notification.event,
        notification_address: text(&notification.address)?,
        iccid: notification.iccid,
    })
}

fn is_asked_for(notification: &Notification, filter: Option<NotificationEvent>) -> bool {
    filter.is_none_or(|events| events.contains(notification.event))
}
