-- Triggers of workflows: those that a plugin's code registers (`fixed`) and those that were made at run time. `spec` is the whole of
-- it as JSON. `next_at` is when it is due, where it waits for a time.
CREATE TABLE triggers (
    plugin TEXT NOT NULL,
    id TEXT NOT NULL,
    spec TEXT NOT NULL,
    fixed INTEGER NOT NULL,
    since INTEGER NOT NULL,
    next_at INTEGER,
    secret TEXT,
    PRIMARY KEY (plugin, id)
) WITHOUT ROWID;
CREATE INDEX triggers_by_time ON triggers (next_at, plugin) WHERE next_at IS NOT NULL;

-- Runs of workflows. `due_at` is when an attempt may begin (queued, waiting) or its lease ends (running); nothing for what has ended
-- or waits to be woken. `fence` goes up with every attempt that is begun: what an older one says does not count. `signals` is what
-- woke it, the oldest first, as a JSON array; `signal_taken` says that the attempt which runs was given the first of them.
CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    plugin TEXT NOT NULL,
    trigger TEXT NOT NULL,
    workflow TEXT NOT NULL,
    spec TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    waits INTEGER NOT NULL DEFAULT 0,
    scheduled_at INTEGER NOT NULL,
    due_at INTEGER,
    fence INTEGER NOT NULL DEFAULT 0,
    goes_on INTEGER NOT NULL DEFAULT 0,
    cause TEXT NOT NULL,
    input TEXT NOT NULL,
    kept TEXT,
    signals TEXT,
    signal_taken INTEGER NOT NULL DEFAULT 0,
    output TEXT,
    error TEXT,
    key TEXT NOT NULL,
    duplicate_of TEXT,
    node TEXT,
    dry_run INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    busy_ms INTEGER NOT NULL DEFAULT 0,
    UNIQUE (plugin, key)
);
-- What is claimed and waited for: it has all that is asked of a row before it is taken, and nothing of what has ended.
CREATE INDEX runs_by_due ON runs (due_at, number, plugin, trigger, node) WHERE due_at IS NOT NULL;
CREATE INDEX runs_due_by_trigger ON runs (plugin, trigger, due_at, number, node) WHERE due_at IS NOT NULL;
CREATE INDEX runs_running ON runs (plugin, trigger, due_at) WHERE state = 'running';
CREATE INDEX runs_open ON runs (plugin, trigger, number) WHERE ended_at IS NULL;
CREATE INDEX runs_duplicates ON runs (plugin, trigger, duplicate_of) WHERE duplicate_of IS NOT NULL AND ended_at IS NULL;
-- What is looked at and counted.
CREATE INDEX runs_by_state ON runs (state, id);
CREATE INDEX runs_by_plugin ON runs (plugin, id);
CREATE INDEX runs_by_trigger ON runs (plugin, trigger, state);
CREATE INDEX runs_ended ON runs (ended_at, state) WHERE ended_at IS NOT NULL;

-- What a run did, for whoever looks at it later.
CREATE TABLE run_steps (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX run_steps_by_run ON run_steps (run, number);
