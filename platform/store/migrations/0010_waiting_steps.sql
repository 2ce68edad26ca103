-- A step that waits for the world outside, such as a rollout, is ready or runs by turns: it looks and leaves again.
ALTER TABLE run_steps ADD COLUMN waits boolean NOT NULL DEFAULT false;
