-- Public rooms are everybody's; private ones and direct ones are their members'.
ALTER TABLE rooms ADD COLUMN kind TEXT NOT NULL DEFAULT 'public';
ALTER TABLE rooms ADD COLUMN topic TEXT NOT NULL DEFAULT '';
-- JSON: `RoomPolicy`.
ALTER TABLE rooms ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';
ALTER TABLE rooms ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE rooms ADD COLUMN deleted_at INTEGER;

CREATE TABLE members (
    room INTEGER NOT NULL REFERENCES rooms (number),
    user_id BLOB NOT NULL CHECK (length(user_id) = 16),
    role TEXT NOT NULL,
    joined_at INTEGER NOT NULL,
    PRIMARY KEY (room, user_id)
) WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id);

CREATE TABLE read_markers (
    user_id BLOB NOT NULL CHECK (length(user_id) = 16),
    room INTEGER NOT NULL REFERENCES rooms (number),
    seq INTEGER NOT NULL,
    PRIMARY KEY (user_id, room)
) WITHOUT ROWID;
