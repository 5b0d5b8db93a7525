-- Lines of a batch whose source is away are left behind, and their lane goes on (storage/schema.sql). What waits at this moment is the
-- next chunk of its lane, and is left behind when it is tried the next time.
ALTER TABLE batch_lane ADD COLUMN waiting_block integer, ADD COLUMN retry_at timestamptz;
ALTER TABLE batch_chunk ADD COLUMN waiting bigint[];
