-- Times are milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE run (
    id TEXT PRIMARY KEY,
    verb TEXT NOT NULL,
    who TEXT NOT NULL,
    registry TEXT,
    environment TEXT,
    request TEXT NOT NULL,          -- JSON: what was asked
    started INTEGER NOT NULL,
    ended INTEGER,                  -- NULL: still running, or lost
    code INTEGER                    -- the exit code
) STRICT, WITHOUT ROWID;
CREATE INDEX run_by_start ON run (started);

CREATE TABLE outcome (
    run TEXT NOT NULL REFERENCES run (id),
    service TEXT NOT NULL,
    host TEXT NOT NULL,
    before TEXT,                    -- the release that was there
    after TEXT,                     -- the release that is there
    outcome TEXT,                   -- NULL: begun, and the end was not seen
    began INTEGER NOT NULL,
    ended INTEGER,
    error TEXT,
    PRIMARY KEY (run, service, host)
) STRICT, WITHOUT ROWID;
CREATE INDEX outcome_by_service ON outcome (service, began);
CREATE INDEX outcome_by_time ON outcome (began);

CREATE TABLE event (
    run TEXT NOT NULL REFERENCES run (id),
    number INTEGER NOT NULL,        -- counts from 1 in each run
    at INTEGER NOT NULL,
    line TEXT NOT NULL,             -- the event as JSON
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE release (
    service TEXT NOT NULL,
    id TEXT NOT NULL,
    first_run TEXT NOT NULL,
    at INTEGER NOT NULL,
    record TEXT NOT NULL,           -- JSON: the record as it lies on the host
    PRIMARY KEY (service, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX release_by_id ON release (id);
