//! What the SM-DP+ keeps: profiles, download orders, deliveries and notifications, in one SQLite file.
//!
//! An order moves so: `released` (waits for a download), `downloaded` (a bound profile package was handed out; the same
//! eUICC may fetch another), then `installed` or `error` by a verified installation result, or `cancelled`. Changes
//! that a retry counter or a state depends on are committed before anything is answered.

use crate::error::Error;
use crate::profile::{Metadata, NewProfile, Owner};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};
use std::path::{Path, PathBuf};
use std::time::Duration;
use teuicc_rsp::codes::{IconType, ProfileClass};
use teuicc_rsp::metadata::{NotificationEvent, PprIds};
use teuicc_rsp::{Eid, Iccid};

/// Name of the data base in the server's folder.
pub const DATABASE: &str = "smdp.db";
/// How often a wrong confirmation code is taken before the order is blocked.
pub const CONFIRMATION_ATTEMPTS: u32 = 3;

/// State of a download order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// Waits for a download.
    Released,
    /// A package was handed out; there is no result yet.
    Downloaded,
    /// Installed, by a verified result. Used up.
    Installed,
    /// Failed for good: by a verified result, or too many wrong confirmation codes.
    Error,
    /// Cancelled by the end user or the eUICC.
    Cancelled,
}

impl OrderState {
    const ALL: [(OrderState, &'static str); 5] = [
        (OrderState::Released, "released"),
        (OrderState::Downloaded, "downloaded"),
        (OrderState::Installed, "installed"),
        (OrderState::Error, "error"),
        (OrderState::Cancelled, "cancelled"),
    ];

    /// The name, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// Whether a download may begin.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, OrderState::Released | OrderState::Downloaded)
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(state, _)| *state)
    }
}

/// State of a profile in its eUICC, as its notifications say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EuiccState {
    /// Not known to be in any.
    None,
    /// Installed, disabled.
    Disabled,
    /// Enabled.
    Enabled,
    /// Deleted.
    Deleted,
}

impl EuiccState {
    const ALL: [(EuiccState, &'static str); 4] = [
        (EuiccState::None, "none"),
        (EuiccState::Disabled, "disabled"),
        (EuiccState::Enabled, "enabled"),
        (EuiccState::Deleted, "deleted"),
    ];

    /// The name, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(state, _)| *state)
    }

    /// The state after one event. `None` if `event` is not exactly one event of v2.
    pub(crate) fn after(event: NotificationEvent) -> Option<Self> {
        match event {
            NotificationEvent::INSTALL | NotificationEvent::DISABLE => Some(EuiccState::Disabled),
            NotificationEvent::ENABLE => Some(EuiccState::Enabled),
            NotificationEvent::DELETE => Some(EuiccState::Deleted),
            _ => None,
        }
    }
}

/// A stored profile.
#[derive(Clone, Debug)]
pub struct ProfileRecord {
    /// Row number.
    pub id: i64,
    /// ICCID.
    pub iccid: Iccid,
    /// What is told of it.
    pub metadata: Metadata,
    /// Its size in bytes.
    pub size: usize,
    /// Its state in an eUICC.
    pub euicc_state: EuiccState,
    /// That eUICC.
    pub euicc_eid: Option<Eid>,
}

/// A stored download order.
#[derive(Clone)]
pub struct OrderRecord {
    /// Row number.
    pub id: i64,
    /// Row number of the profile.
    pub profile: i64,
    /// ICCID of the profile.
    pub iccid: Iccid,
    /// Matching ID.
    pub matching_id: String,
    /// The only EID that may download it.
    pub eid: Option<Eid>,
    /// SHA-256 of the confirmation code, if one is needed.
    pub(crate) confirmation_code_hash: Option<[u8; 32]>,
    /// How many wrong confirmation codes are still taken.
    pub confirmation_attempts: u32,
    /// State.
    pub state: OrderState,
    /// otPK.EUICC.ECKA of the last download.
    pub euicc_otpk: Option<[u8; 65]>,
    /// Why it is in this state, in words.
    pub remark: Option<String>,
}

impl OrderRecord {
    /// Whether a confirmation code is needed.
    #[must_use]
    pub fn needs_confirmation_code(&self) -> bool {
        self.confirmation_code_hash.is_some()
    }
}

impl std::fmt::Debug for OrderRecord {
    /// Without the hash, from which a short code can be guessed, and without the matching ID, which is a bearer token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderRecord")
            .field("id", &self.id)
            .field("iccid", &self.iccid)
            .field("eid", &self.eid)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// A package that was handed out.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Row number of the order.
    pub order: i64,
    /// The profile's ICCID.
    pub iccid: Iccid,
    /// The eUICC.
    pub eid: Eid,
    /// CERT.EUICC.ECDSA.
    pub certificate: Vec<u8>,
}

/// A verified notification, to be stored and acted on.
#[derive(Clone, Debug)]
pub struct NewNotification<'a> {
    /// The eUICC.
    pub eid: Eid,
    /// Sequence number.
    pub sequence: u32,
    /// The event.
    pub event: NotificationEvent,
    /// The profile.
    pub iccid: Option<Iccid>,
    /// PendingNotification as received.
    pub raw: &'a [u8],
    /// What it does to an order, if it is an installation result: the order, its new state, and why.
    pub order: Option<(i64, OrderState, String)>,
    /// What it does to the profile.
    pub state: Option<EuiccState>,
}

/// A stored notification.
#[derive(Clone, Debug)]
pub struct NotificationRecord {
    /// The eUICC.
    pub eid: Eid,
    /// Sequence number.
    pub sequence: u32,
    /// The event.
    pub event: NotificationEvent,
    /// The profile.
    pub iccid: Option<Iccid>,
    /// PendingNotification as received.
    pub raw: Vec<u8>,
}

/// What an order is made of.
#[derive(Clone)]
pub(crate) struct NewOrder {
    pub(crate) iccid: Iccid,
    pub(crate) matching_id: String,
    pub(crate) eid: Option<Eid>,
    pub(crate) confirmation_code_hash: Option<[u8; 32]>,
}

/// The data base.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens the data base in `folder`, and makes it if there is none. The folder must exist.
    ///
    /// Errors: not a data base, a damaged one, or one of another version of this program.
    pub async fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(DATABASE);
        if !path.exists() {
            crate::files::write_private(&path, &[])?;
        }
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(Duration::from_secs(10));
        let failed = |path: PathBuf| move |error: sqlx::Error| Error::Database { path, reason: open_error(&error) };
        let pool =
            SqlitePoolOptions::new().max_connections(4).connect_with(options).await.map_err(failed(path.clone()))?;
        let check: String =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&pool).await.map_err(failed(path.clone()))?;
        if check != "ok" {
            return Err(Error::Database { path, reason: format!("damaged: {check}") });
        }
        sqlx::migrate!("./migrations").run(&pool).await.map_err(|error| Error::Database {
            path,
            reason: match error {
                sqlx::migrate::MigrateError::VersionMissing(version) => {
                    format!("made by a newer version of this program (schema {version} is unknown here)")
                }
                other => format!("schema: {other}"),
            },
        })?;
        Ok(Store { pool })
    }

    /// Closes the data base.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The server's address as last served.
    pub async fn address(&self) -> Result<Option<String>, Error> {
        Ok(sqlx::query_scalar("SELECT value FROM setting WHERE name = 'address'").fetch_optional(&self.pool).await?)
    }

    /// Keeps the server's address.
    pub async fn set_address(&self, address: &str) -> Result<(), Error> {
        sqlx::query("INSERT INTO setting VALUES ('address', ?1) ON CONFLICT DO UPDATE SET value = ?1")
            .bind(address)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Adds a profile. Errors: its ICCID is there already.
    pub async fn add_profile(&self, profile: &NewProfile) -> Result<(), Error> {
        let metadata = &profile.metadata;
        let (icon_type, icon) = match &metadata.icon {
            Some((icon_type, icon)) => (Some(icon_type.code()), Some(icon.as_slice())),
            None => (None, None),
        };
        let owner = metadata.owner.as_ref();
        sqlx::query(
            "INSERT INTO profile (iccid, package, spn, name, class, icon_type, icon, notification_events,
                 notification_address, ppr, owner_mcc_mnc, owner_gid1, owner_gid2)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(profile.iccid.to_string())
        .bind(profile.package.as_slice())
        .bind(&metadata.service_provider_name)
        .bind(&metadata.profile_name)
        .bind(metadata.class.code())
        .bind(icon_type)
        .bind(icon)
        .bind(metadata.notification_events.0)
        .bind(metadata.notification_address.as_deref())
        .bind(metadata.rules.0)
        .bind(owner.map(|owner| owner.mcc_mnc.as_slice()))
        .bind(owner.and_then(|owner| owner.gid1.as_deref()))
        .bind(owner.and_then(|owner| owner.gid2.as_deref()))
        .execute(&self.pool)
        .await
        .map_err(|error| match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => {
                Error::invalid("iccid", format!("profile {} is there already", profile.iccid))
            }
            _ => error.into(),
        })?;
        Ok(())
    }

    /// All profiles, in the order in which they were added.
    pub async fn profiles(&self) -> Result<Vec<ProfileRecord>, Error> {
        sqlx::query("SELECT *, length(package) AS size FROM profile ORDER BY id")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(read_profile)
            .collect()
    }

    /// One profile.
    pub async fn profile(&self, id: i64) -> Result<ProfileRecord, Error> {
        let query = sqlx::query("SELECT *, length(package) AS size FROM profile WHERE id = ?").bind(id);
        read_profile(&query.fetch_one(&self.pool).await?)
    }

    /// The unprotected profile package of one profile.
    pub async fn package(&self, id: i64) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
        let query = sqlx::query_scalar("SELECT package FROM profile WHERE id = ?").bind(id);
        Ok(zeroize::Zeroizing::new(query.fetch_one(&self.pool).await?))
    }

    /// Adds an order. Errors: no such profile, or the matching ID is in use.
    pub(crate) async fn add_order(&self, order: &NewOrder) -> Result<(), Error> {
        let added = sqlx::query(
            "INSERT INTO download_order
                 (profile, matching_id, eid, confirmation_code_hash, confirmation_attempts, state)
             SELECT id, ?, ?, ?, ?, 'released' FROM profile WHERE iccid = ?",
        )
        .bind(&order.matching_id)
        .bind(order.eid.map(|eid| eid.to_string()))
        .bind(order.confirmation_code_hash.as_ref().map(<[u8; 32]>::as_slice))
        .bind(CONFIRMATION_ATTEMPTS)
        .bind(order.iccid.to_string())
        .execute(&self.pool)
        .await
        .map_err(|error| match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => {
                Error::invalid("matching_id", format!("{:?} is used by another order", order.matching_id))
            }
            _ => error.into(),
        })?;
        match added.rows_affected() {
            1 => Ok(()),
            _ => Err(Error::invalid("iccid", format!("there is no profile {}", order.iccid))),
        }
    }

    /// All orders, in the order in which they were made.
    pub async fn orders(&self) -> Result<Vec<OrderRecord>, Error> {
        sqlx::query("SELECT o.*, p.iccid FROM download_order o JOIN profile p ON p.id = o.profile ORDER BY o.id")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(read_order)
            .collect()
    }

    /// The order with this matching ID.
    pub async fn order(&self, matching_id: &str) -> Result<Option<OrderRecord>, Error> {
        sqlx::query(
            "SELECT o.*, p.iccid FROM download_order o JOIN profile p ON p.id = o.profile WHERE o.matching_id = ?",
        )
        .bind(matching_id)
        .fetch_optional(&self.pool)
        .await?
        .as_ref()
        .map(read_order)
        .transpose()
    }

    /// The order with this row number.
    pub async fn order_by_id(&self, id: i64) -> Result<OrderRecord, Error> {
        let query =
            sqlx::query("SELECT o.*, p.iccid FROM download_order o JOIN profile p ON p.id = o.profile WHERE o.id = ?")
                .bind(id);
        read_order(&query.fetch_one(&self.pool).await?)
    }

    /// The oldest open order for this EID: what is downloaded when no matching ID is given.
    pub async fn order_for_eid(&self, eid: &Eid) -> Result<Option<OrderRecord>, Error> {
        sqlx::query(
            "SELECT o.*, p.iccid FROM download_order o JOIN profile p ON p.id = o.profile
             WHERE o.eid = ? AND o.state IN ('released', 'downloaded') ORDER BY o.id LIMIT 1",
        )
        .bind(eid.to_string())
        .fetch_optional(&self.pool)
        .await?
        .as_ref()
        .map(read_order)
        .transpose()
    }

    /// Takes one attempt at the confirmation code, before the code is looked at. Gives how many are left, `None` if
    /// there was none.
    pub async fn take_confirmation_attempt(&self, order: i64) -> Result<Option<u32>, Error> {
        Ok(sqlx::query_scalar(
            "UPDATE download_order SET confirmation_attempts = confirmation_attempts - 1
             WHERE id = ? AND confirmation_attempts > 0 RETURNING confirmation_attempts",
        )
        .bind(order)
        .fetch_optional(&self.pool)
        .await?)
    }

    /// Gives the attempts back, after the right confirmation code.
    pub async fn restore_confirmation_attempts(&self, order: i64) -> Result<(), Error> {
        sqlx::query("UPDATE download_order SET confirmation_attempts = ? WHERE id = ?")
            .bind(CONFIRMATION_ATTEMPTS)
            .bind(order)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Moves an open order to another state. One that is not open stays as it is, unless it is now installed.
    pub async fn close_order(&self, order: i64, state: OrderState, remark: &str) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        move_order(&mut transaction, order, state, remark).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Keeps that a package is handed out, and binds the order to the eUICC. `false`, and nothing changed, if the order
    /// is no longer open or is another eUICC's.
    pub async fn deliver(
        &self,
        transaction_id: &[u8],
        delivery: &Delivery,
        euicc_otpk: &[u8; 65],
    ) -> Result<bool, Error> {
        let mut transaction = self.pool.begin().await?;
        let eid = delivery.eid.to_string();
        let bound = sqlx::query(
            "UPDATE download_order SET state = 'downloaded', eid = ?1, euicc_otpk = ?2, remark = NULL
             WHERE id = ?3 AND state IN ('released', 'downloaded') AND (eid IS NULL OR eid = ?1)",
        )
        .bind(&eid)
        .bind(euicc_otpk.as_slice())
        .bind(delivery.order)
        .execute(&mut *transaction)
        .await?;
        if bound.rows_affected() != 1 {
            return Ok(false);
        }
        sqlx::query("INSERT INTO delivery (transaction_id, download_order, eid, certificate) VALUES (?, ?, ?, ?)")
            .bind(transaction_id)
            .bind(delivery.order)
            .bind(&eid)
            .bind(delivery.certificate.as_slice())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// What was handed out in a transaction.
    pub async fn delivery(&self, transaction_id: &[u8]) -> Result<Option<Delivery>, Error> {
        let row = sqlx::query(
            "SELECT d.*, p.iccid FROM delivery d JOIN download_order o ON o.id = d.download_order
             JOIN profile p ON p.id = o.profile WHERE d.transaction_id = ?",
        )
        .bind(transaction_id)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Delivery {
            order: row.try_get("download_order")?,
            iccid: read_iccid(&row, "iccid")?,
            eid: read_eid(&row, "eid")?.ok_or_else(|| damaged("eid"))?,
            certificate: row.try_get("certificate")?,
        }))
    }

    /// Stores a verified notification and does what it says, in one step. `false` if it was stored before; nothing is
    /// done then.
    pub async fn add_notification(&self, notification: &NewNotification<'_>) -> Result<bool, Error> {
        let mut transaction = self.pool.begin().await?;
        let eid = notification.eid.to_string();
        let iccid = notification.iccid.map(|iccid| iccid.to_string());
        let added = sqlx::query(
            "INSERT INTO notification (eid, sequence, event, iccid, raw) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (eid, sequence, event) DO NOTHING",
        )
        .bind(&eid)
        .bind(notification.sequence)
        .bind(notification.event.0)
        .bind(&iccid)
        .bind(notification.raw)
        .execute(&mut *transaction)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(false);
        }
        if let Some((order, state, remark)) = &notification.order {
            move_order(&mut transaction, *order, *state, remark).await?;
        }
        if let Some(state) = notification.state {
            // Notifications may arrive late; an older one does not undo a newer one of the same eUICC. Only an eUICC
            // that the profile was handed out to has a say.
            sqlx::query(
                "UPDATE profile SET euicc_state = ?1, euicc_eid = ?2, euicc_sequence = ?3
                 WHERE iccid = ?4 AND (euicc_eid IS NULL OR euicc_eid <> ?2 OR euicc_sequence < ?3)
                   AND EXISTS (SELECT 1 FROM delivery d JOIN download_order o ON o.id = d.download_order
                               WHERE o.profile = profile.id AND d.eid = ?2)",
            )
            .bind(state.as_str())
            .bind(&eid)
            .bind(notification.sequence)
            .bind(&iccid)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// All notifications, in the order in which they came.
    pub async fn notifications(&self) -> Result<Vec<NotificationRecord>, Error> {
        sqlx::query("SELECT * FROM notification ORDER BY id")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(|row| {
                Ok(NotificationRecord {
                    eid: read_eid(row, "eid")?.ok_or_else(|| damaged("eid"))?,
                    sequence: row.try_get("sequence")?,
                    event: NotificationEvent(row.try_get("event")?),
                    iccid: read_optional_iccid(row)?,
                    raw: row.try_get("raw")?,
                })
            })
            .collect()
    }
}

/// Moves an open order. That it is installed is true whatever was believed before: the result of an earlier attempt
/// may have come first.
async fn move_order(
    transaction: &mut Transaction<'_, Sqlite>,
    order: i64,
    state: OrderState,
    remark: &str,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE download_order SET state = ?1, remark = ?2
         WHERE id = ?3 AND (state IN ('released', 'downloaded') OR ?1 = 'installed')",
    )
    .bind(state.as_str())
    .bind(remark)
    .bind(order)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn read_profile(row: &SqliteRow) -> Result<ProfileRecord, Error> {
    let icon: Option<Vec<u8>> = row.try_get("icon")?;
    let icon_type: Option<u32> = row.try_get("icon_type")?;
    let owner: Option<Vec<u8>> = row.try_get("owner_mcc_mnc")?;
    let owner = match owner {
        Some(mcc_mnc) => Some(Owner {
            mcc_mnc: mcc_mnc.as_slice().try_into().map_err(|_| damaged("owner_mcc_mnc"))?,
            gid1: row.try_get("owner_gid1")?,
            gid2: row.try_get("owner_gid2")?,
        }),
        None => None,
    };
    Ok(ProfileRecord {
        id: row.try_get("id")?,
        iccid: read_iccid(row, "iccid")?,
        metadata: Metadata {
            service_provider_name: row.try_get("spn")?,
            profile_name: row.try_get("name")?,
            class: ProfileClass::from_code(row.try_get("class")?),
            icon: icon_type.map(IconType::from_code).zip(icon),
            notification_events: NotificationEvent(row.try_get("notification_events")?),
            notification_address: row.try_get("notification_address")?,
            rules: PprIds(row.try_get("ppr")?),
            owner,
        },
        size: usize::try_from(row.try_get::<i64, _>("size")?).unwrap_or(0),
        euicc_state: EuiccState::parse(row.try_get("euicc_state")?).ok_or_else(|| damaged("euicc_state"))?,
        euicc_eid: read_eid(row, "euicc_eid")?,
    })
}

fn read_order(row: &SqliteRow) -> Result<OrderRecord, Error> {
    let hash: Option<Vec<u8>> = row.try_get("confirmation_code_hash")?;
    let hash = hash.map(|hash| hash.as_slice().try_into()).transpose();
    let otpk: Option<Vec<u8>> = row.try_get("euicc_otpk")?;
    let otpk = otpk.map(|otpk| otpk.as_slice().try_into()).transpose();
    Ok(OrderRecord {
        id: row.try_get("id")?,
        profile: row.try_get("profile")?,
        iccid: read_iccid(row, "iccid")?,
        matching_id: row.try_get("matching_id")?,
        eid: read_eid(row, "eid")?,
        confirmation_code_hash: hash.map_err(|_| damaged("confirmation_code_hash"))?,
        confirmation_attempts: row.try_get("confirmation_attempts")?,
        state: OrderState::parse(row.try_get("state")?).ok_or_else(|| damaged("state"))?,
        euicc_otpk: otpk.map_err(|_| damaged("euicc_otpk"))?,
        remark: row.try_get("remark")?,
    })
}

fn read_iccid(row: &SqliteRow, column: &'static str) -> Result<Iccid, Error> {
    Iccid::from_digits(row.try_get(column)?).ok_or_else(|| damaged(column))
}

fn read_optional_iccid(row: &SqliteRow) -> Result<Option<Iccid>, Error> {
    let digits: Option<String> = row.try_get("iccid")?;
    digits.map(|digits| Iccid::from_digits(&digits).ok_or_else(|| damaged("iccid"))).transpose()
}

fn read_eid(row: &SqliteRow, column: &'static str) -> Result<Option<Eid>, Error> {
    let digits: Option<String> = row.try_get(column)?;
    digits.map(|digits| Eid::from_digits(&digits).ok_or_else(|| damaged(column))).transpose()
}

/// A value in the data base that this program never writes.
fn damaged(column: &'static str) -> Error {
    Error::Query(sqlx::Error::ColumnDecode { index: column.into(), source: "not a value of this program".into() })
}

fn open_error(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => format!("damaged, or no data base of this program: {database}"),
        other => other.to_string(),
    }
}
