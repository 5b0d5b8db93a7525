-- The records of a batch's chunk are one row. What stands in audit_record stays there.

-- Between which tickets those of the same millisecond are (domain/ticket_cbss.py).
CREATE FUNCTION first_of_millisecond(ticket uuid) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (left(ticket::text, 13) || '-0000-0000-000000000000')::uuid;
CREATE FUNCTION last_of_millisecond(ticket uuid) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (left(ticket::text, 13) || '-ffff-ffff-ffffffffffff')::uuid;

-- The records of a batch's chunk, all of one time: what makes their texts is in arrays, in the order of the tickets, and a text
-- that many records share is there once (batch/records.py; the view audit_chunk_record puts them together). What finds a record
-- by its ticket is that all tickets of a chunk are of one millisecond. Nothing of it would become smaller by compression.
CREATE TABLE audit_chunk (
    received_at      timestamptz NOT NULL,
    first_ticket     uuid        NOT NULL,
    record_number    bigint      NOT NULL DEFAULT nextval('audit_record_number'),
    record_count     integer     NOT NULL CHECK (record_count >= 1),
    person_hashes    bytea[]     NOT NULL,
    forms            text[]      NOT NULL,
    tickets          uuid[]      NOT NULL,
    form_numbers     smallint[]  NOT NULL,
    customer_tickets text[]      NOT NULL,
    persons          bytea[]     NOT NULL,
    other_persons    text[],
    response_digests bytea[]     NOT NULL,
    evidence_digests bytea[],
    PRIMARY KEY (received_at, first_ticket),
    CONSTRAINT audit_chunk_tickets_check CHECK (
        tickets[1] = first_ticket AND tickets[record_count] <= last_of_millisecond(first_ticket)
    ),
    CONSTRAINT audit_chunk_arrays_check CHECK (
        record_count = ALL (ARRAY[
            cardinality(tickets), cardinality(form_numbers), cardinality(customer_tickets), cardinality(persons),
            coalesce(cardinality(other_persons), record_count), cardinality(response_digests),
            coalesce(cardinality(evidence_digests), record_count)
        ])
    )
) PARTITION BY RANGE (received_at);
ALTER TABLE audit_chunk
    ALTER COLUMN person_hashes SET STORAGE EXTERNAL,
    ALTER COLUMN forms SET STORAGE EXTERNAL,
    ALTER COLUMN tickets SET STORAGE EXTERNAL,
    ALTER COLUMN form_numbers SET STORAGE EXTERNAL,
    ALTER COLUMN customer_tickets SET STORAGE EXTERNAL,
    ALTER COLUMN persons SET STORAGE EXTERNAL,
    ALTER COLUMN other_persons SET STORAGE EXTERNAL,
    ALTER COLUMN response_digests SET STORAGE EXTERNAL,
    ALTER COLUMN evidence_digests SET STORAGE EXTERNAL;
CREATE INDEX audit_chunk_first_ticket ON audit_chunk (first_ticket);
CREATE INDEX audit_chunk_person_hashes ON audit_chunk USING gin (person_hashes);
CREATE INDEX audit_chunk_record_number ON audit_chunk (record_number);

CREATE TABLE audit_chunk_default PARTITION OF audit_chunk DEFAULT;
CREATE TRIGGER audit_chunk_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_chunk
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_chunk_default_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_chunk_default
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A month has all three of its partitions, or none.
DO $$
DECLARE
    month record;
BEGIN
    FOR month IN
        SELECT 'audit_chunk' || substr(relname, length('audit_record') + 1) AS name, pg_get_expr(relpartbound, oid) AS bound
        FROM pg_class
        WHERE oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_record'::regclass)
          AND oid <> 'audit_record_default'::regclass
    LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF audit_chunk %s', month.name, month.bound);
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
            month.name || '_is_append_only', month.name
        );
    END LOOP;
END $$;

-- The records of chunks, each with its place and the ticket that its chunk is found by. A form is the text that records share,
-- with U+001F, which no JSON text has, wherever something of their own stands.
CREATE VIEW audit_chunk_record AS
SELECT chunk.record_number, record.place, chunk.received_at, chunk.first_ticket, record.ticket_cbss,
       chunk.customer_tickets, record.customer_ticket,
       concat(
           form.pieces[1], coalesce(record.customer_ticket, 'null'),
           form.pieces[2], coalesce('"' || encode(record.evidence_digest, 'hex') || '"', 'null'),
           form.pieces[3], encode(substr(record.person, 1, 16), 'hex'),
           form.pieces[4], encode(substr(record.person, 17), 'base64'),
           form.pieces[5], record.other_persons,
           form.pieces[6], encode(record.response_digest, 'hex'),
           form.pieces[7], record.ticket_cbss,
           form.pieces[8]
       ) AS content
FROM audit_chunk AS chunk
CROSS JOIN LATERAL unnest(
    chunk.tickets, chunk.form_numbers, chunk.customer_tickets, chunk.evidence_digests, chunk.persons, chunk.other_persons,
    chunk.response_digests
) WITH ORDINALITY AS record
    (ticket_cbss, form_number, customer_ticket, evidence_digest, person, other_persons, response_digest, place)
JOIN LATERAL (
    SELECT number, string_to_array(text, U&'\001F') AS pieces
    FROM unnest(chunk.forms) WITH ORDINALITY AS shared (text, number)
    OFFSET 0  -- a form is taken to pieces once, not for each record
) AS form ON form.number = record.form_number;

-- Every record of the journal; and, at a fraction of the cost, under which tickets there is one.
CREATE VIEW audit_journal AS
SELECT record_number, 1::bigint AS place, received_at, ticket_cbss, content FROM audit_record
UNION ALL
SELECT record_number, place, received_at, ticket_cbss, content FROM audit_chunk_record;

CREATE VIEW audit_ticket AS
SELECT record_number, received_at, ticket_cbss FROM audit_record
UNION ALL
SELECT record_number, received_at, unnest(tickets) FROM audit_chunk;

-- The record of this time and ticket; those under this ticket, whatever their time. By index, both.
CREATE FUNCTION audit_record_at(received_at timestamptz, ticket_cbss uuid) RETURNS TABLE (content text)
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT record.content
        FROM audit_record AS record
        WHERE record.received_at = $1 AND record.ticket_cbss = $2
      UNION ALL
        SELECT record.content
        FROM audit_chunk_record AS record
        WHERE record.received_at = $1 AND record.ticket_cbss = $2
          AND record.first_ticket BETWEEN first_of_millisecond($2) AND $2;
    END;
CREATE FUNCTION audit_records_under(ticket_cbss uuid) RETURNS TABLE (received_at timestamptz, content text)
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT record.received_at, record.content
        FROM audit_record AS record
        WHERE record.ticket_cbss = $1
      UNION ALL
        SELECT record.received_at, record.content
        FROM audit_chunk_record AS record
        WHERE record.ticket_cbss = $1 AND record.first_ticket BETWEEN first_of_millisecond($1) AND $1;
    END;

-- Which records are found by one of these hashes, of this time where it is said. By index, both kinds.
CREATE FUNCTION audit_records_found_by(hashes bytea[], since timestamptz, until timestamptz)
    RETURNS TABLE (received_at timestamptz, ticket_cbss uuid)
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT person.received_at, person.ticket_cbss
        FROM audit_person AS person
        WHERE person.person_hash = ANY ($1)
          AND ($2 IS NULL OR person.received_at >= $2) AND ($3 IS NULL OR person.received_at < $3)
      UNION
        SELECT chunk.received_at, record.ticket_cbss
        FROM audit_chunk AS chunk
        CROSS JOIN LATERAL unnest(chunk.tickets, chunk.persons, chunk.other_persons)
             AS record (ticket_cbss, person, other_persons)
        WHERE chunk.person_hashes && $1
          AND ($2 IS NULL OR chunk.received_at >= $2) AND ($3 IS NULL OR chunk.received_at < $3)
          AND (substr(record.person, 1, 16) = ANY ($1) OR EXISTS (
                  SELECT FROM jsonb_array_elements(record.other_persons::jsonb) AS other
                  WHERE decode(other ->> 'hash', 'hex') = ANY ($1)
              ));
    END;

CREATE OR REPLACE FUNCTION link_audit_records(record_count_max integer, gap_seconds_max integer) RETURNS integer
    LANGUAGE plpgsql
    SET jit = off  -- the planner expects far more records than chunks have: it would compile for nothing
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
            SELECT record_number, place, received_at, ticket_cbss,
                   sha256('\x636273732d696e736372697074696f6e206175646974207265636f726400'::bytea
                          || convert_to(content, 'UTF8')) AS hash
            FROM (
                SELECT * FROM audit_journal
                WHERE record_number = ANY (ARRAY(SELECT record_number FROM audit_gap))
                UNION ALL
                SELECT * FROM audit_journal
                WHERE record_number > chain.record_number AND record_number <= (
                    SELECT max(record_number)
                    FROM (
                        SELECT record_number, record_count, sum(record_count) OVER (ORDER BY record_number) AS total
                        FROM (
                            (SELECT record_number, 1 AS record_count FROM audit_record
                             WHERE record_number > chain.record_number
                             ORDER BY record_number LIMIT record_count_max)
                            UNION ALL
                            (SELECT record_number, record_count FROM audit_chunk
                             WHERE record_number > chain.record_number
                             ORDER BY record_number LIMIT record_count_max)
                        ) AS arrived
                    ) AS counted
                    WHERE total <= record_count_max OR total = record_count
                )
            ) AS found
            OFFSET 0  -- hashes are sorted then, not contents
        ) AS hashed
        ORDER BY record_number, place
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

CREATE OR REPLACE FUNCTION make_audit_month(day date) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    begins timestamptz := date_trunc('month', day::timestamp) AT TIME ZONE 'UTC';
    ends   timestamptz := (date_trunc('month', day::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    parent text;
    name   text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['audit_record', 'audit_chunk', 'audit_person'] LOOP
        name := parent || '_' || to_char(day, 'YYYY_MM');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        -- Whatever stands in audit_person_default has its record in one of these.
        CONTINUE WHEN EXISTS (
            SELECT FROM audit_record_default WHERE received_at >= begins AND received_at < ends
        ) OR EXISTS (
            SELECT FROM audit_chunk_default WHERE received_at >= begins AND received_at < ends
        );
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name, parent, begins, ends);
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
            name || '_is_append_only', name
        );
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION drop_audit_month(day date) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    suffix  text := to_char(day, '_YYYY_MM');
    archive audit_archive;
    is_left boolean;
BEGIN
    SELECT * INTO archive FROM audit_archive WHERE month = day;
    EXECUTE format(
        'LOCK TABLE %I, %I, %I IN ACCESS EXCLUSIVE MODE',
        'audit_record' || suffix, 'audit_chunk' || suffix, 'audit_person' || suffix
    );
    EXECUTE format(
        'SELECT EXISTS ('
        '    SELECT FROM (SELECT received_at, ticket_cbss FROM %I'
        '                 UNION ALL SELECT received_at, unnest(tickets) FROM %I) AS record (received_at, ticket_cbss)'
        '    LEFT JOIN audit_link AS link USING (received_at, ticket_cbss)'
        '    WHERE link.sequence_number IS NULL OR link.sequence_number > $1)',
        'audit_record' || suffix, 'audit_chunk' || suffix
    ) INTO is_left USING archive.last_sequence_number;
    IF archive IS NULL OR is_left THEN
        RAISE EXCEPTION 'not all records of the month % are archived', day;
    END IF;
    EXECUTE format(
        'DROP TABLE %I, %I, %I', 'audit_record' || suffix, 'audit_chunk' || suffix, 'audit_person' || suffix
    );
END $$;
