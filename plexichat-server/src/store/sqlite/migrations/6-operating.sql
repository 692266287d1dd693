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

-- Where the chain begins, once old rows were removed, and where it ends: rows cut off at its end show by this.
CREATE TABLE audit_chain (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    base INTEGER NOT NULL,
    base_hash BLOB NOT NULL CHECK (length(base_hash) = 32),
    head INTEGER NOT NULL,
    head_hash BLOB NOT NULL CHECK (length(head_hash) = 32)
);
INSERT INTO audit_chain (one, base, base_hash, head, head_hash) VALUES (1, 0, zeroblob(32), 0, zeroblob(32));
