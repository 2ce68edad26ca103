-- An idempotency key stands for one request: the hash of its records tells a repetition from another request under the
-- same key. Rows from before hold none and fit every request. Old keys are removed by their age.
ALTER TABLE idempotency_keys ADD COLUMN request_hash text NOT NULL DEFAULT '';
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
