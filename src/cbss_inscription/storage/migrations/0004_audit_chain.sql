-- The chain over the audit journal (SEC-72): made in the background, a second after the records, by one process at a time.

-- The records in the order in which they were chained. chain_hash covers everything up to its record.
CREATE TABLE audit_link (
    sequence_number bigint      PRIMARY KEY CHECK (sequence_number >= 1),
    received_at     timestamptz NOT NULL,
    ticket_cbss     uuid        NOT NULL,
    record_hash     bytea       NOT NULL CHECK (octet_length(record_hash) = 32),
    chain_hash      bytea       NOT NULL CHECK (octet_length(chain_hash) = 32)
);
CREATE INDEX audit_link_received_at ON audit_link (received_at);

CREATE TRIGGER audit_link_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_link
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Where the chain stands: its last link, and the highest record_number that was looked at. Whoever has this row locked
-- is the one that chains.
CREATE TABLE audit_chain (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    sequence_number bigint  NOT NULL,
    chain_hash      bytea   NOT NULL,
    record_number   bigint  NOT NULL
);
INSERT INTO audit_chain (sequence_number, chain_hash, record_number)
VALUES (0, sha256(convert_to('cbss-inscription audit chain', 'UTF8')), 0);

-- Numbers below the highest that were not there when it was: of a transaction that commits later, or never.
CREATE TABLE audit_gap (
    record_number bigint      PRIMARY KEY,
    noticed_at    timestamptz NOT NULL
);

-- How many records were chained now: at most `record_count_max`, in the order of their numbers; none while another
-- process chains. A missing number is looked for again for as long as `gap_seconds_max`. The hashes are those of
-- governance/journal.py and governance/chain.py.
CREATE FUNCTION link_audit_records(record_count_max integer, gap_seconds_max integer) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    chain  audit_chain;
    record audit_record;
    hash   bytea;
    highest bigint;
    -- What this run saw: a later statement sees more, and what it sees first must not count as chained.
    seen   bigint[] := '{}';
BEGIN
    SELECT * INTO chain FROM audit_chain FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    highest := chain.record_number;
    FOR record IN
        (SELECT late.* FROM audit_gap JOIN audit_record AS late USING (record_number))
        UNION ALL
        (SELECT * FROM audit_record
         WHERE record_number > chain.record_number
         ORDER BY record_number LIMIT record_count_max)
        ORDER BY record_number
    LOOP
        hash := sha256('\x636273732d696e736372697074696f6e206175646974207265636f726400'::bytea
                       || convert_to(record.content, 'UTF8'));
        chain.sequence_number := chain.sequence_number + 1;
        chain.chain_hash := sha256(chain.chain_hash || int8send(chain.sequence_number) || hash);
        INSERT INTO audit_link (sequence_number, received_at, ticket_cbss, record_hash, chain_hash)
        VALUES (chain.sequence_number, record.received_at, record.ticket_cbss, hash, chain.chain_hash);
        highest := greatest(highest, record.record_number);
        seen := seen || record.record_number;
    END LOOP;
    DELETE FROM audit_gap
    WHERE record_number = ANY (seen) OR noticed_at < clock_timestamp() - make_interval(secs => gap_seconds_max);
    INSERT INTO audit_gap (record_number, noticed_at)
    SELECT number, clock_timestamp()
    FROM (SELECT generate_series(chain.record_number + 1, highest) EXCEPT SELECT unnest(seen)) AS missing (number);
    UPDATE audit_chain
    SET sequence_number = chain.sequence_number, chain_hash = chain.chain_hash, record_number = highest;
    RETURN cardinality(seen);
END $$;
