-- Deployments, the agents they are for, their reports, and the answers agents gave.
CREATE SEQUENCE deployment_numbers;
CREATE SEQUENCE timestamp_versions;

CREATE TABLE agents (
  project_id      text NOT NULL DEFAULT 'default',
  name            text NOT NULL,
  labels          jsonb NOT NULL DEFAULT '{}',
  program_version text NOT NULL DEFAULT '',
  model           text NOT NULL DEFAULT '',
  model_version   text NOT NULL DEFAULT '',
  adapter_digest  text NOT NULL DEFAULT '',
  registered_at   timestamptz NOT NULL DEFAULT now(),
  last_seen       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, name)
);

CREATE TABLE deployments (
  id                 uuid PRIMARY KEY,
  project_id         text NOT NULL DEFAULT 'default',
  number             bigint NOT NULL UNIQUE,
  model              text NOT NULL,
  model_version      text NOT NULL,
  adapter_digest     text NOT NULL,
  base_digest        text NOT NULL,
  selector           text NOT NULL,
  waves              jsonb NOT NULL,
  soak_seconds       bigint NOT NULL,
  failure_threshold  double precision NOT NULL,
  automatic_rollback boolean NOT NULL,
  state              text NOT NULL CHECK (state IN ('running', 'paused', 'finished', 'rolled_back', 'superseded')),
  reason             text NOT NULL DEFAULT '',
  targets            text NOT NULL,
  created_by         text NOT NULL,
  created_at         timestamptz NOT NULL,
  undoes             uuid REFERENCES deployments (id)
);
CREATE INDEX deployments_by_project ON deployments (project_id, number DESC);

CREATE TABLE deployment_agents (
  deployment_id uuid NOT NULL REFERENCES deployments (id),
  agent         text NOT NULL,
  wave          bigint NOT NULL,
  progress      text NOT NULL DEFAULT 'waiting' CHECK (progress IN ('waiting', 'offered', 'committed', 'failed')),
  state         text NOT NULL DEFAULT '',
  reason        text NOT NULL DEFAULT '',
  attempts      bigint NOT NULL DEFAULT 0,
  updated_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (deployment_id, agent)
);
CREATE INDEX deployment_agents_by_agent ON deployment_agents (agent, progress);

-- A report counts once, however often it is sent.
CREATE TABLE deployment_reports (
  deployment_id uuid NOT NULL REFERENCES deployments (id),
  key           text NOT NULL,
  PRIMARY KEY (deployment_id, key)
);

CREATE TABLE deployment_events (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  deployment_id uuid NOT NULL REFERENCES deployments (id),
  at            timestamptz NOT NULL DEFAULT now(),
  actor         text NOT NULL,
  what          text NOT NULL,
  detail        text NOT NULL DEFAULT ''
);
CREATE INDEX deployment_events_by_deployment ON deployment_events (deployment_id, id);

CREATE TABLE predictions (
  project_id     text NOT NULL DEFAULT 'default',
  id             uuid NOT NULL,
  agent          text NOT NULL,
  model          text NOT NULL,
  model_version  text NOT NULL,
  adapter_digest text NOT NULL,
  at             timestamptz NOT NULL,
  fields         jsonb NOT NULL,
  answer         jsonb NOT NULL,
  target         text NOT NULL DEFAULT '',
  PRIMARY KEY (project_id, id)
);
CREATE INDEX predictions_by_model ON predictions (project_id, model, at);
