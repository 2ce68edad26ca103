-- A workflow that was removed keeps its texts, since runs were started from them; its name stands for nothing any more.
ALTER TABLE workflows ADD COLUMN removed_at timestamptz;
