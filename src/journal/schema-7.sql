-- What news is judged by: the looks that saw the trouble, and what somebody is still to be told of it.
ALTER TABLE trouble ADD COLUMN looks TEXT NOT NULL DEFAULT '[]';    -- JSON: their names; empty: not known
ALTER TABLE trouble ADD COLUMN owed TEXT NOT NULL DEFAULT '{}';     -- JSON: what each kind of news says, by kind and whom
