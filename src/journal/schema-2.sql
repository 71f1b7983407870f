ALTER TABLE run ADD COLUMN digest TEXT;     -- SHA-256 of the registry's file, in hexadecimal; NULL: not known
ALTER TABLE run ADD COLUMN resumes TEXT;    -- the run that this one goes on with
