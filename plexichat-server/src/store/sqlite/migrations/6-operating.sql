-- Who did what. Each row's hash covers the row and the hash before it, so that a row that is changed or gone shows.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    ip TEXT,
    request_id TEXT,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
);
