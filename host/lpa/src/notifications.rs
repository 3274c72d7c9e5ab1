//! Notifications: telling servers what happened to their profiles (SGP.22 v2.5 section 3.5).
//!
//! They go to each recipient in the order of their sequence numbers, and leave the card only after the recipient
//! answered 204. What fails is tried again the next time.

use crate::error::LpaError;
use crate::es9p::Server;
use crate::es10::{Isdr, on_isdr, read, refused};
use crate::operation::{Io, Operation};
use crate::progress::{Progress, Stage};
use crate::session;
use core::fmt;
use std::collections::HashSet;
use teuicc_rsp::Iccid;
use teuicc_rsp::codes::NotificationSentResult;
use teuicc_rsp::es10::{
    ListNotificationRequest, ListNotificationResponse, NotificationMetadata, NotificationSearchCriteria,
    NotificationSentRequest, NotificationSentResponse, RetrieveNotificationsListRequest,
    RetrieveNotificationsListResponse, pending_notifications,
};
use teuicc_rsp::metadata::NotificationEvent;
use teuicc_tlv::Reader;

/// A notification that the card keeps until its recipient has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Its number; the card counts them over all profiles and never starts again.
    pub sequence_number: u32,
    /// What happened.
    pub event: Event,
    /// Host name of the server that is to know.
    pub recipient: String,
    /// The profile.
    pub iccid: Option<Iccid>,
}

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An installation, also one that failed.
    Install,
    /// Enabling.
    Enable,
    /// Disabling.
    Disable,
    /// Deletion.
    Delete,
    /// Something that is not of SGP.22 v2.5: its bits.
    Other(u32),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Install => f.write_str("install"),
            Event::Enable => f.write_str("enable"),
            Event::Disable => f.write_str("disable"),
            Event::Delete => f.write_str("delete"),
            Event::Other(bits) => write!(f, "event {bits:#x}"),
        }
    }
}

impl From<&NotificationMetadata<'_>> for Notification {
    fn from(metadata: &NotificationMetadata<'_>) -> Self {
        Notification {
            sequence_number: metadata.seq_number,
            event: match metadata.profile_management_operation {
                NotificationEvent::INSTALL => Event::Install,
                NotificationEvent::ENABLE => Event::Enable,
                NotificationEvent::DISABLE => Event::Disable,
                NotificationEvent::DELETE => Event::Delete,
                other => Event::Other(other.0),
            },
            recipient: metadata.notification_address.into(),
            iccid: metadata.iccid,
        }
    }
}

/// What became of a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which.
    pub notification: Notification,
    /// How it ended.
    pub outcome: DeliveryOutcome,
}

/// How the delivery of a notification ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The recipient has it, and the card forgot it.
    Delivered,
    /// The recipient does not have it; the card keeps it.
    Failed(LpaError),
    /// It was not tried, because an earlier one to the same recipient failed; the card keeps it.
    NotTried,
}

impl Delivery {
    /// Whether the recipient has it.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.outcome == DeliveryOutcome::Delivered
    }
}

/// Which notifications to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those with these sequence numbers. Earlier ones to the same recipients are passed over.
    Only(Vec<u32>),
}

/// Lists the notifications that the card keeps, by sequence number.
#[must_use]
pub fn list() -> Operation<Vec<Notification>> {
    on_isdr!(|io, isdr| pending(isdr))
}

/// Delivers notifications, and has the card forget those that were delivered. A failure leaves the rest of that
/// recipient's, and goes on with other recipients.
#[must_use]
pub fn process(which: Which) -> Operation<Vec<Delivery>> {
    on_isdr!(|io, isdr| process_on(io, isdr, which))
}

/// Has the card forget a notification that no recipient got. The recipient's view of the profile stays wrong.
#[must_use]
pub fn remove(sequence_number: u32) -> Operation<()> {
    on_isdr!(|io, isdr| remove_on(isdr, sequence_number))
}

async fn remove_on(isdr: &Isdr<'_>, sequence_number: u32) -> Result<(), LpaError> {
    match forget(isdr, sequence_number).await? {
        NotificationSentResult::Ok => Ok(()),
        code => Err(refused(REMOVE, code.code(), &code)),
    }
}

async fn process_on(io: &Io, isdr: &Isdr<'_>, which: Which) -> Result<Vec<Delivery>, LpaError> {
    let mut notifications = pending(isdr).await?;
    if let Which::Only(numbers) = &which {
        notifications.retain(|notification| numbers.contains(&notification.sequence_number));
    }
    deliver(io, isdr, notifications, None).await
}

/// Delivers what an installation left behind: its result, which is at hand, and whatever waits for the recipients of
/// this and of later notifications.
pub(crate) async fn deliver_installation_result(
    io: &Io,
    isdr: &Isdr<'_>,
    result: &NotificationMetadata<'_>,
    encoded: &[u8],
) -> Result<Vec<Delivery>, LpaError> {
    let mut notifications = pending(isdr).await?;
    let recipients: HashSet<String> = notifications
        .iter()
        .filter(|notification| notification.sequence_number >= result.seq_number)
        .map(|notification| notification.recipient.to_ascii_lowercase())
        .collect();
    notifications.retain(|notification| recipients.contains(&notification.recipient.to_ascii_lowercase()));
    deliver(io, isdr, notifications, Some((result.seq_number, encoded))).await
}

/// Delivers in the order given. `at_hand` is one whose encoding need not be retrieved.
async fn deliver(
    io: &Io,
    isdr: &Isdr<'_>,
    notifications: Vec<Notification>,
    at_hand: Option<(u32, &[u8])>,
) -> Result<Vec<Delivery>, LpaError> {
    let total = notifications.len();
    let mut failed_recipients = HashSet::new();
    let mut deliveries = Vec::new();
    for notification in notifications {
        let recipient = notification.recipient.to_ascii_lowercase();
        let outcome = if failed_recipients.contains(&recipient) {
            DeliveryOutcome::NotTried
        } else {
            match deliver_one(io, isdr, &notification, at_hand).await {
                Ok(()) => DeliveryOutcome::Delivered,
                Err(error @ LpaError::Card { .. }) => return Err(error),
                Err(error) => {
                    failed_recipients.insert(recipient);
                    DeliveryOutcome::Failed(error)
                }
            }
        };
        deliveries.push(Delivery { notification, outcome });
        io.progress(Progress { stage: Stage::Notifying, done: deliveries.len(), total }).await;
    }
    Ok(deliveries)
}

async fn deliver_one(
    io: &Io,
    isdr: &Isdr<'_>,
    notification: &Notification,
    at_hand: Option<(u32, &[u8])>,
) -> Result<(), LpaError> {
    let address = session::card_address("recipient of a notification", &notification.recipient)?;
    let server = Server::new(io, address);
    match at_hand {
        Some((number, encoded)) if number == notification.sequence_number => {
            server.handle_notification(encoded).await?;
        }
        _ => {
            let encoded = retrieve(isdr, notification.sequence_number).await?;
            server.handle_notification(&encoded).await?;
        }
    }
    forget(isdr, notification.sequence_number).await?;
    Ok(())
}

/// ES10b.ListNotification (section 5.7.9), sorted by sequence number.
async fn pending(isdr: &Isdr<'_>) -> Result<Vec<Notification>, LpaError> {
    const FUNCTION: &str = "ListNotification";
    let request = ListNotificationRequest { profile_management_operation: None };
    let answer = isdr.send(FUNCTION, &request).await?;
    match read(FUNCTION, &answer)? {
        ListNotificationResponse::List(list) => {
            let mut notifications: Vec<Notification> = list.iter().map(|item| Notification::from(&item)).collect();
            notifications.sort_by_key(|notification| notification.sequence_number);
            Ok(notifications)
        }
        ListNotificationResponse::Error(code) => Err(refused(FUNCTION, code.code(), &code)),
    }
}

/// ES10b.RetrieveNotificationsList (section 5.7.10) of one: its encoding, as the recipient gets it.
async fn retrieve(isdr: &Isdr<'_>, sequence_number: u32) -> Result<Vec<u8>, LpaError> {
    const FUNCTION: &str = "RetrieveNotificationsList";
    let search_criteria = Some(NotificationSearchCriteria::SeqNumber(sequence_number));
    let answer = isdr.send(FUNCTION, &RetrieveNotificationsListRequest { search_criteria }).await?;
    let list = match read(FUNCTION, &answer)? {
        RetrieveNotificationsListResponse::List(list) => list,
        RetrieveNotificationsListResponse::Error(code) => return Err(refused(FUNCTION, code.code(), &code)),
    };
    let wrong = |problem: String| LpaError::CardAnswer { function: FUNCTION, problem };
    let encoded = Reader::new(list).read().map_err(|error| wrong(error.to_string()))?.raw;
    match pending_notifications(list).next() {
        Some(Ok((_, notification))) if notification.metadata().seq_number == sequence_number => Ok(encoded.to_vec()),
        Some(Ok(_)) => Err(wrong("it is another notification than was asked for".into())),
        Some(Err(error)) => Err(wrong(error.to_string())),
        None => Err(wrong("the notification is not in it".into())),
    }
}

const REMOVE: &str = "RemoveNotificationFromList";

/// ES10b.RemoveNotificationFromList (section 5.7.11).
async fn forget(isdr: &Isdr<'_>, sequence_number: u32) -> Result<NotificationSentResult, LpaError> {
    let answer = isdr.send(REMOVE, &NotificationSentRequest { seq_number: sequence_number }).await?;
    Ok(read::<NotificationSentResponse>(REMOVE, &answer)?.result)
}
