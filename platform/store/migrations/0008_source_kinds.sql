-- Who may write a source's records: its connector or who pushes to it, or agents with what really happened. Until now a
-- pushed source was the agents' own by its name.
ALTER TABLE sources ADD COLUMN kind text NOT NULL DEFAULT 'records' CHECK (kind IN ('records', 'feedback'));
UPDATE sources SET kind = 'feedback' WHERE name LIKE 'feedback-%' AND connector = 'rest_push';
