-- Projects, sources and their records, datasets, models, tokens and the audit log.
-- Every table carries the project; one project, `default`, exists from the start.
CREATE TABLE projects (
  id text PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO projects (id) VALUES ('default');

CREATE TABLE sources (
  project_id text NOT NULL REFERENCES projects (id),
  name text NOT NULL,
  connector text NOT NULL,
  settings jsonb NOT NULL DEFAULT '{}',
  profile text NOT NULL DEFAULT '',
  schedule text NOT NULL DEFAULT '',
  owner text NOT NULL DEFAULT '',
  location text NOT NULL DEFAULT '',
  state text NOT NULL DEFAULT 'stopped',
  cursor jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, name)
);

-- `position` is the order of arrival; (source, key) is what makes an observation one observation.
CREATE TABLE records (
  position bigint GENERATED ALWAYS AS IDENTITY,
  project_id text NOT NULL,
  source text NOT NULL,
  key text NOT NULL,
  event_time timestamptz,
  received_at timestamptz NOT NULL DEFAULT now(),
  fields jsonb NOT NULL,
  signals jsonb,
  usable boolean NOT NULL DEFAULT true,
  PRIMARY KEY (project_id, source, key),
  FOREIGN KEY (project_id, source) REFERENCES sources (project_id, name)
);
CREATE INDEX records_by_time ON records (project_id, source, event_time, key);
CREATE INDEX records_by_position ON records (project_id, source, position);

CREATE TABLE gaps (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id text NOT NULL,
  source text NOT NULL,
  began_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  reason text NOT NULL,
  FOREIGN KEY (project_id, source) REFERENCES sources (project_id, name)
);

-- The answer of a request that carried an Idempotency-Key, written in the transaction that did the work.
CREATE TABLE idempotency_keys (
  project_id text NOT NULL REFERENCES projects (id),
  scope text NOT NULL,
  key text NOT NULL,
  answer jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, scope, key)
);

CREATE TABLE datasets (
  project_id text NOT NULL REFERENCES projects (id),
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, name)
);
CREATE TABLE dataset_versions (
  id uuid PRIMARY KEY,
  project_id text NOT NULL,
  dataset text NOT NULL,
  number int NOT NULL,
  content_hash text NOT NULL,
  blob text NOT NULL,
  counts jsonb NOT NULL,
  schema jsonb NOT NULL,
  statistics jsonb NOT NULL,
  report jsonb NOT NULL,
  lineage jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project_id, dataset, number),
  UNIQUE (project_id, dataset, content_hash),
  FOREIGN KEY (project_id, dataset) REFERENCES datasets (project_id, name)
);

CREATE TABLE models (
  project_id text NOT NULL REFERENCES projects (id),
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, name)
);
CREATE TABLE model_versions (
  id uuid PRIMARY KEY,
  project_id text NOT NULL,
  model text NOT NULL,
  number int NOT NULL,
  base text NOT NULL,
  base_digest text NOT NULL,
  adapter_blob text NOT NULL,
  adapter_digest text NOT NULL,
  run_id text NOT NULL DEFAULT '',
  step text NOT NULL DEFAULT '',
  dataset_version text NOT NULL DEFAULT '',
  evaluation jsonb NOT NULL DEFAULT '{}',
  gate jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project_id, model, number),
  FOREIGN KEY (project_id, model) REFERENCES models (project_id, name)
);
-- The same step of the same run registers once.
CREATE UNIQUE INDEX model_versions_by_run ON model_versions (project_id, run_id, step) WHERE run_id <> '';
CREATE TABLE aliases (
  project_id text NOT NULL,
  model text NOT NULL,
  alias text NOT NULL,
  number int NOT NULL,
  PRIMARY KEY (project_id, model, alias),
  FOREIGN KEY (project_id, model, number) REFERENCES model_versions (project_id, model, number)
);
CREATE TABLE alias_history (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id text NOT NULL,
  model text NOT NULL,
  alias text NOT NULL,
  number int,
  previous int,
  actor text NOT NULL,
  reason text NOT NULL,
  moved_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX alias_history_by_time ON alias_history (project_id, model, alias, moved_at);

-- A token itself is never stored, only its hash.
CREATE TABLE tokens (
  hash text PRIMARY KEY,
  project_id text NOT NULL REFERENCES projects (id),
  name text NOT NULL,
  role text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  UNIQUE (project_id, name)
);

-- A hash chain: each line's hash covers the one before it.
CREATE TABLE audit (
  id bigint PRIMARY KEY,
  project_id text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  actor text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL,
  details jsonb NOT NULL,
  hash text NOT NULL
);
