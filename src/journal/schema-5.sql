-- The hosts that are out of service, as this machine last heard: for when they cannot be asked.
CREATE TABLE cordon (
    registry TEXT NOT NULL,         -- the registry's file
    environment TEXT NOT NULL,      -- empty: none
    host TEXT NOT NULL,
    why TEXT NOT NULL,              -- by whom, since when and why, in one line
    kept INTEGER NOT NULL,          -- 1: the host itself was seen to keep it; 0: it could not be told yet
    PRIMARY KEY (registry, environment, host)
) STRICT, WITHOUT ROWID;
