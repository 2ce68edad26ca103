-- A rollout that has failed where nothing stood before it ends as failed: no person is waited for.
ALTER TABLE deployments DROP CONSTRAINT deployments_state_check;
ALTER TABLE deployments ADD CONSTRAINT deployments_state_check
  CHECK (state IN ('running', 'paused', 'finished', 'rolled_back', 'superseded', 'failed'));
