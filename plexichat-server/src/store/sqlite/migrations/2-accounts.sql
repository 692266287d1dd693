-- People sign in with a password, programs with a token.
-- `password` is a PHC string (argon2id); NULL where nobody can sign in with one.
ALTER TABLE users ADD COLUMN password TEXT;
ALTER TABLE users ADD COLUMN disabled_at INTEGER;
-- Names that differ in case only are one name.
CREATE INDEX users_by_lower_name ON users (lower(name));

-- What a browser holds. `hash` is SHA-256 of the cookie's secret, which is made anew now and then.
CREATE TABLE sessions (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    -- The secret before, which counts a short while still: requests that were under way have it.
    old_hash BLOB UNIQUE,
    old_until INTEGER,
    created_at INTEGER NOT NULL,
    rotated_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ip TEXT NOT NULL,
    user_agent TEXT
) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE invitations (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    role TEXT NOT NULL,
    created_by BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    uses_left INTEGER NOT NULL
) WITHOUT ROWID;
