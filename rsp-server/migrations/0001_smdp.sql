-- The address that LPAs know the server by, as last served.
CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE profile (
    id                  INTEGER PRIMARY KEY,
    iccid               TEXT NOT NULL UNIQUE,
    package             BLOB NOT NULL,
    spn                 TEXT NOT NULL,
    name                TEXT NOT NULL,
    class               INTEGER NOT NULL,
    icon_type           INTEGER,
    icon                BLOB,
    notification_events INTEGER NOT NULL,
    -- NULL: this server.
    notification_address TEXT,
    ppr                 INTEGER NOT NULL,
    owner_mcc_mnc       BLOB,
    owner_gid1          BLOB,
    owner_gid2          BLOB,
    -- What verified notifications say of it.
    euicc_state         TEXT NOT NULL DEFAULT 'none'
                        CHECK (euicc_state IN ('none', 'disabled', 'enabled', 'deleted')),
    euicc_eid           TEXT,
    euicc_sequence      INTEGER
) STRICT;

CREATE TABLE download_order (
    id                     INTEGER PRIMARY KEY,
    profile                INTEGER NOT NULL REFERENCES profile (id),
    matching_id            TEXT NOT NULL UNIQUE,
    -- The only EID that may download it: given with the order, or that of the first download.
    eid                    TEXT,
    -- SHA-256 of the confirmation code.
    confirmation_code_hash BLOB,
    confirmation_attempts  INTEGER NOT NULL,
    state                  TEXT NOT NULL
                           CHECK (state IN ('released', 'downloaded', 'installed', 'error', 'cancelled')),
    -- otPK.EUICC.ECKA of the last download.
    euicc_otpk             BLOB,
    -- Why it is in this state, in words.
    remark                 TEXT,
    created                INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

-- A bound profile package that was handed out. It outlives the session, because the installation result that names its
-- transaction may come much later.
CREATE TABLE delivery (
    transaction_id BLOB PRIMARY KEY,
    download_order INTEGER NOT NULL REFERENCES download_order (id),
    eid            TEXT NOT NULL,
    -- CERT.EUICC.ECDSA, which signs the installation result.
    certificate    BLOB NOT NULL,
    created        INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

-- Verified notifications. A notification that is sent again is the same row.
CREATE TABLE notification (
    id       INTEGER PRIMARY KEY,
    eid      TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    event    INTEGER NOT NULL,
    iccid    TEXT,
    raw      BLOB NOT NULL,
    received INTEGER NOT NULL DEFAULT (unixepoch()),
    UNIQUE (eid, sequence, event)
) STRICT;
