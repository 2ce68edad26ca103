-- A deployment moves the alias production once, when it first finishes; a way back moves it only where the deployment
-- that it undoes had done so. Agents that a newer deployment took stay on record.
ALTER TABLE deployments ADD COLUMN moves_production boolean NOT NULL DEFAULT true;
UPDATE deployments SET moves_production = false
  WHERE id IN (SELECT deployment_id FROM deployment_events WHERE what = 'finished');

ALTER TABLE deployment_agents DROP CONSTRAINT deployment_agents_progress_check;
ALTER TABLE deployment_agents ADD CONSTRAINT deployment_agents_progress_check
  CHECK (progress IN ('waiting', 'offered', 'committed', 'failed', 'superseded'));

-- What an agent had to say beside its updates: a courier bundle that it refused.
ALTER TABLE agents ADD COLUMN notice text NOT NULL DEFAULT '';
ALTER TABLE agents ADD COLUMN notice_at timestamptz;

-- Feedback whose prediction the server does not know (yet): kept until the prediction comes.
CREATE TABLE unmatched_feedback (
  project_id    text NOT NULL DEFAULT 'default',
  prediction_id uuid NOT NULL,
  key           text NOT NULL,
  agent         text NOT NULL,
  body          jsonb NOT NULL,
  received_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, prediction_id, key)
);
