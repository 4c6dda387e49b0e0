"""The database's schema as numbered migrations.

``PRAGMA user_version`` is the number of migrations applied. A migration is never edited
once released: the next change is the next entry. Times are milliseconds since 1970 UTC.
"""

from __future__ import annotations

import secrets
import sqlite3
import time

from cloud_sync.errors import StoreMismatchError

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- One gapless sequence per stream: what is uploaded later is provably complete per
-- (store, outbox epoch, stream, sequence).
CREATE TABLE streams (
    stream TEXT PRIMARY KEY,
    next_sequence INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE outbox (
    stream TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    event TEXT NOT NULL,
    row_id INTEGER NOT NULL,
    recorded_ms INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (stream, sequence)
) WITHOUT ROWID;

-- source: 0 the serving process's journal, 1 a terminal's spool. origin: the workstation of
-- a spool, else empty. The decision of record of a request is the one not superseded.
CREATE TABLE decisions (
    row_id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    origin TEXT NOT NULL,
    epoch TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    decision_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    decided_ms INTEGER NOT NULL,
    recorded_ms INTEGER NOT NULL,
    request BLOB NOT NULL,
    response BLOB NOT NULL,
    request_sha256 BLOB NOT NULL,
    scored BLOB NOT NULL,
    fallback_reason TEXT NOT NULL,
    sale_key TEXT NOT NULL,
    business_day INTEGER NOT NULL,
    basket_revision INTEGER NOT NULL,
    items TEXT NOT NULL,
    superseded_by INTEGER REFERENCES decisions (row_id),
    UNIQUE (source, origin, epoch, sequence)
);
CREATE INDEX decisions_by_request ON decisions (request_id);
CREATE INDEX decisions_by_id ON decisions (decision_id);
CREATE INDEX decisions_by_sale ON decisions (sale_key, basket_revision) WHERE sale_key <> '';
CREATE INDEX decisions_by_time ON decisions (source, decided_ms);

-- end: the contract's SaleEnd number; 0: a review's finding.
CREATE TABLE outcomes (
    row_id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    decision_id TEXT NOT NULL,
    sale_key TEXT NOT NULL,
    sale_end INTEGER NOT NULL,
    final_revision INTEGER NOT NULL,
    event_ms INTEGER NOT NULL,
    recorded_ms INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX outcomes_by_sale ON outcomes (sale_key) WHERE sale_key <> '';

-- Decisions known to be lost. lost_count 0: nobody can know how many.
CREATE TABLE gaps (
    row_id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    origin TEXT NOT NULL,
    epoch TEXT NOT NULL,
    first_sequence INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL,
    lost_count INTEGER NOT NULL,
    reason TEXT NOT NULL,
    recorded_ms INTEGER NOT NULL,
    UNIQUE (source, origin, epoch, first_sequence, last_sequence, reason)
);

-- Poison: kept aside, blocks nothing.
CREATE TABLE rejected (
    row_id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    origin TEXT NOT NULL,
    epoch TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    reason TEXT NOT NULL,
    body BLOB NOT NULL,
    recorded_ms INTEGER NOT NULL,
    UNIQUE (source, origin, epoch, sequence)
);

-- What redeemed or released a key; the state is their fold in order of event time.
CREATE TABLE redemption_events (
    row_id INTEGER PRIMARY KEY,
    redemption_key TEXT NOT NULL,
    sale_key TEXT NOT NULL,
    redeems INTEGER NOT NULL,
    event_ms INTEGER NOT NULL
);
CREATE INDEX redemption_events_by_key ON redemption_events (redemption_key);
CREATE TABLE redemption_state (
    redemption_key TEXT PRIMARY KEY,
    redeemed INTEGER NOT NULL,
    cursor INTEGER NOT NULL UNIQUE
) WITHOUT ROWID;

-- What each completed sale put into the store's log, so that it can be taken back.
CREATE TABLE sale_items (
    sale_key TEXT NOT NULL,
    business_day INTEGER NOT NULL,
    item_id TEXT NOT NULL,
    line_count INTEGER NOT NULL,
    discounted_line_count INTEGER NOT NULL,
    PRIMARY KEY (sale_key, business_day, item_id)
) WITHOUT ROWID;
CREATE TABLE store_log (
    business_day INTEGER NOT NULL,
    item_id TEXT NOT NULL,
    line_count INTEGER NOT NULL,
    discounted_line_count INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    PRIMARY KEY (business_day, item_id)
) WITHOUT ROWID;
CREATE INDEX store_log_by_cursor ON store_log (cursor);
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)

_CURSOR_ORIGIN_S = 1_704_067_200
"""2024-01-01: cursors start at the seconds since then, times 2**32."""


def migrate(connection: sqlite3.Connection) -> int:
    """Bring the database to this version's schema; return how many migrations ran.

    Each migration and its number are one transaction: a power cut leaves the one before.

    Raises: StoreMismatchError: a newer version wrote it.
    """
    (done,) = connection.execute("PRAGMA user_version").fetchone()
    if done > len(MIGRATIONS):
        raise StoreMismatchError(
            f"the database has schema {done}, this version knows {len(MIGRATIONS)}: "
            "install the version that wrote it, or a newer one"
        )
    for number in range(done, len(MIGRATIONS)):
        connection.executescript(
            f"BEGIN IMMEDIATE;{MIGRATIONS[number]}PRAGMA user_version={number + 1};COMMIT;"
        )
    return len(MIGRATIONS) - int(done)


def claim(connection: sqlite3.Connection, store_id: str) -> None:
    """Write this store's identity into a new database, or check the one that is there.

    Raises: StoreMismatchError: it is another store's.
    """
    found = meta(connection, "store_id")
    if found is None:
        # A replaced database starts with a higher cursor than the one before it, as far as
        # the clock can be believed, so that no reader mistakes it for the old one.
        since_s = int(time.time()) - _CURSOR_ORIGIN_S
        base = since_s if 0 < since_s < 2**31 else secrets.randbelow(2**20) + 1
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [
                ("store_id", store_id),
                ("outbox_epoch", secrets.token_hex(8)),
                ("redemption_cursor", str(base << 32)),
                ("store_log_cursor", "0"),
            ],
        )
        connection.execute("COMMIT")
    elif found != store_id:
        raise StoreMismatchError(
            f"the database is store {found}'s, the configuration says {store_id}: "
            "correct store.store_id, or name another paths.state_dir"
        )


def meta(connection: sqlite3.Connection, name: str) -> str | None:
    """Return a value of ``meta``; None: not there."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def set_meta(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Set a value of ``meta``."""
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def next_cursor(connection: sqlite3.Connection, name: str) -> int:
    """Advance the cursor ``name`` by one and return it."""
    cursor = int(meta(connection, name) or 0) + 1
    set_meta(connection, name, str(cursor))
    return cursor
