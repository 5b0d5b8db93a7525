-- The whole schema, as the migrations leave it (tests/storage proves that both are the same).
--
-- Every table of persons, inscriptions and history begins its key with the SSIN: the data of one person lie in one
-- place, and partitions or shards follow from it. SSINs are bigint: eleven digits, leading zeros restored on reading.

-- The version that this database has; one row for each migration applied.
CREATE TABLE schema_migration (
    version    integer     PRIMARY KEY,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Persons of the National Register, BIS and RAD (rules 12 to 15). Legal dates may be incomplete (yyyy-mm-00), so they
-- are text. replaced_by has no foreign key: the file it names can live in another register's store.
CREATE TABLE person (
    ssin         bigint   PRIMARY KEY CHECK (ssin BETWEEN 1 AND 99999999999),
    register     text     NOT NULL CHECK (register IN ('nr', 'bis', 'rad')),
    status       text     NOT NULL CHECK (status IN ('active', 'replaced', 'canceled')),
    replaced_by  bigint   CHECK (replaced_by BETWEEN 1 AND 99999999999),
    last_name    text     NOT NULL,
    given_names  text[]   NOT NULL,
    birth_date   text     CHECK (birth_date ~ '^[0-2][0-9]{3}-[0-1][0-9]-[0-3][0-9]$'),
    gender_code  smallint NOT NULL CHECK (gender_code IN (0, 1, 2)),
    decease_date text     CHECK (decease_date ~ '^[0-2][0-9]{3}-[0-1][0-9]-[0-3][0-9]$'),
    -- Since when the file is KSZ's: made (BIS), or last taken in (RAD); unknown for files that were loaded without.
    register_inception_date date,
    -- How the last name sounds (domain/phonetics.py): only for finding, never for validating (rule 43).
    phonetic_key text,
    CONSTRAINT person_register_inception_date_check CHECK (register <> 'nr' OR register_inception_date IS NULL),
    CHECK ((status = 'replaced') = (replaced_by IS NOT NULL)),
    -- BIS numbers have their month digits 20 or 40 higher; RAD persons bear National Register numbers (rule 12).
    CHECK ((register = 'bis') = (ssin / 10000000 % 100 >= 20))
);
CREATE INDEX person_phonetic_key ON person (phonetic_key);
CREATE INDEX person_replaced_by ON person (replaced_by) WHERE replaced_by IS NOT NULL;

-- For every table that only grows.
CREATE FUNCTION refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;

-- Every event in the life of a number: what the file was and is, when, and by whose hand.
CREATE TABLE person_history (
    ssin          bigint      NOT NULL,
    change_number bigint      GENERATED ALWAYS AS IDENTITY,
    event         text        NOT NULL,
    before        jsonb,
    after         jsonb       NOT NULL,
    changed_at    timestamptz NOT NULL,
    ticket_cbss   uuid        NOT NULL,
    operator      text        NOT NULL,
    PRIMARY KEY (ssin, change_number)
);

CREATE TRIGGER person_history_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON person_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How many periods a line set has.
CREATE FUNCTION period_count(periods datemultirange) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT count(*)::integer FROM unnest(periods));

-- When each line of `after` came to be as it is: as before where the same line stood there, else `changed_at`.
CREATE FUNCTION last_changes_after(
    before datemultirange, before_changes timestamptz[], after datemultirange, changed_at timestamptz
) RETURNS timestamptz[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT coalesce(array_agg(coalesce(former.last_change, changed_at) ORDER BY line.period), '{}')
        FROM unnest(after) AS line (period)
        LEFT JOIN ROWS FROM (unnest(before), unnest(before_changes)) AS former (period, last_change)
               ON former.period = line.period
    );

-- The repertory: one row for each (ssin, customer, context) is the whole line set (rule 25). That its lines are
-- disjoint and never adjacent (rule 32) is in the type. last_changes has one time for each period, in their order.
-- A context that was removed stays as a row without periods.
CREATE TABLE inscription (
    ssin                bigint         NOT NULL,
    customer            text           NOT NULL,
    inscription_context text           NOT NULL,
    periods             datemultirange NOT NULL,
    last_changes        timestamptz[]  NOT NULL,
    PRIMARY KEY (ssin, customer, inscription_context),
    -- What period_count says costs more than all the rest of a row, and most sets are one period, which is all it spans.
    CHECK (CASE cardinality(last_changes)
               WHEN 0 THEN isempty(periods)
               WHEN 1 THEN NOT isempty(periods) AND periods = multirange(range_merge(periods))
               ELSE cardinality(last_changes) = period_count(periods) END)
);

-- Every change of a line set: who, when, under which ticket and legal context, before and after (rule 35). What no
-- declaration asked for (a replacement, a population) has no legal context and no caller.
CREATE TABLE inscription_history (
    ssin                bigint         NOT NULL,
    change_number       bigint         GENERATED ALWAYS AS IDENTITY,
    customer            text           NOT NULL,
    inscription_context text           NOT NULL,
    operation           text           NOT NULL,
    before              datemultirange NOT NULL,
    after               datemultirange NOT NULL,
    changed_at          timestamptz    NOT NULL,
    ticket_cbss         uuid           NOT NULL,
    customer_ticket     text,
    legal_context       text,
    application_urn     text,
    cbe_number          text,
    PRIMARY KEY (ssin, change_number)
);
-- Changes by their time, of which there are few of the last minutes: for those whose call left no record.
CREATE INDEX inscription_history_changed_at ON inscription_history USING brin (changed_at);

CREATE TRIGGER inscription_history_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON inscription_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Where the lines of a replaced number went (rule 19). It stands here when the National Register's files live elsewhere
-- too, so that a change which resolved the number a moment before can see that its lines are gone.
CREATE TABLE replacement (
    ssin        bigint      PRIMARY KEY,
    replaced_by bigint      NOT NULL CHECK (replaced_by <> ssin),
    replaced_at timestamptz NOT NULL,
    ticket_cbss uuid        NOT NULL
);
CREATE INDEX replacement_replaced_by ON replacement (replaced_by);

-- What the holders of inscriptions are told of a number's life: for each customer numbered from 1 without gaps, in the
-- order of the commits. inscription_contexts: those in which the customer knew the person.
CREATE TABLE mutation (
    customer             text        NOT NULL,
    sequence_number      bigint      NOT NULL CHECK (sequence_number >= 1),
    ssin                 bigint      NOT NULL,
    event                text        NOT NULL,
    current_ssin         bigint      NOT NULL,
    inscription_contexts text[]      NOT NULL,
    recorded_at          timestamptz NOT NULL,
    ticket_cbss          uuid        NOT NULL,
    PRIMARY KEY (customer, sequence_number)
);

CREATE TRIGGER mutation_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON mutation
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The last number given to a customer's mutations; its row is locked until the commit of what took the number.
CREATE TABLE mutation_counter (
    customer             text   PRIMARY KEY,
    last_sequence_number bigint NOT NULL
);

-- Declarations that were done, by the customer's ticket, and their answers: sent again, they are not done again (rule 38).
CREATE TABLE answered_declaration (
    customer    text        NOT NULL,
    ticket      text        NOT NULL,
    content     bytea       NOT NULL,
    answer      bytea       NOT NULL,
    answered_at timestamptz NOT NULL,
    PRIMARY KEY (customer, ticket)
);
CREATE INDEX answered_declaration_answered_at ON answered_declaration (answered_at);

-- Access rules, permissions, tenants and operators under four eyes: what was proposed. The content is the canonical text
-- that the signature is on, and all there is (governance/four_eyes.py); the columns repeat what the database looks at.
CREATE TABLE governance_proposal (
    proposal_number bigint PRIMARY KEY CHECK (proposal_number >= 1),
    proposed_by     text   NOT NULL,
    content         text   NOT NULL,
    signature       bytea  NOT NULL CHECK (octet_length(signature) = 64),
    UNIQUE (proposal_number, proposed_by),
    CHECK ((content::jsonb ->> 'number')::bigint = proposal_number),
    CHECK (content::jsonb ->> 'proposed_by' = proposed_by)
);

-- How it was decided: never by whom it was proposed, once, and an approval makes the version after the last (a
-- rejection none). previous_version lets no version be without the one before it.
CREATE TABLE governance_decision (
    proposal_number  bigint PRIMARY KEY,
    proposed_by      text   NOT NULL,
    decided_by       text   NOT NULL,
    version          bigint UNIQUE CHECK (version >= 1),
    previous_version bigint GENERATED ALWAYS AS (nullif(version - 1, 0)) STORED
                            REFERENCES governance_decision (version),
    content          text   NOT NULL,
    signature        bytea  NOT NULL CHECK (octet_length(signature) = 64),
    FOREIGN KEY (proposal_number, proposed_by) REFERENCES governance_proposal (proposal_number, proposed_by),
    CONSTRAINT governance_decision_four_eyes_check CHECK (decided_by <> proposed_by),
    CHECK (content::jsonb ->> 'decided_by' = decided_by),
    CHECK ((content::jsonb ->> 'verdict' = 'approved') = (version IS NOT NULL))
);

CREATE TRIGGER governance_proposal_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON governance_proposal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER governance_decision_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON governance_decision
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Messages seen, until their Timestamp has expired (SEC-52): shared by all workers and replicas.
CREATE TABLE replay_guard (
    message_key bytea       PRIMARY KEY,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX replay_guard_expires_at ON replay_guard (expires_at);

-- The audit journal (rule 50): one record for each call, found by its ticket, its time, or a person's keyed hash.
-- record_number is the order of arrival, for those who chain the records; the content is the record, all of it, in its
-- canonical text (governance/journal.py). Partitions are months: what is old is archived and dropped whole.
CREATE TABLE audit_record (
    received_at   timestamptz NOT NULL,
    ticket_cbss   uuid        NOT NULL,
    record_number bigint      NOT NULL,
    content       text        NOT NULL,
    PRIMARY KEY (received_at, ticket_cbss)
) PARTITION BY RANGE (received_at);
CREATE INDEX audit_record_ticket_cbss ON audit_record (ticket_cbss);
CREATE INDEX audit_record_record_number ON audit_record (record_number);
CREATE SEQUENCE audit_record_number AS bigint OWNED BY audit_record.record_number;
ALTER TABLE audit_record ALTER COLUMN record_number SET DEFAULT nextval('audit_record_number');

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

-- Which records a person is in: by the keyed hash of the number, never the number itself (SEC-75).
CREATE TABLE audit_person (
    person_hash bytea       NOT NULL,
    received_at timestamptz NOT NULL,
    ticket_cbss uuid        NOT NULL,
    PRIMARY KEY (person_hash, received_at, ticket_cbss)
) PARTITION BY RANGE (received_at);

CREATE TABLE audit_record_default PARTITION OF audit_record DEFAULT;
CREATE TABLE audit_chunk_default PARTITION OF audit_chunk DEFAULT;
CREATE TABLE audit_person_default PARTITION OF audit_person DEFAULT;

CREATE TRIGGER audit_record_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_record
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_chunk_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_chunk
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_person_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_person
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

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

-- Every record of the journal; and, at a fraction of the cost, under which tickets there is one.
CREATE VIEW audit_journal AS
SELECT record_number, 1::bigint AS place, received_at, ticket_cbss, content FROM audit_record
UNION ALL
SELECT record_number, place, received_at, ticket_cbss, content FROM audit_chunk_record;

CREATE VIEW audit_ticket AS
SELECT record_number, received_at, ticket_cbss FROM audit_record
UNION ALL
SELECT record_number, received_at, unnest(tickets) FROM audit_chunk;

-- The records under this ticket, whatever their time. By index, both kinds.
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
CREATE INDEX audit_link_received_at ON audit_link USING brin (received_at);

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

-- How many records were chained now: at most `record_count_max`, unless the first chunk alone has more, in the order of their
-- numbers and of their places in a chunk, and those that came late; none while another process chains. A missing number is
-- looked for again for as long as `gap_seconds_max`. The hashes are those of governance/journal.py and governance/chain.py.
CREATE FUNCTION link_audit_records(record_count_max integer, gap_seconds_max integer) RETURNS integer
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
CREATE TRIGGER audit_chunk_default_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_chunk_default
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
-- when each of its records is: nothing can come while this looks, and whoever reads goes on meanwhile. As sets: the records of a
-- chunk are of one time, so that a search for the link of each would read the links of all.
CREATE FUNCTION drop_audit_month(day date) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    suffix  text := to_char(day, '_YYYY_MM');
    begins  timestamptz := day::timestamp AT TIME ZONE 'UTC';
    ends    timestamptz := (day::timestamp + interval '1 month') AT TIME ZONE 'UTC';
    archive audit_archive;
    is_left boolean;
BEGIN
    SELECT * INTO archive FROM audit_archive WHERE month = day;
    EXECUTE format('LOCK TABLE %I, %I IN SHARE MODE', 'audit_record' || suffix, 'audit_chunk' || suffix);
    EXECUTE format(
        'SELECT EXISTS ('
        '    (SELECT received_at, ticket_cbss FROM %I UNION ALL SELECT received_at, unnest(tickets) FROM %I)'
        '    EXCEPT'
        '    SELECT received_at, ticket_cbss FROM audit_link'
        '    WHERE received_at >= $1 AND received_at < $2 AND sequence_number <= $3)',
        'audit_record' || suffix, 'audit_chunk' || suffix
    ) INTO is_left USING begins, ends, archive.last_sequence_number;
    IF archive IS NULL OR is_left THEN
        RAISE EXCEPTION 'not all records of the month % are archived', day;
    END IF;
    EXECUTE format(
        'DROP TABLE %I, %I, %I', 'audit_record' || suffix, 'audit_chunk' || suffix, 'audit_person' || suffix
    );
END $$;
-- What was counted for the agreed volumes (SEC-57), with the records of the journal and in their transaction: admitted calls,
-- and apart those that a volume refused. Each worker has rows of its own, so that none waits for another.
CREATE TABLE volume_count (
    hour            timestamptz NOT NULL,
    permission      text        NOT NULL,
    application_urn text        NOT NULL,
    customer        text        NOT NULL,
    legal_context   text        NOT NULL,
    operation       text        NOT NULL,
    worker          bigint      NOT NULL,
    calls           bigint      NOT NULL CHECK (calls >= 0),
    refused         bigint      NOT NULL CHECK (refused >= 0),
    PRIMARY KEY (permission, customer, hour, operation, application_urn, legal_context, worker)
) WITH (fillfactor = 70);
CREATE INDEX volume_count_hour ON volume_count (hour);

-- A batch (docs/batch.md): a file of declarations, once it was read to the end. Header: JSON of domain/batch.py. A batch that
-- was canceled is answered up to the line cut_after, the last of the block cut_after_block, and nothing after it was touched.
CREATE TABLE batch (
    batch_id        uuid        PRIMARY KEY,
    sender          text        NOT NULL,
    sequence_number bigint      NOT NULL,
    digest          bytea       NOT NULL CHECK (octet_length(digest) = 32),
    header          text        NOT NULL,
    application_urn text        NOT NULL,
    cbe_number      text        NOT NULL,
    environment     text        NOT NULL,
    certificate     text        NOT NULL,
    state           text        NOT NULL CHECK (state IN ('running', 'canceling', 'canceled', 'done')),
    line_count      bigint      NOT NULL,
    cut_after_block integer,
    cut_after       bigint,
    submitted_at    timestamptz NOT NULL,
    finished_at     timestamptz,
    CHECK ((cut_after IS NOT NULL) = (state IN ('canceling', 'canceled'))),
    CHECK ((finished_at IS NOT NULL) = (state IN ('canceled', 'done'))),
    UNIQUE (sender, sequence_number)
);
CREATE INDEX batch_unfinished ON batch (batch_id) WHERE state IN ('running', 'canceling');

-- The lanes of a batch. All lines about one person are in one lane, and its blocks are worked on one after the other, so that
-- what is said of one person is done in the order of the file. Whoever has the row locked works on next_block, and commits
-- what came of it together with the row's change: NULL when the lane is at its end. Lines whose source is away are left behind:
-- waiting_block is the first with some of them, which were tried so many times (attempts), and are to be again at retry_at.
CREATE TABLE batch_lane (
    batch_id      uuid        NOT NULL REFERENCES batch ON DELETE CASCADE,
    lane          integer     NOT NULL,
    next_block    integer,
    attempts      integer     NOT NULL DEFAULT 0,
    not_before    timestamptz,
    worked_at     timestamptz,
    waiting_block integer,
    retry_at      timestamptz,
    PRIMARY KEY (batch_id, lane)
) WITH (fillfactor = 50);

-- Chunks: the lines that one block of the file has in one lane, and their answers (batch/chunk.py says how they are packed, so
-- that the database does not try again). A block is some thousand lines, dealt out to the lanes; none may be without lines.
-- Waiting: the numbers of the lines whose source is away; NULL where none is.
CREATE TABLE batch_chunk (
    batch_id       uuid        NOT NULL REFERENCES batch ON DELETE CASCADE,
    lane           integer     NOT NULL,
    block          integer     NOT NULL,
    last_line      bigint      NOT NULL,
    line_count     integer     NOT NULL,
    lines          bytea       NOT NULL,
    answers        bytea,
    lines_answered integer     NOT NULL DEFAULT 0,
    outcomes       jsonb       NOT NULL DEFAULT '[]',
    answered_at    timestamptz,
    waiting        bigint[],
    PRIMARY KEY (batch_id, lane, block),
    CHECK (lines_answered <= line_count)
);
CREATE INDEX batch_chunk_block ON batch_chunk (batch_id, block);
ALTER TABLE batch_chunk ALTER COLUMN lines SET STORAGE EXTERNAL, ALTER COLUMN answers SET STORAGE EXTERNAL;

-- What the sandbox's population was made from, to know whether it must be made anew.
CREATE TABLE population (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    recipe   text    NOT NULL,
    made_at  timestamptz NOT NULL DEFAULT now()
);
