-- What models were asked and what it cost: one row for each request to a provider. `outcome` is why the answer ended, or the
-- code of the failure. Kept for quotas and for `GET /api/v1/ai/usage`; no text is here.
CREATE TABLE ai_usage (
    number INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    time INTEGER NOT NULL,
    model TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    room BLOB CHECK (length(room) = 16),
    origin TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    latency_ms INTEGER NOT NULL,
    first_delta_ms INTEGER
);
CREATE INDEX ai_usage_by_actor ON ai_usage (actor_kind, actor_id, time);
CREATE INDEX ai_usage_by_room ON ai_usage (room, time) WHERE room IS NOT NULL;
CREATE INDEX ai_usage_by_time ON ai_usage (time);

-- Leave to call tools: what a person was asked, and how it stands. What was given stays for as long as it is remembered; `request`
-- is the whole of it as JSON, of which the state and its time are told by these columns.
CREATE TABLE ai_approvals (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    person_kind TEXT NOT NULL,
    person_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    decided_at INTEGER,
    request TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX ai_approvals_by_person ON ai_approvals (person_kind, person_id, state, tool, created_at);
CREATE INDEX ai_approvals_by_time ON ai_approvals (created_at);

-- Questions to assistants that are not answered yet: asked again at the next start, `tries` times so far. `answer` is the whole of
-- an answer of several messages as JSON, from when the model ended it until all of them are stored.
CREATE TABLE ai_questions (
    message BLOB PRIMARY KEY CHECK (length(message) = 16),
    since INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    answer TEXT
) WITHOUT ROWID;

-- How long scanners looked at a file, in milliseconds: the slowest of them. NULL where none had a word to say.
ALTER TABLE files ADD COLUMN scan_ms INTEGER;
