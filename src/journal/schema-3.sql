CREATE TABLE remedy (
    number INTEGER PRIMARY KEY,     -- grows with time
    run TEXT NOT NULL REFERENCES run (id),
    service TEXT,                   -- NULL: the problem is the host's own
    host TEXT NOT NULL,
    problem TEXT NOT NULL,          -- the playbook's name, or the fingerprint of what is not known
    remedy TEXT NOT NULL,           -- the playbook's name, or the rung of the ladder
    began INTEGER NOT NULL,
    ended INTEGER,                  -- NULL: begun, and the end was not seen
    outcome TEXT,                   -- helped, no-help or failed; NULL as above
    evidence TEXT NOT NULL          -- JSON: what was seen before and after
) STRICT;
CREATE INDEX remedy_by_host ON remedy (host, began);
