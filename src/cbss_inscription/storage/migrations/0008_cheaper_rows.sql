-- What each row of a batch costs: records are numbered by the table itself, and the times of a set of lines are counted without
-- a call of period_count where it has one line or none, and records are chained without a statement for each.
ALTER TABLE audit_record ALTER COLUMN record_number SET DEFAULT nextval('audit_record_number');

ALTER TABLE inscription
    DROP CONSTRAINT inscription_check,
    ADD CONSTRAINT inscription_check CHECK (
        CASE cardinality(last_changes)
            WHEN 0 THEN isempty(periods)
            WHEN 1 THEN NOT isempty(periods) AND periods = multirange(range_merge(periods))
            ELSE cardinality(last_changes) = period_count(periods) END
    );

CREATE OR REPLACE FUNCTION link_audit_records(record_count_max integer, gap_seconds_max integer) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    chain    audit_chain;
    record   record;
    number   bigint;
    former   bytea;
    -- What this run saw: a later statement sees more, and what it sees first must not count as chained.
    seen     bigint[] := '{}';
    received timestamptz[] := '{}';
    tickets  uuid[] := '{}';
    hashes   bytea[] := '{}';
    chained  bytea[] := '{}';
BEGIN
    SELECT * INTO chain FROM audit_chain FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    number := chain.sequence_number;
    former := chain.chain_hash;
    -- A loop does what follows from the link before, and nothing else: a statement for each record costs ten times as much.
    FOR record IN
        SELECT *
        FROM (
            SELECT record_number, received_at, ticket_cbss,
                   sha256('\x636273732d696e736372697074696f6e206175646974207265636f726400'::bytea
                          || convert_to(content, 'UTF8')) AS hash
            FROM (
                (SELECT late.* FROM audit_gap JOIN audit_record AS late USING (record_number))
                UNION ALL
                (SELECT * FROM audit_record
                 WHERE record_number > chain.record_number
                 ORDER BY record_number LIMIT record_count_max)
            ) AS found
            OFFSET 0  -- hashes are sorted then, not contents
        ) AS hashed
        ORDER BY record_number
    LOOP
        number := number + 1;
        former := sha256(former || int8send(number) || record.hash);
        seen := seen || record.record_number;
        received := received || record.received_at;
        tickets := tickets || record.ticket_cbss;
        hashes := hashes || record.hash;
        chained := chained || former;
    END LOOP;
    IF cardinality(seen) > 0 THEN
        INSERT INTO audit_link (sequence_number, received_at, ticket_cbss, record_hash, chain_hash)
        SELECT chain.sequence_number + place, received_at, ticket_cbss, record_hash, chain_hash
        FROM unnest(received, tickets, hashes, chained) WITH ORDINALITY
             AS link (received_at, ticket_cbss, record_hash, chain_hash, place);
    END IF;
    DELETE FROM audit_gap
    WHERE record_number = ANY (seen) OR noticed_at < clock_timestamp() - make_interval(secs => gap_seconds_max);
    INSERT INTO audit_gap (record_number, noticed_at)
    SELECT missing.number, clock_timestamp()
    FROM (SELECT generate_series(chain.record_number + 1, seen[cardinality(seen)]) EXCEPT SELECT unnest(seen))
         AS missing (number);
    UPDATE audit_chain
    SET sequence_number = number, chain_hash = former,
        record_number = greatest(chain.record_number, seen[cardinality(seen)]),
        looked_at = clock_timestamp();
    RETURN cardinality(seen);
END $$;
