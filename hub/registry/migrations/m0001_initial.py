"""The first schema: a row is a record as JSON (`body`) plus the columns that queries look at.

`n` counts rows of a table in the order of their first commit: lists show the newest first by it.
"""

from __future__ import annotations

import sqlite3
from typing import Final

_TABLES: Final = (
    """CREATE TABLE migrations (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)""",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE agents (
        n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, uid TEXT NOT NULL, body BLOB NOT NULL)""",
    """CREATE TABLE tasks (
        n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        agent_id TEXT, agent_uid TEXT, type TEXT NOT NULL, dispatch_id TEXT,
        seq INTEGER NOT NULL, state TEXT NOT NULL, ended_at INTEGER, body BLOB NOT NULL)""",
    """CREATE TABLE task_labels (
        n INTEGER NOT NULL, label TEXT NOT NULL, PRIMARY KEY (n, label)) WITHOUT ROWID""",
    """CREATE TABLE dispatches (
        n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        created_at INTEGER NOT NULL, ended INTEGER NOT NULL, body BLOB NOT NULL)""",
    "CREATE TABLE tokens (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL)",
    """CREATE TABLE policies (
        sender TEXT NOT NULL, receiver TEXT NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (sender, receiver)) WITHOUT ROWID""",
    "CREATE TABLE messages (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL)",
    """CREATE TABLE jobs (
        n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL, ended_at INTEGER, body BLOB NOT NULL)""",
    """CREATE TABLE idempotency (
        n INTEGER PRIMARY KEY, who TEXT NOT NULL, key TEXT NOT NULL,
        created_at INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (who, key))""",
    """CREATE TABLE audit (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL,
        what TEXT NOT NULL, target TEXT NOT NULL, outcome TEXT NOT NULL, detail TEXT NOT NULL)""",
)

_INDEXES: Final = (
    # A task's state is the only indexed column that changes; every list by agent or state is a
    # merge of ranges of these two.
    "CREATE INDEX tasks_by_state ON tasks (state, n)",
    "CREATE INDEX tasks_by_agent ON tasks (agent_id, state, n)",
    "CREATE INDEX tasks_by_type ON tasks (type, n)",
    "CREATE INDEX tasks_by_dispatch ON tasks (dispatch_id, n) WHERE dispatch_id IS NOT NULL",
    "CREATE INDEX tasks_by_end ON tasks (ended_at) WHERE ended_at IS NOT NULL",
    "CREATE INDEX task_labels_by_label ON task_labels (label, n)",
    "CREATE INDEX dispatches_open ON dispatches (n) WHERE ended = 0",
    "CREATE INDEX jobs_open ON jobs (n) WHERE state = 'running'",
    "CREATE INDEX jobs_by_end ON jobs (ended_at) WHERE ended_at IS NOT NULL",
    "CREATE INDEX idempotency_by_age ON idempotency (created_at)",
    "CREATE INDEX audit_by_age ON audit (at)",
)

# The audit only grows. Retention is the one exception: inside its own transaction it writes the
# moment before which rows may go, and takes it away again. This stops mistakes, of the hub and of
# a person with an SQLite shell; it cannot stop somebody who may drop triggers.
_TRIGGERS: Final = (
    """CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit BEGIN
        SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    # INSERT OR REPLACE would delete without asking the trigger below.
    """CREATE TRIGGER audit_never_replaced BEFORE INSERT ON audit
        WHEN NEW.seq IS NOT NULL AND EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq) BEGIN
        SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    """CREATE TRIGGER audit_kept BEFORE DELETE ON audit
        WHEN NOT EXISTS (
            SELECT 1 FROM meta WHERE key = 'audit_purge_before' AND OLD.at < CAST(value AS INTEGER)) BEGIN
        SELECT RAISE(ABORT, 'the audit is append-only'); END""",
)


def apply(connection: sqlite3.Connection) -> None:
    for statement in (*_TABLES, *_INDEXES, *_TRIGGERS):
        connection.execute(statement)
