-- The chain over the audit journal (SEC-72): made in the background, a second after the records, by one process at a time.

-- The records in the order in which they were chained. chain_hash covers everything up to its record.
CREATE TABLE audit_link (
    sequence_number bigint      PRIMARY KEY CHECK (sequence_number >= 1),
    received_at     timestamptz NOT NULL,
    ticket_cbss     uuid        NOT NULL,
    linked_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    record_hash     bytea       NOT NULL CHECK (octet_length(record_hash) = 32),
    chain_hash      bytea       NOT NULL CHECK (octet_length(chain_hash) = 32)
);
CREATE INDEX audit_link_received_at ON audit_link (received_at);

CREATE TRIGGER audit_link_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_link
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Where the chain stands: its last link, the highest record_number that was looked at, and when somebody looked last.
-- Whoever has this row locked is the one that chains. Every change of a line before recovered_until has its record.
CREATE TABLE audit_chain (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    sequence_number bigint  NOT NULL,
    chain_hash      bytea   NOT NULL,
    record_number   bigint  NOT NULL,
    looked_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    recovered_until timestamptz NOT NULL DEFAULT clock_timestamp()
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
    SET sequence_number = chain.sequence_number, chain_hash = chain.chain_hash, record_number = highest,
        looked_at = clock_timestamp();
    RETURN cardinality(seen);
END $$;

-- What is said about the links since the former seal, and the time stamp on it (governance/chain.py); none when no
-- authority is named. Nobody else may seal the same links: two who try at once meet here.
CREATE TABLE audit_seal (
    last_sequence_number  bigint      PRIMARY KEY,
    first_sequence_number bigint      NOT NULL UNIQUE CHECK (first_sequence_number BETWEEN 1 AND last_sequence_number),
    sealed_at             timestamptz NOT NULL,
    statement             text        NOT NULL,
    token                 bytea
);

CREATE TRIGGER audit_seal_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Requests as they came, of the operations whose requests are kept (SEC-76), sealed like numbers. The chain holds their
-- digests only, in the records: they may go, and nothing else changes.
CREATE TABLE audit_evidence (
    ticket_cbss uuid        PRIMARY KEY,
    received_at timestamptz NOT NULL,
    key         text        NOT NULL,
    sealed      bytea       NOT NULL
);
CREATE INDEX audit_evidence_received_at ON audit_evidence (received_at);

-- A trigger of a partitioned table does not see what is said of its partitions by their own names.
CREATE TRIGGER audit_record_default_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_record_default
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_person_default_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_person_default
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Nothing; the journal has a partition for the month of `day`, in UTC, unless records of it came before the partition
-- did: they stay in the default one.
CREATE FUNCTION make_audit_month(day date) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    begins timestamptz := date_trunc('month', day::timestamp) AT TIME ZONE 'UTC';
    ends   timestamptz := (date_trunc('month', day::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    parent text;
    name   text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['audit_record', 'audit_person'] LOOP
        name := parent || '_' || to_char(day, 'YYYY_MM');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        -- Of the two tables, audit_person_default may lack what audit_record_default has, never the other way round.
        CONTINUE WHEN EXISTS (
            SELECT FROM audit_record_default WHERE received_at >= begins AND received_at < ends
        );
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name, parent, begins, ends);
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
            name || '_is_append_only', name
        );
    END LOOP;
END $$;

-- Months that stand in archive files now, each file chained to the former one by its digest. Every record of such a month
-- is in its file or an earlier one; links and seals stay here. Two months may share a file: one seal covers their end.
CREATE TABLE audit_archive (
    month                 date        PRIMARY KEY CHECK (extract(day FROM month) = 1),
    file_name             text        NOT NULL,
    first_sequence_number bigint      NOT NULL,
    last_sequence_number  bigint      NOT NULL CHECK (last_sequence_number >= first_sequence_number),
    digest                bytea       NOT NULL CHECK (octet_length(digest) = 32),
    archived_at           timestamptz NOT NULL
);

CREATE TRIGGER audit_archive_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_archive
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Archive files that were deleted when records need not be kept any longer.
CREATE TABLE audit_expired (
    file_name  text        PRIMARY KEY,
    expired_at timestamptz NOT NULL
);

-- What must be kept though its time is over (a legal hold): records about a person, of a time, or both. The number is
-- sealed under hold_id, so that it is found by keys that come later, too.
CREATE TABLE audit_hold (
    hold_number bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    hold_id     uuid        NOT NULL,
    person      text,
    since       timestamptz,
    until       timestamptz,
    reason      text        NOT NULL,
    operator    text        NOT NULL,
    placed_at   timestamptz NOT NULL,
    released_at timestamptz
);

-- Nothing; the month's own partitions are gone, with all that stands in them. Only for a month that is archived, and only
-- when each of its records is: nothing can come while this looks.
CREATE FUNCTION drop_audit_month(day date) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    suffix  text := to_char(day, '_YYYY_MM');
    archive audit_archive;
    is_left boolean;
BEGIN
    SELECT * INTO archive FROM audit_archive WHERE month = day;
    EXECUTE format('LOCK TABLE %I, %I IN ACCESS EXCLUSIVE MODE', 'audit_record' || suffix, 'audit_person' || suffix);
    EXECUTE format(
        'SELECT EXISTS (SELECT FROM %I AS record LEFT JOIN audit_link AS link USING (received_at, ticket_cbss)'
        ' WHERE link.sequence_number IS NULL OR link.sequence_number > $1)', 'audit_record' || suffix
    ) INTO is_left USING archive.last_sequence_number;
    IF archive IS NULL OR is_left THEN
        RAISE EXCEPTION 'not all records of the month % are archived', day;
    END IF;
    EXECUTE format('DROP TABLE %I', 'audit_record' || suffix);
    EXECUTE format('DROP TABLE %I', 'audit_person' || suffix);
END $$;

-- Changes by their time, of which there are few of the last minutes: for those whose call left no record.
CREATE INDEX inscription_history_changed_at ON inscription_history USING brin (changed_at);
