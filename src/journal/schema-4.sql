CREATE TABLE trouble (
    registry TEXT NOT NULL,         -- the registry's file
    host TEXT NOT NULL,
    service TEXT NOT NULL,          -- empty: the host's own
    problem TEXT NOT NULL,          -- as in remedy
    because TEXT NOT NULL,          -- one sentence
    since INTEGER NOT NULL,
    healed INTEGER,                 -- NULL: it is still so
    gave_up INTEGER NOT NULL,       -- 1: that nothing helped was noticed
    told TEXT NOT NULL,             -- JSON: when each kind of news of it was told last
    PRIMARY KEY (registry, host, service, problem)
) STRICT, WITHOUT ROWID;
