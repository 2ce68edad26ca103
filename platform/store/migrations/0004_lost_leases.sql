-- A step that takes every worker down with it must not be leased for ever: leases lost one after another, and how far
-- the step had got (its highest reported position) when they were.
ALTER TABLE run_steps ADD COLUMN lost bigint NOT NULL DEFAULT 0;
ALTER TABLE run_steps ADD COLUMN furthest bigint NOT NULL DEFAULT -1;
