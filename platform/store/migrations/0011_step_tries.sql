-- A step's timeout counts from the first lease of its attempt, however many workers carry it on.
ALTER TABLE run_steps ADD COLUMN tried_at timestamptz;
UPDATE run_steps SET tried_at = started_at;
