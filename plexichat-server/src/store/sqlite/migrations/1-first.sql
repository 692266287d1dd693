-- Times are microseconds since 1970, identifiers the 16 bytes of a UUID, kinds and states the words of the API.
CREATE TABLE users (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE tokens (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) WITHOUT ROWID;
CREATE INDEX tokens_by_user ON tokens (user_id);

CREATE TABLE rooms (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    created_by BLOB NOT NULL
);

-- `number` counts the messages of all rooms in the order of their commits: it is the message's place in the outbox.
CREATE TABLE messages (
    number INTEGER PRIMARY KEY,
    room INTEGER NOT NULL REFERENCES rooms (number),
    seq INTEGER NOT NULL,
    id BLOB NOT NULL,
    text TEXT NOT NULL,
    author_kind TEXT NOT NULL,
    author_id TEXT NOT NULL,
    author_name TEXT NOT NULL,
    origin TEXT NOT NULL,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    reply_to BLOB,
    cause_id BLOB,
    cause_depth INTEGER NOT NULL,
    key TEXT,
    -- What scanners found, as JSON: [[plugin, finding], ...]; NULL where they found nothing.
    findings TEXT
);
CREATE UNIQUE INDEX messages_by_seq ON messages (room, seq);
-- Identifiers grow with time, so that this one, too, grows at its end.
CREATE UNIQUE INDEX messages_by_id ON messages (id);
CREATE UNIQUE INDEX messages_by_key ON messages (key, room, author_kind, author_id) WHERE key IS NOT NULL;

-- One row: plugins were told of every message up to and with this number. The outbox is the messages after it, so a
-- message costs no second row and its deletion no write.
CREATE TABLE outbox (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    finished INTEGER NOT NULL
);
INSERT INTO outbox (one, finished) VALUES (1, 0);

CREATE TABLE plugins (
    name TEXT PRIMARY KEY NOT NULL,
    record TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE plugin_storage (
    plugin TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (plugin, key)
);
