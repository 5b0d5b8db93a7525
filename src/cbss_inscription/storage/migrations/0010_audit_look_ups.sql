-- A record that is found by its person comes with its text: its chunk was taken to pieces once to find it and once to read it.
-- And the chain does not follow a number that was never drawn.

-- The records of chunks, each with its place and the ticket that its chunk is found by. A form is the text that records share,
-- with U+001F, which no JSON text has, wherever something of their own stands.
CREATE OR REPLACE VIEW audit_chunk_record AS
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
       ) AS content,
       chunk.person_hashes, substr(record.person, 1, 16) AS person_hash, record.other_persons
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

DROP FUNCTION audit_record_at(timestamptz, uuid);
DROP FUNCTION audit_records_found_by(bytea[], timestamptz, timestamptz);

-- The records about one of the persons of these hashes, of this time where it is said. By index, both kinds; of a chunk that has
-- such a record all are read, and nothing is parsed: whatever was done to one of them, the others are found.
CREATE FUNCTION audit_records_found_by(hashes bytea[], since timestamptz, until timestamptz)
    RETURNS TABLE (received_at timestamptz, ticket_cbss uuid, content text)
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT record.received_at, record.ticket_cbss, record.content
        FROM (
            SELECT DISTINCT person.received_at, person.ticket_cbss
            FROM audit_person AS person
            WHERE person.person_hash = ANY ($1)
              AND ($2 IS NULL OR person.received_at >= $2) AND ($3 IS NULL OR person.received_at < $3)
        ) AS found
        JOIN audit_record AS record USING (received_at, ticket_cbss)
      UNION ALL
        SELECT record.received_at, record.ticket_cbss, record.content
        FROM audit_chunk_record AS record
        WHERE record.person_hashes && $1
          AND ($2 IS NULL OR record.received_at >= $2) AND ($3 IS NULL OR record.received_at < $3)
          AND (record.person_hash = ANY ($1) OR EXISTS (
                  SELECT FROM unnest($1) AS hash
                  WHERE strpos(record.other_persons, '"hash":"' || encode(hash, 'hex') || '"') > 0
              ));
    END;

CREATE OR REPLACE FUNCTION link_audit_records(record_count_max integer, gap_seconds_max integer) RETURNS integer
    LANGUAGE plpgsql
    SET jit = off  -- the planner expects far more records than chunks have: it would compile for nothing
    AS $$
DECLARE
    chain    audit_chain;
    drawn    bigint;  -- numbers above it are nobody's: were one followed, what is drawn later would never be chained
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
    SELECT last_value INTO drawn FROM audit_record_number;
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
                             WHERE record_number > chain.record_number AND record_number <= drawn
                             ORDER BY record_number LIMIT record_count_max)
                            UNION ALL
                            (SELECT record_number, record_count FROM audit_chunk
                             WHERE record_number > chain.record_number AND record_number <= drawn
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
