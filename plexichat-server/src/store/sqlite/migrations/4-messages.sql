ALTER TABLE messages ADD COLUMN edited_at INTEGER;
-- JSON: what the API shows of each attachment and reaction; NULL where there is none.
ALTER TABLE messages ADD COLUMN attachments TEXT;
ALTER TABLE messages ADD COLUMN reactions TEXT;
-- Where an edit is held back: SHA-256 of the text that was shown before it.
ALTER TABLE messages ADD COLUMN held_hash TEXT;
CREATE INDEX messages_held ON messages (number) WHERE state = 'quarantined';

CREATE TABLE reactions (
    message INTEGER NOT NULL REFERENCES messages (number) ON DELETE CASCADE,
    emoji TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (message, emoji, actor_kind, actor_id)
) WITHOUT ROWID;

-- What happened beside new messages: edits, deletions, reactions, releases, and every other stored event. A change takes
-- its number from the same count as messages do, so that the outbox tells both in one order.
CREATE TABLE changes (
    number INTEGER PRIMARY KEY,
    room INTEGER,
    -- `event`: for plugins alone. `updated`, `deleted`, `reaction`, `released`: clients of the room are told, too. What they
    -- are shown is read from the message, so that no text is kept twice.
    kind TEXT NOT NULL,
    -- The number of the message that changed.
    message INTEGER,
    -- JSON: the event that plugins are told; NULL where there is none (`released`: the message is told as a new one).
    event TEXT,
    created_at INTEGER NOT NULL
);
CREATE INDEX changes_by_room ON changes (room, number) WHERE kind <> 'event';
CREATE INDEX changes_by_message ON changes (message) WHERE message IS NOT NULL;
-- Of the changes up to this number some are not kept any more.
ALTER TABLE outbox ADD COLUMN changes_gone INTEGER NOT NULL DEFAULT 0;

CREATE TABLE scheduled (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    room INTEGER NOT NULL REFERENCES rooms (number),
    user_id BLOB NOT NULL CHECK (length(user_id) = 16),
    text TEXT NOT NULL,
    reply_to BLOB,
    attachments TEXT,
    due_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- `waiting`, or `failed` with the code and the words of why.
    state TEXT NOT NULL,
    error TEXT
) WITHOUT ROWID;
CREATE INDEX scheduled_by_time ON scheduled (state, due_at);
CREATE INDEX scheduled_by_user ON scheduled (user_id, state);

-- Which names a message mentions, for counts of what one has not read.
CREATE TABLE mentions (
    name TEXT NOT NULL,
    room INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (name, room, seq)
) WITHOUT ROWID;
CREATE INDEX mentions_by_message ON mentions (room, seq);

-- Words of messages by their number. Filled behind the writer's back, up to `search.indexed`, so that it delays no message.
CREATE VIRTUAL TABLE message_search USING fts5 (
    text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
-- What retention takes is found no more.
CREATE TRIGGER messages_gone AFTER DELETE ON messages BEGIN
    DELETE FROM message_search WHERE rowid = old.number;
    DELETE FROM mentions WHERE room = old.room AND seq = old.seq;
END;
CREATE TABLE search (one INTEGER PRIMARY KEY CHECK (one = 1), indexed INTEGER NOT NULL);
INSERT INTO search (one, indexed) VALUES (1, 0);
