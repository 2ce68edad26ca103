-- Workflows, runs, their steps, and the journal. A run's row is locked by whoever changes anything of the run, so that
-- journal lines of one run get rising ids in the order of what happened.
CREATE TABLE workflows (
  project_id   text NOT NULL DEFAULT 'default',
  name         text NOT NULL,
  content_hash text NOT NULL,
  text         text NOT NULL,
  saved_by     text NOT NULL,
  saved_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, name, content_hash)
);

CREATE TABLE runs (
  id            uuid PRIMARY KEY,
  project_id    text NOT NULL DEFAULT 'default',
  workflow      text NOT NULL,
  workflow_hash text NOT NULL,
  inputs        jsonb NOT NULL,
  state         text NOT NULL CHECK (state IN ('running', 'cancelling', 'succeeded', 'failed', 'cancelled')),
  error         text NOT NULL DEFAULT '',
  started_by    text NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  finished_at   timestamptz
);
CREATE INDEX runs_by_project ON runs (project_id, id DESC);

CREATE TABLE run_steps (
  run_id        uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  name          text NOT NULL,
  place         integer NOT NULL,
  kind          text NOT NULL,
  definition    jsonb NOT NULL,
  state         text NOT NULL CHECK (state IN ('pending', 'ready', 'running', 'waiting_approval', 'succeeded', 'skipped', 'failed', 'cancelled')),
  attempt       bigint NOT NULL DEFAULT 0,
  fence         bigint NOT NULL DEFAULT 0,
  worker        text NOT NULL DEFAULT '',
  lease_expires timestamptz,
  not_before    timestamptz NOT NULL DEFAULT now(),
  outputs       jsonb NOT NULL DEFAULT '{}',
  progress      jsonb,
  error         text NOT NULL DEFAULT '',
  started_at    timestamptz,
  finished_at   timestamptz,
  PRIMARY KEY (run_id, name)
);
CREATE INDEX run_steps_to_do ON run_steps (state, not_before) WHERE state IN ('ready', 'running');

CREATE TABLE run_events (
  id     bigserial PRIMARY KEY,
  run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  step   text NOT NULL DEFAULT '',
  what   text NOT NULL,
  data   jsonb NOT NULL DEFAULT '{}',
  at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX run_events_by_run ON run_events (run_id, id);

CREATE TABLE run_metrics (
  run_id   uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  step     text NOT NULL,
  name     text NOT NULL,
  position bigint NOT NULL,
  value    double precision NOT NULL,
  PRIMARY KEY (run_id, step, name, position)
);

CREATE TABLE run_log (
  id      bigserial PRIMARY KEY,
  run_id  uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  step    text NOT NULL,
  attempt bigint NOT NULL,
  line    text NOT NULL,
  at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX run_log_by_run ON run_log (run_id, step, id);
