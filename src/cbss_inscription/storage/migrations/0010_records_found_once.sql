-- A record that is found by its person comes with its text: its chunk was taken to pieces once to find it and once to read it.

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
