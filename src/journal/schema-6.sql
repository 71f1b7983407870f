-- What was said of something when it was last said: for who is to hear only what is new.
CREATE TABLE said (
    about TEXT PRIMARY KEY,         -- the verb, the registry's file, and what was chosen
    what TEXT NOT NULL,             -- one line for each thing; empty: all was well
    at INTEGER NOT NULL             -- milliseconds since 1970
) STRICT, WITHOUT ROWID;
