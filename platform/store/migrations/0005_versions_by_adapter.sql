-- A step that is run again may have trained another adapter: that is another version, never the old one's bytes.
DROP INDEX model_versions_by_run;
CREATE UNIQUE INDEX model_versions_by_run ON model_versions (project_id, run_id, step, adapter_digest) WHERE run_id <> '';
