-- The bytes are in the data directory, under the identifier; never under the name that the sender gave.
CREATE TABLE files (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    room INTEGER NOT NULL REFERENCES rooms (number),
    user_id BLOB NOT NULL CHECK (length(user_id) = 16),
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    mime_declared TEXT NOT NULL,
    mime_sniffed TEXT NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    -- `clean`, `unscanned`, `pending`, `quarantined`; `deleted` until the bytes are gone too.
    state TEXT NOT NULL,
    -- What scanners found, as JSON: [[plugin, finding], ...]; NULL where they found nothing.
    findings TEXT,
    created_at INTEGER NOT NULL,
    -- When it is removed; NULL where it stays: it hangs on a message, or waits for a scanner.
    expires_at INTEGER,
    -- The number of the message that it hangs on.
    message INTEGER
) WITHOUT ROWID;
CREATE INDEX files_by_user ON files (user_id, size);
CREATE INDEX files_by_state ON files (state, id);
CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX files_by_message ON files (message) WHERE message IS NOT NULL;
