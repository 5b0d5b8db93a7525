-- Every query of the program, by name. Parameters are %(named)s; a bigint compared with a parameter is cast, or
-- PostgreSQL would not use the index for small numbers sent as int4 (performance.md).

-- name: chain_of_files
-- The file of a number, then each file that replaces the former, in order; a file met before ends the chain, and so does
-- one of a register that is not asked.
WITH RECURSIVE chain AS (
    SELECT person.*, 0 AS hop, ARRAY[person.ssin] AS seen
    FROM person
    WHERE person.ssin = %(ssin)s::bigint AND person.register = ANY (%(registers)s::text[])
  UNION ALL
    SELECT person.*, chain.hop + 1, chain.seen || person.ssin
    FROM chain
    JOIN person ON person.ssin = chain.replaced_by AND person.register = ANY (%(registers)s::text[])
    WHERE chain.status = 'replaced' AND chain.hop < %(hops_max)s::integer + 1 AND person.ssin <> ALL (chain.seen)
)
SELECT ssin, register, status, replaced_by, last_name, given_names, birth_date, gender_code, decease_date,
       register_inception_date
FROM chain
ORDER BY hop;

-- name: files_of_numbers
-- The files of some numbers.
SELECT ssin, register, status, replaced_by, last_name, given_names, birth_date, gender_code, decease_date,
       register_inception_date
FROM person
WHERE ssin = ANY (%(ssins)s::bigint[]) AND register = ANY (%(registers)s::text[]);

-- name: chains_of_files
-- As chain_of_files, for many numbers together: the number asked, and each file of its chain, in order.
WITH RECURSIVE chain AS (
    SELECT asked.ssin AS asked, person.*, 0 AS hop, ARRAY[person.ssin] AS seen
    FROM unnest(%(ssins)s::bigint[]) AS asked (ssin)
    JOIN person ON person.ssin = asked.ssin AND person.register = ANY (%(registers)s::text[])
  UNION ALL
    SELECT chain.asked, person.*, chain.hop + 1, chain.seen || person.ssin
    FROM chain
    JOIN person ON person.ssin = chain.replaced_by AND person.register = ANY (%(registers)s::text[])
    WHERE chain.status = 'replaced' AND chain.hop < %(hops_max)s::integer + 1 AND person.ssin <> ALL (chain.seen)
)
SELECT asked, ssin, register, status, replaced_by, last_name, given_names, birth_date, gender_code, decease_date,
       register_inception_date
FROM chain
ORDER BY asked, hop;

-- name: files_like
-- The active files whose last name has this phonetic key, in the order of their numbers; dates are compared part by
-- part, and what is not asked (NULL, 00) or not known excludes none.
SELECT ssin, register, status, replaced_by, last_name, given_names, birth_date, gender_code, decease_date,
       register_inception_date
FROM person
WHERE phonetic_key = %(phonetic_key)s::text
  AND status = 'active'
  AND register = ANY (%(registers)s::text[])
  AND (%(gender_code)s::smallint = 0 OR gender_code IN (0, %(gender_code)s::smallint))
  AND (%(birth_date)s::text IS NULL OR birth_date IS NULL
       OR (left(birth_date, 4) = left(%(birth_date)s::text, 4)
           AND (substr(%(birth_date)s::text, 6, 2) = '00'
                OR substr(birth_date, 6, 2) IN ('00', substr(%(birth_date)s::text, 6, 2)))
           AND (substr(%(birth_date)s::text, 9, 2) = '00'
                OR substr(birth_date, 9, 2) IN ('00', substr(%(birth_date)s::text, 9, 2)))))
ORDER BY ssin;

-- name: lock_life
-- Nothing; until the transaction ends, no other event in the life of any number happens. Taken before any lock_person,
-- so that events and changes of lines cannot wait for each other in a circle. No SSIN is negative.
SELECT pg_advisory_xact_lock(-1);

-- name: wait_longer
-- Nothing; in this transaction statements may take, and wait for locks, so many milliseconds.
SELECT set_config('lock_timeout', %(lock_milliseconds)s::text, true),
       set_config('statement_timeout', %(statement_milliseconds)s::text, true);

-- name: clock
-- The time now, as finely as it is kept.
SELECT date_trunc('milliseconds', clock_timestamp());

-- name: file_of
-- The file of a number in our store, of whatever register.
SELECT ssin, register, status, replaced_by, last_name, given_names, birth_date, gender_code, decease_date,
       register_inception_date
FROM person
WHERE ssin = %(ssin)s::bigint
FOR UPDATE;

-- name: numbers_between
-- The numbers that files of ours have, between two numbers, both included.
SELECT ssin FROM person WHERE ssin BETWEEN %(first)s::bigint AND %(last)s::bigint;

-- name: hops_to
-- How many replacements the longest chain that leads to a number has, counted up to a maximum.
WITH RECURSIVE former (ssin, hops) AS (
    SELECT %(ssin)s::bigint, 0
  UNION
    SELECT person.ssin, former.hops + 1
    FROM former
    JOIN person ON person.replaced_by = former.ssin
    WHERE former.hops < %(hops_max)s::integer
)
SELECT max(hops) FROM former;

-- name: insert_file
-- Nothing; the file of a number that had none stands in the store and in its history.
WITH written AS (
    INSERT INTO person (ssin, register, status, replaced_by, last_name, given_names, birth_date, gender_code,
                        decease_date, register_inception_date, phonetic_key)
    VALUES (%(ssin)s::bigint, %(register)s::text, %(status)s::text, %(replaced_by)s::bigint, %(last_name)s::text,
            %(given_names)s::text[], %(birth_date)s::text, %(gender_code)s::smallint, %(decease_date)s::text,
            %(register_inception_date)s::date, %(phonetic_key)s::text)
    RETURNING person.*
)
INSERT INTO person_history (ssin, event, before, after, changed_at, ticket_cbss, operator)
SELECT ssin, %(event)s::text, NULL, to_jsonb(written), %(recorded_at)s::timestamptz, %(ticket_cbss)s::uuid,
       %(operator)s::text
FROM written;

-- name: update_file
-- Nothing; the file of a number stands in the store as given, and in its history as it was and is.
WITH former AS (
    SELECT to_jsonb(person) AS file FROM person WHERE ssin = %(ssin)s::bigint
), written AS (
    UPDATE person
    SET register = %(register)s::text, status = %(status)s::text, replaced_by = %(replaced_by)s::bigint,
        last_name = %(last_name)s::text, given_names = %(given_names)s::text[], birth_date = %(birth_date)s::text,
        gender_code = %(gender_code)s::smallint, decease_date = %(decease_date)s::text,
        register_inception_date = %(register_inception_date)s::date, phonetic_key = %(phonetic_key)s::text
    WHERE ssin = %(ssin)s::bigint
    RETURNING person.*
)
INSERT INTO person_history (ssin, event, before, after, changed_at, ticket_cbss, operator)
SELECT ssin, %(event)s::text, former.file, to_jsonb(written), %(recorded_at)s::timestamptz, %(ticket_cbss)s::uuid,
       %(operator)s::text
FROM written CROSS JOIN former;

-- name: record_file_elsewhere
-- Nothing; what became of a file that another register keeps stands in its history here.
INSERT INTO person_history (ssin, event, before, after, changed_at, ticket_cbss, operator)
VALUES (%(ssin)s::bigint, %(event)s::text, NULL,
        jsonb_build_object('ssin', %(ssin)s::bigint, 'register', %(register)s::text, 'status', %(status)s::text,
                           'replaced_by', %(replaced_by)s::bigint),
        %(recorded_at)s::timestamptz, %(ticket_cbss)s::uuid, %(operator)s::text);

-- name: record_replacement
-- Nothing; the lines of a number go to another from now on. To be run under lock_life, when none of its lines went before.
INSERT INTO replacement (ssin, replaced_by, replaced_at, ticket_cbss)
VALUES (%(ssin)s::bigint, %(replaced_by)s::bigint, %(recorded_at)s::timestamptz, %(ticket_cbss)s::uuid);

-- name: tell_holders
-- How many customers are told of an event: those with a line on a day, or with any line when no day is given. To be run
-- under lock_life: the numbers of one customer's mutations have no gaps and stand in the order of the commits.
WITH holder AS (
    SELECT customer, array_agg(inscription_context ORDER BY inscription_context) AS inscription_contexts
    FROM inscription
    WHERE ssin = %(ssin)s::bigint
      AND CASE WHEN %(on_day)s::date IS NULL THEN NOT isempty(periods) ELSE periods @> %(on_day)s::date END
    GROUP BY customer
), numbered AS (
    INSERT INTO mutation_counter (customer, last_sequence_number)
    SELECT customer, 1 FROM holder
    ON CONFLICT (customer)
    DO UPDATE SET last_sequence_number = mutation_counter.last_sequence_number + 1
    RETURNING customer, last_sequence_number
), told AS (
    INSERT INTO mutation (customer, sequence_number, ssin, event, current_ssin, inscription_contexts, recorded_at,
                          ticket_cbss)
    SELECT customer, last_sequence_number, %(ssin)s::bigint, %(event)s::text, %(current_ssin)s::bigint,
           inscription_contexts, %(recorded_at)s::timestamptz, %(ticket_cbss)s::uuid
    FROM holder
    JOIN numbered USING (customer)
    RETURNING true
)
SELECT count(*) FROM told;

-- name: move_lines
-- How many lines went from a replaced number to the one that carries on (rule 19). To be run under the lock_person of
-- both. Each line set becomes the union of both numbers' (overlapping and adjacent lines merge), and a line keeps its
-- last change when it stood so before: the later one when it stood so under both. The former set is left empty.
WITH moved AS (
    SELECT former.customer, former.inscription_context,
           former.periods AS former_periods, former.last_changes AS former_changes,
           coalesce(present.periods, '{}') AS periods, coalesce(present.last_changes, '{}') AS last_changes,
           former.periods + coalesce(present.periods, '{}') AS after
    FROM inscription AS former
    LEFT JOIN inscription AS present ON present.ssin = %(current_ssin)s::bigint
                                    AND present.customer = former.customer
                                    AND present.inscription_context = former.inscription_context
    WHERE former.ssin = %(ssin)s::bigint AND NOT isempty(former.periods)
), emptied AS (
    UPDATE inscription
    SET periods = '{}', last_changes = '{}'
    WHERE ssin = %(ssin)s::bigint AND NOT isempty(periods)
), written AS (
    INSERT INTO inscription (ssin, customer, inscription_context, periods, last_changes)
    SELECT %(current_ssin)s::bigint, customer, inscription_context, after, later.last_changes
    FROM moved
    CROSS JOIN LATERAL (
        SELECT array_agg(coalesce(known.last_change, %(recorded_at)s::timestamptz) ORDER BY line.period) AS last_changes
        FROM unnest(after) AS line (period)
        LEFT JOIN (
            SELECT period, max(last_change) AS last_change
            FROM (SELECT * FROM ROWS FROM (unnest(former_periods), unnest(former_changes)) AS former (period, last_change)
                UNION ALL
                  SELECT * FROM ROWS FROM (unnest(periods), unnest(moved.last_changes)) AS present (period, last_change)
            ) AS stood
            GROUP BY period
        ) AS known ON known.period = line.period
    ) AS later
    ON CONFLICT (ssin, customer, inscription_context)
    DO UPDATE SET periods = EXCLUDED.periods, last_changes = EXCLUDED.last_changes
), recorded AS (
    INSERT INTO inscription_history (ssin, customer, inscription_context, operation, before, after, changed_at,
                                     ticket_cbss)
    SELECT change.ssin, customer, inscription_context, 'replaceSsin', change.before, change.after,
           %(recorded_at)s::timestamptz, %(ticket_cbss)s::uuid
    FROM moved
    CROSS JOIN LATERAL (
        VALUES (%(ssin)s::bigint, former_periods, '{}'::datemultirange),
               (%(current_ssin)s::bigint, periods, moved.after)
    ) AS change (ssin, before, after)
)
SELECT coalesce(sum(period_count(former_periods)), 0)::bigint FROM moved;

-- name: file_changes
-- What happened to the file of a number, the first event first.
SELECT event, ticket_cbss, changed_at, operator, before, after
FROM person_history
WHERE ssin = %(ssin)s::bigint
ORDER BY change_number
LIMIT %(row_count_max)s::integer;

-- name: lock_person
-- Nothing; until the transaction ends, no other transaction holds the same SSIN. So changes of one person follow each
-- other. A declaration takes the lock of its one person, last of all locks; an event in the life of numbers takes
-- lock_life first and then those of its numbers in ascending order: no two can wait for each other in a circle.
SELECT pg_advisory_xact_lock(%(ssin)s::bigint);

-- name: lock_ticket
-- Nothing; until the transaction ends, no other transaction holds the same ticket of this customer. Taken before
-- lock_person and by declarations only, so that nobody who holds a person waits for a ticket. Locks of two numbers are
-- apart from those of one; tickets that share a hash just follow each other.
SELECT pg_advisory_xact_lock(hashtext(%(customer)s::text), hashtext(%(ticket)s::text));

-- name: change_line_set
-- One row: whether the change found what it named, whether the lines are not too many then, whether anything differs
-- now, whether what it added merged with other lines (it is no line more then), and the lines as they are now.
-- Then: what was answered under this ticket before, and which number took the lines over. Where one of them is there,
-- nothing is done. Else a change that found what it named is remembered under its ticket (null: not at all).
-- To be run under lock_ticket and lock_person, as a statement of its own, so that it sees what former holders of the
-- locks wrote. The change is (periods - removed) + added; an update must name one line exactly, a deletion must meet a line.
-- Times are kept in milliseconds, as finely as the wire tells them.
WITH asked AS MATERIALIZED (
    SELECT CASE WHEN %(removes)s::boolean
                THEN datemultirange(daterange(%(removed_begin)s::date, %(removed_end)s::date, '[]'))
                ELSE '{}' END AS removed,
           CASE WHEN %(adds)s::boolean
                THEN datemultirange(daterange(%(added_begin)s::date, %(added_end)s::date, '[]'))
                ELSE '{}' END AS added,
           date_trunc('milliseconds', clock_timestamp()) AS changed_at
), answered AS MATERIALIZED (
    SELECT content, answer
    FROM answered_declaration
    WHERE customer = %(customer)s::text AND ticket = %(ticket)s::text
), moved AS MATERIALIZED (
    SELECT replaced_by FROM replacement WHERE ssin = %(ssin)s::bigint
), former AS (
    SELECT asked.*,
           coalesce(inscription.periods, '{}') AS periods,
           coalesce(inscription.last_changes, '{}') AS last_changes
    FROM asked
    LEFT JOIN inscription ON inscription.ssin = %(ssin)s::bigint
                         AND inscription.customer = %(customer)s::text
                         AND inscription.inscription_context = %(inscription_context)s::text
), changed AS (
    SELECT former.*, (periods - removed) + added AS after
    FROM former
), later AS (
    SELECT changed.*,
           -- A set that is too large already may still shrink.
           period_count(after) <= greatest(%(line_count_max)s::integer, period_count(periods)) AS fits,
           CASE %(operation)s::text
               WHEN 'updateInscription'
                   THEN EXISTS (SELECT FROM unnest(periods) AS line (period) WHERE datemultirange(period) = removed)
               WHEN 'deleteInscription' THEN periods && removed
               ELSE true END AS found,
           NOT EXISTS (SELECT FROM answered) AND NOT EXISTS (SELECT FROM moved) AS free
    FROM changed
), written AS (
    INSERT INTO inscription (ssin, customer, inscription_context, periods, last_changes)
    SELECT %(ssin)s::bigint, %(customer)s::text, %(inscription_context)s::text,
           after, last_changes_after(periods, last_changes, after, changed_at)
    FROM later
    WHERE free AND found AND fits AND after <> periods
    ON CONFLICT (ssin, customer, inscription_context)
    DO UPDATE SET periods = EXCLUDED.periods, last_changes = EXCLUDED.last_changes
    RETURNING periods, last_changes
), recorded AS (
    INSERT INTO inscription_history (ssin, customer, inscription_context, operation, before, after, changed_at,
                                     ticket_cbss, customer_ticket, legal_context, application_urn, cbe_number)
    SELECT %(ssin)s::bigint, %(customer)s::text, %(inscription_context)s::text, %(operation)s::text,
           periods, after, changed_at,
           %(ticket_cbss)s::uuid, %(customer_ticket)s::text, %(legal_context)s::text,
           %(application_urn)s::text, %(cbe_number)s::text
    FROM later
    WHERE free AND found AND fits AND after <> periods
), outcome AS MATERIALIZED (
    SELECT later.free, later.found, later.fits, later.changed_at,
           written.periods IS NOT NULL AS changed,
           period_count(later.after) <= period_count(later.periods - later.removed) AS merged,
           lines.begin_dates, lines.end_dates,
           coalesce(written.last_changes, later.last_changes) AS last_changes
    FROM later
    LEFT JOIN written ON true
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(lower(period) ORDER BY period), '{}') AS begin_dates,
               coalesce(array_agg(upper(period) - 1 ORDER BY period), '{}') AS end_dates
        FROM unnest(coalesce(written.periods, later.periods)) AS line (period)
    ) AS lines
), remembered AS (
    INSERT INTO answered_declaration (customer, ticket, content, answer, answered_at)
    SELECT %(customer)s::text, %(ticket)s::text, %(content)s::bytea,
           convert_to(json_build_object(
               'version', 1, 'told', %(told)s::json, 'changed', changed, 'merged', merged,
               'begin_dates', begin_dates, 'end_dates', end_dates, 'last_changes', last_changes)::text, 'UTF8'),
           changed_at
    FROM outcome
    WHERE free AND found AND fits AND %(ticket)s::text IS NOT NULL
)
SELECT found, fits, changed, merged, begin_dates, end_dates, last_changes,
       answered.content AS answered_content, answered.answer, moved.replaced_by
FROM outcome
LEFT JOIN answered ON true
LEFT JOIN moved ON true;

-- name: answered_declaration
-- What was answered under this ticket of the customer; no row when nothing was, or it is forgotten.
SELECT content, answer
FROM answered_declaration
WHERE customer = %(customer)s::text AND ticket = %(ticket)s::text;

-- name: forget_answered_declarations
-- Declarations answered before a time: their tickets count for nothing any more. A bounded number at a time.
DELETE FROM answered_declaration
WHERE (customer, ticket) IN (
    SELECT customer, ticket
    FROM answered_declaration
    WHERE answered_at < %(before)s::timestamptz
    LIMIT %(row_count_max)s::integer
    FOR UPDATE SKIP LOCKED
);

-- name: lines
-- The lines about one person, of a customer in these contexts and of others where it may see them, that overlap a
-- period, after where the page begins; or one row with the number that took the lines over. In the order of the code
-- points, whatever the database's own is: as a batch puts them.
SELECT replaced_by, NULL AS inscription_context, NULL AS customer, NULL AS begin_date, NULL AS end_date,
       NULL AS last_change
FROM replacement
WHERE ssin = %(ssin)s::bigint
UNION ALL
(
    SELECT NULL, inscription_context, customer, lower(period) AS begin_date, upper(period) - 1, last_change
    FROM inscription
    CROSS JOIN LATERAL ROWS FROM (unnest(periods), unnest(last_changes)) AS line (period, last_change)
    WHERE ssin = %(ssin)s::bigint
      AND CASE WHEN customer = %(customer)s::text
               THEN inscription_context = ANY (%(inscription_contexts)s::text[])
               ELSE inscription_context = ANY (%(other_contexts)s::text[])
                    AND (%(organizations)s::text[] IS NULL OR customer = ANY (%(organizations)s::text[])) END
      AND period && daterange(%(begin_date)s::date, %(end_date)s::date, '[]')
      AND (%(after_context)s::text IS NULL
           OR (inscription_context COLLATE "C", lower(period), customer COLLATE "C")
              > (%(after_context)s::text, %(after_begin_date)s::date, %(after_customer)s::text))
    ORDER BY inscription_context COLLATE "C", begin_date, customer COLLATE "C"
    LIMIT %(line_count_max)s::integer
);

-- name: left_behind
-- Those of some numbers that still have lines.
SELECT DISTINCT ssin FROM inscription WHERE ssin = ANY (%(ssins)s::bigint[]) AND NOT isempty(periods);

-- name: admit_message
-- One row when the message was not seen before, none when it was. The commit does not wait for the disk: set_config
-- holds for this statement's own transaction, its commit included.
INSERT INTO replay_guard (message_key, expires_at)
SELECT %(message_key)s::bytea, %(expires_at)s::timestamptz
FROM set_config('synchronous_commit', 'off', true)
ON CONFLICT (message_key) DO NOTHING
RETURNING true;

-- name: write_audit_records
-- Nothing; each record stands in the journal, each person is found in it, the requests that are kept are there, and each
-- call is counted. The same record again changes nothing: a group whose first attempt was lost on the way is sent again.
-- The group is one JSON text (storage/journal.py JournalEntry): arrays of texts would be made value by value in Python,
-- at several times the cost of all the rest.
WITH arrived AS MATERIALIZED (
    SELECT *
    FROM json_to_recordset(%(entries)s::json)
         AS item (received_at timestamptz, ticket uuid, content text, hashes text[], counted json, evidence json)
), person AS (
    INSERT INTO audit_person (person_hash, received_at, ticket_cbss)
    SELECT decode(hash, 'base64'), received_at, ticket
    FROM arrived CROSS JOIN unnest(hashes) AS hash
    ON CONFLICT DO NOTHING
), kept AS (
    INSERT INTO audit_evidence (ticket_cbss, received_at, key, sealed)
    SELECT ticket, received_at, evidence ->> 'key', decode(evidence ->> 'sealed', 'base64')
    FROM arrived
    WHERE evidence IS NOT NULL
    ON CONFLICT DO NOTHING
), written AS (
    INSERT INTO audit_record (received_at, ticket_cbss, record_number, content)
    SELECT received_at, ticket, nextval('audit_record_number'), content
    FROM arrived
    ON CONFLICT DO NOTHING
    RETURNING ticket_cbss
)
INSERT INTO volume_count AS counted
    (hour, permission, application_urn, customer, legal_context, operation, worker, calls, refused)
SELECT date_trunc('hour', arrived.received_at, 'UTC'), call.permission, call.application_urn, call.customer,
       call.legal_context, call.operation, %(worker)s::bigint,
       count(*) FILTER (WHERE NOT call.is_refused), count(*) FILTER (WHERE call.is_refused)
FROM arrived
JOIN written ON written.ticket_cbss = arrived.ticket
CROSS JOIN json_to_record(arrived.counted)
     AS call (permission text, application_urn text, customer text, legal_context text, operation text,
              is_refused boolean)
WHERE arrived.counted IS NOT NULL
GROUP BY 1, call.permission, call.application_urn, call.customer, call.legal_context, call.operation
ON CONFLICT (permission, customer, hour, operation, application_urn, legal_context, worker)
DO UPDATE SET calls = counted.calls + EXCLUDED.calls, refused = counted.refused + EXCLUDED.refused;

-- name: settled_volumes
-- How many calls other workers counted from the beginning of a month until an hour: those of its last day in one row,
-- the days before in another. Each permission by itself, along the primary key.
SELECT metered.permission, metered.customer, counted.operation, counted.start, counted.calls
FROM unnest(%(permissions)s::text[], %(customers)s::text[]) AS metered (permission, customer)
CROSS JOIN LATERAL (
    SELECT operation, start, sum(volume_count.calls)::bigint AS calls
    FROM volume_count
    CROSS JOIN LATERAL (
        SELECT CASE WHEN hour >= %(day)s::timestamptz THEN %(day)s::timestamptz ELSE %(month)s::timestamptz END
    ) AS part (start)
    WHERE permission = metered.permission AND customer = metered.customer
      AND hour >= %(month)s::timestamptz AND hour < %(until)s::timestamptz AND worker <> %(worker)s::bigint
    GROUP BY operation, start
) AS counted;

-- name: recent_volumes
-- How many calls other workers counted, by hour, since an hour. Each permission by itself, along the primary key.
SELECT metered.permission, metered.customer, counted.operation, counted.hour, counted.calls
FROM unnest(%(permissions)s::text[], %(customers)s::text[]) AS metered (permission, customer)
CROSS JOIN LATERAL (
    SELECT operation, hour, sum(volume_count.calls)::bigint AS calls
    FROM volume_count
    WHERE permission = metered.permission AND customer = metered.customer
      AND hour >= %(since)s::timestamptz AND worker <> %(worker)s::bigint
    GROUP BY operation, hour
) AS counted;

-- name: volume_totals
-- How many calls were admitted and refused by volumes in a time, by what is asked; the most first.
SELECT CASE %(by)s::text
           WHEN 'application' THEN application_urn
           WHEN 'customer' THEN customer
           WHEN 'legal-context' THEN legal_context
           WHEN 'operation' THEN operation
           WHEN 'permission' THEN permission || ' for ' || customer
           WHEN 'month' THEN to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM')
       END AS name,
       sum(calls)::bigint AS calls, sum(refused)::bigint AS refused
FROM volume_count
WHERE hour >= %(since)s::timestamptz AND hour < %(until)s::timestamptz
GROUP BY name
ORDER BY calls DESC, name;

-- name: fullest_window
-- The window of a kind with the most admitted calls of a permission in a time, and what was refused in all of them; of
-- one operation, or of all. No row when there was none.
SELECT date_trunc(%(window)s::text, hour, 'UTC') AS start, sum(calls)::bigint AS calls,
       (sum(sum(refused)) OVER ())::bigint
FROM volume_count
WHERE permission = %(permission)s::text AND customer = %(customer)s::text
  AND hour >= %(since)s::timestamptz AND hour < %(until)s::timestamptz
  AND (%(operation)s::text IS NULL OR operation = %(operation)s::text)
GROUP BY start
ORDER BY calls DESC, start
LIMIT 1;

-- name: forget_expired_messages
-- Messages whose Timestamp expired: they would be refused for their age now (SEC-54). A bounded number at a time.
DELETE FROM replay_guard
WHERE message_key IN (
    SELECT message_key FROM replay_guard WHERE expires_at < %(before)s::timestamptz LIMIT %(row_count_max)s::integer
    FOR UPDATE SKIP LOCKED
);

-- name: answer
-- One row, when the database answers.
SELECT 1;

-- name: population_recipe
-- What the persons in this database were made from; no row when there are none.
SELECT recipe FROM population;

-- name: record_population
-- Nothing; the recipe is kept for the next start.
INSERT INTO population (recipe) VALUES (%(recipe)s)
ON CONFLICT (only_row) DO UPDATE SET recipe = EXCLUDED.recipe, made_at = now();

-- name: copy_persons
-- Persons as rows of COPY.
COPY person (ssin, register, status, replaced_by, last_name, given_names, birth_date, gender_code, decease_date,
             register_inception_date, phonetic_key)
FROM STDIN;

-- name: copy_inscriptions
-- Line sets as rows of COPY.
COPY inscription (ssin, customer, inscription_context, periods, last_changes) FROM STDIN;

-- name: lock_population
-- Nothing; one process loads a population at a time.
LOCK TABLE population IN SHARE ROW EXCLUSIVE MODE;

-- name: any_trace
-- One row, when the database holds a line set or the history of one or of a number's life.
SELECT true
WHERE EXISTS (SELECT FROM inscription)
   OR EXISTS (SELECT FROM inscription_history)
   OR EXISTS (SELECT FROM person_history);

-- name: written_since_load
-- How many changes of lines, events of numbers and mutations there are that came with no population.
SELECT (SELECT count(*) FROM inscription_history WHERE operation <> %(load_operation)s),
       (SELECT count(*) FROM person_history),
       (SELECT count(*) FROM mutation);

-- name: unseen_files
-- One row, when there is a file of the National Register that RAD-out did not leave here.
SELECT true
FROM person
WHERE register = 'nr'
  AND NOT EXISTS (SELECT FROM person_history AS event WHERE event.ssin = person.ssin AND event.event = 'radOut')
LIMIT 1;

-- name: drop_keys_of_lines
-- Nothing; what a load then adds finds no index to keep: building them at the end costs a third. To be undone in the
-- same transaction by restore_keys_of_lines.
ALTER TABLE inscription DROP CONSTRAINT inscription_pkey;
ALTER TABLE inscription_history DROP CONSTRAINT inscription_history_pkey;

-- name: restore_keys_of_lines
-- Nothing; the keys are as schema.sql has them, and a line set that came twice is refused.
ALTER TABLE inscription ADD CONSTRAINT inscription_pkey PRIMARY KEY (ssin, customer, inscription_context);
ALTER TABLE inscription_history ADD CONSTRAINT inscription_history_pkey PRIMARY KEY (ssin, change_number);

-- name: record_loaded_lines
-- Nothing; each line set of one line has the change that brought it. Run by a load into an empty database.
INSERT INTO inscription_history (ssin, customer, inscription_context, operation, before, after, changed_at, ticket_cbss)
SELECT ssin, customer, inscription_context, %(operation)s::text, '{}', periods, last_changes[1], %(ticket_cbss)s::uuid
FROM inscription
WHERE cardinality(last_changes) = 1;

-- name: record_loaded_line_by_line
-- Nothing; each line set of several lines has a change for each time at which lines came, in that order, so that the
-- history replays to the state with its times. Run by a load into an empty database.
INSERT INTO inscription_history (ssin, customer, inscription_context, operation, before, after, changed_at, ticket_cbss)
SELECT ssin, customer, inscription_context, %(operation)s::text, step.before, step.after, step.changed_at,
       %(ticket_cbss)s::uuid
FROM inscription
CROSS JOIN LATERAL (
    SELECT moment.changed_at,
           coalesce(range_agg(line.period) FILTER (WHERE line.last_change < moment.changed_at), '{}') AS before,
           range_agg(line.period) AS after
    FROM (SELECT DISTINCT unnest(last_changes) AS changed_at) AS moment
    JOIN ROWS FROM (unnest(periods), unnest(last_changes)) AS line (period, last_change)
      ON line.last_change <= moment.changed_at
    GROUP BY moment.changed_at
) AS step
WHERE cardinality(last_changes) > 1
ORDER BY ssin, customer, inscription_context, step.changed_at;

-- name: persons_with_properties
-- Persons that have all properties asked for (a null asks for nothing), by number, and how many lines each has.
SELECT person.ssin, register, status, replaced_by, last_name, given_names, birth_date, gender_code, decease_date,
       register_inception_date,
       (SELECT coalesce(sum(cardinality(last_changes)), 0)::bigint FROM inscription WHERE ssin = person.ssin)
FROM person
WHERE (%(register)s::text IS NULL OR register = %(register)s::text)
  AND (%(status)s::text IS NULL OR status = %(status)s::text)
  AND (%(is_deceased)s::boolean IS NULL OR (decease_date IS NOT NULL) = %(is_deceased)s::boolean)
  AND (%(has_incomplete_decease_date)s::boolean IS NULL
       OR coalesce(decease_date LIKE '____-__-00', false) = %(has_incomplete_decease_date)s::boolean)
  AND (%(has_birth_date)s::boolean IS NULL OR (birth_date IS NOT NULL) = %(has_birth_date)s::boolean)
  AND (%(has_complete_birth_date)s::boolean IS NULL
       OR (birth_date NOT LIKE '____-__-00') = %(has_complete_birth_date)s::boolean)
  AND (%(born_after)s::text IS NULL OR birth_date COLLATE "C" > %(born_after)s::text)
  AND (%(gender_code)s::smallint IS NULL OR gender_code = %(gender_code)s::smallint)
  AND (%(given_names_min)s::integer IS NULL OR cardinality(given_names) >= %(given_names_min)s::integer)
  AND (%(given_names_max)s::integer IS NULL OR cardinality(given_names) <= %(given_names_max)s::integer)
  AND (%(has_accents)s::boolean IS NULL
       OR (octet_length(last_name || array_to_string(given_names, ' '))
           > char_length(last_name || array_to_string(given_names, ' '))) = %(has_accents)s::boolean)
  AND (%(replaces_another)s::boolean IS NULL
       OR EXISTS (SELECT FROM person AS former WHERE former.replaced_by = person.ssin)
          = %(replaces_another)s::boolean)
  AND (%(successor_status)s::text IS NULL
       OR EXISTS (SELECT FROM person AS successor
                  WHERE successor.ssin = person.replaced_by AND successor.status = %(successor_status)s::text))
  AND (%(has_inscriptions)s::boolean IS NULL
       OR EXISTS (SELECT FROM inscription WHERE ssin = person.ssin AND NOT isempty(periods))
          = %(has_inscriptions)s::boolean)
  AND (%(customer)s::text IS NULL AND %(inscription_context)s::text IS NULL
       OR EXISTS (SELECT FROM inscription
                  WHERE ssin = person.ssin
                    AND (%(customer)s::text IS NULL OR customer = %(customer)s::text)
                    AND (%(inscription_context)s::text IS NULL
                         OR inscription_context = %(inscription_context)s::text)
                    AND NOT isempty(periods)))
ORDER BY person.ssin
LIMIT %(row_count_max)s::integer;

-- name: one_moment
-- Nothing; every statement of this transaction sees the database as it is at the first one, and writes dates as ISO.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL DateStyle = 'ISO';

-- name: export_persons
-- persons.csv (docs/populations.md).
COPY (
    SELECT lpad(ssin::text, 11, '0') AS ssin, register, status, lpad(replaced_by::text, 11, '0') AS replaced_by,
           last_name,
           nullif(array_to_string(ARRAY(
               SELECT replace(replace(given_name, '\', '\\'), '|', '\|')
               FROM unnest(given_names) WITH ORDINALITY AS given (given_name, place)
               ORDER BY place), '|'), '') AS given_names,
           birth_date, gender_code, decease_date, register_inception_date
    FROM person
    ORDER BY person.ssin
) TO STDOUT (FORMAT csv, HEADER true, ENCODING 'UTF8');

-- name: export_inscriptions
-- inscriptions.csv (docs/populations.md); a line set without lines is none there.
COPY (
    SELECT lpad(ssin::text, 11, '0') AS ssin, customer, inscription_context, line_set.periods, line_set.last_changes
    FROM inscription
    CROSS JOIN LATERAL (
        SELECT string_agg(lower(period) || '/' || coalesce((upper(period) - 1)::text, ''), ' ' ORDER BY period),
               string_agg(to_char(last_change AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), ' ' ORDER BY period)
        FROM ROWS FROM (unnest(inscription.periods), unnest(inscription.last_changes)) AS line (period, last_change)
    ) AS line_set (periods, last_changes)
    WHERE NOT isempty(inscription.periods)
    ORDER BY inscription.ssin, customer COLLATE "C", inscription_context COLLATE "C"
) TO STDOUT (FORMAT csv, HEADER true, ENCODING 'UTF8');

-- name: any_person
-- One row, when the database holds a person.
SELECT true FROM person LIMIT 1;

-- name: analyze_population
-- Nothing; the planner knows the tables' sizes at once.
ANALYZE person, inscription, inscription_history;

-- name: drop_everything
-- Nothing; the schema is empty, its history gone too: for a sandbox that starts afresh.
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;

-- name: lock_migrations
-- Nothing; one process migrates at a time. The number is this program's own.
SELECT pg_advisory_xact_lock(-20261123);

-- name: any_missing_key
-- One row, when a person has no phonetic key. Ordered, so that the index of the keys, which ends with those that are
-- missing, is read and never the whole table, whatever the planner believes of them.
SELECT true FROM person WHERE phonetic_key IS NULL ORDER BY phonetic_key LIMIT 1;

-- name: names_without_key
-- The next numbers after this one, and of each the last name when it has no phonetic key yet.
SELECT ssin, CASE WHEN phonetic_key IS NULL THEN last_name END
FROM person
WHERE ssin > %(after)s::bigint
ORDER BY ssin
LIMIT %(row_count_max)s::integer;

-- name: write_keys
-- Nothing; each of these numbers has its phonetic key.
UPDATE person
SET phonetic_key = made.phonetic_key
FROM unnest(%(ssins)s::bigint[], %(phonetic_keys)s::text[]) AS made (ssin, phonetic_key)
WHERE person.ssin = made.ssin;

-- name: analyze_persons
-- Nothing; the planner knows how many share a phonetic key.
ANALYZE person;

-- name: applied_versions
-- The versions of the migrations that this database has.
SELECT version FROM schema_migration ORDER BY version;

-- name: record_migration
-- Nothing; the migration counts as applied.
INSERT INTO schema_migration (version, name) VALUES (%(version)s, %(name)s);

-- name: lock_governance
-- Nothing; until the transaction ends, nobody else proposes or decides. The number is this program's own.
SELECT pg_advisory_xact_lock(-20261127);

-- name: governance_record
-- Every proposal with its decision, in order. One statement, so one snapshot.
SELECT proposal.proposal_number, proposal.proposed_by, proposal.content, proposal.signature,
       decision.decided_by, decision.version, decision.content, decision.signature
FROM governance_proposal AS proposal
LEFT JOIN governance_decision AS decision USING (proposal_number)
ORDER BY proposal.proposal_number;

-- name: governance_head
-- The version in force and the text of the approval that made it; no row before the first.
SELECT version, content
FROM governance_decision
WHERE version IS NOT NULL
ORDER BY version DESC
LIMIT 1;

-- name: write_proposal
-- Nothing; the proposal is in the record.
INSERT INTO governance_proposal (proposal_number, proposed_by, content, signature)
VALUES (%(proposal_number)s::bigint, %(proposed_by)s::text, %(content)s::text, %(signature)s::bytea);

-- name: write_decision
-- Nothing; the decision is in the record. The proposer is looked up, so that the constraint compares with the true one.
INSERT INTO governance_decision (proposal_number, proposed_by, decided_by, version, content, signature)
SELECT proposal_number, proposed_by, %(decided_by)s::text, %(version)s::bigint, %(content)s::text, %(signature)s::bytea
FROM governance_proposal
WHERE proposal_number = %(proposal_number)s::bigint;

-- name: history_as_of
-- The number that was current for the one asked at a moment (its lines went there, or its register said so ever since
-- we know it) and whether the chain ends; which numbers its lines came from; every change of the lines of all these
-- numbers until then, in order. One statement, so one snapshot; one row with nulls when there is no change.
WITH RECURSIVE chain (ssin, hop, seen, again) AS (
    SELECT %(ssin)s::bigint, 0, ARRAY[%(ssin)s::bigint], false
  UNION ALL
    SELECT successor.ssin, hop + 1, seen || successor.ssin, successor.ssin = ANY (seen)
    FROM chain
    CROSS JOIN LATERAL (
        SELECT replaced_by FROM replacement WHERE ssin = chain.ssin AND replaced_at <= %(as_of)s::timestamptz
      UNION ALL
        SELECT replaced_by FROM person
        WHERE ssin = chain.ssin AND status = 'replaced'
          AND NOT EXISTS (SELECT FROM replacement WHERE replacement.ssin = chain.ssin)
    ) AS successor (ssin)
    WHERE NOT again AND hop <= %(hops_max)s::integer
), current AS (
    SELECT ssin, NOT again AND hop <= %(hops_max)s::integer AS ends FROM chain ORDER BY hop DESC LIMIT 1
), source (ssin, replaced_by, ticket_cbss) AS (
    SELECT replacement.ssin, replaced_by, ticket_cbss
    FROM replacement
    JOIN current ON replacement.replaced_by = current.ssin
    WHERE replaced_at <= %(as_of)s::timestamptz
  UNION
    SELECT replacement.ssin, replacement.replaced_by, replacement.ticket_cbss
    FROM replacement
    JOIN source ON replacement.replaced_by = source.ssin
    WHERE replaced_at <= %(as_of)s::timestamptz
), sources AS (
    SELECT coalesce(array_agg(ssin), '{}') AS ssins,
           coalesce(array_agg(replaced_by), '{}') AS successors,
           coalesce(array_agg(ticket_cbss), '{}') AS tickets
    FROM source
)
SELECT current.ssin, current.ends, sources.ssins, sources.successors, sources.tickets,
       change.change_number, change.ssin, change.customer, change.inscription_context, change.operation,
       ARRAY(SELECT lower(period) FROM unnest(change.before) AS line (period) ORDER BY period),
       ARRAY(SELECT upper(period) - 1 FROM unnest(change.before) AS line (period) ORDER BY period),
       ARRAY(SELECT lower(period) FROM unnest(change.after) AS line (period) ORDER BY period),
       ARRAY(SELECT upper(period) - 1 FROM unnest(change.after) AS line (period) ORDER BY period),
       change.changed_at, change.ticket_cbss, change.customer_ticket,
       change.legal_context, change.application_urn, change.cbe_number
FROM current
CROSS JOIN sources
LEFT JOIN LATERAL (
    SELECT *
    FROM inscription_history
    WHERE ssin = ANY (sources.ssins || current.ssin)
      AND changed_at <= %(as_of)s::timestamptz
      AND (%(customer)s::text IS NULL OR customer = %(customer)s::text)
      AND (%(inscription_contexts)s::text[] IS NULL OR inscription_context = ANY (%(inscription_contexts)s::text[]))
    ORDER BY change_number
    LIMIT %(row_count_max)s::integer
) AS change ON true
ORDER BY change.change_number;

-- name: changes_of_lines
-- A page of the changes of one number's lines, in order. First and last days, both included, as arrays: the day after
-- 9999-12-31, where such a line ends for PostgreSQL, is no `date` of Python's.
SELECT change_number, ssin, customer, inscription_context, operation,
       ARRAY(SELECT lower(period) FROM unnest(before) AS line (period) ORDER BY period),
       ARRAY(SELECT upper(period) - 1 FROM unnest(before) AS line (period) ORDER BY period),
       ARRAY(SELECT lower(period) FROM unnest(after) AS line (period) ORDER BY period),
       ARRAY(SELECT upper(period) - 1 FROM unnest(after) AS line (period) ORDER BY period),
       changed_at, ticket_cbss, customer_ticket, legal_context, application_urn, cbe_number
FROM inscription_history
WHERE ssin = %(ssin)s::bigint
  AND change_number > %(after)s::bigint
  AND (%(customer)s::text IS NULL OR customer = %(customer)s::text)
  AND (%(inscription_context)s::text IS NULL OR inscription_context = %(inscription_context)s::text)
ORDER BY change_number
LIMIT %(row_count_max)s::integer;

-- name: where_lines_went
-- The number to which the lines of a replaced number went; no row when they did not.
SELECT replaced_by FROM replacement WHERE ssin = %(ssin)s::bigint;

-- name: where_lines_came_from
-- The numbers whose lines came to this one, with the time and the ticket, in that order.
SELECT ssin, replaced_at, ticket_cbss
FROM replacement
WHERE replaced_by = %(ssin)s::bigint
ORDER BY replaced_at, ssin
LIMIT %(row_count_max)s::integer;

-- name: end_of_history_slice
-- The last number of a slice of the history that begins at a number and has about so many changes; null for the last.
SELECT CASE WHEN count(*) = %(row_count_max)s::integer THEN max(ssin) END
FROM (
    SELECT ssin
    FROM inscription_history
    WHERE ssin >= %(first_ssin)s::bigint
    ORDER BY ssin
    LIMIT %(row_count_max)s::integer
) AS slice;

-- name: history_discrepancies
-- Where the history of the numbers of a slice does not replay to their lines (domain/history.py, DiscrepancyKind).
-- Lines that a replacement brought have times of another number's history: of numbers that replace others, the times
-- are left alone here.
WITH change AS (
    SELECT ssin, customer, inscription_context, change_number, before, after, changed_at,
           lag(after, 1, '{}') OVER line_set AS left_before,
           lead(change_number) OVER line_set IS NULL AS is_last
    FROM inscription_history
    WHERE ssin BETWEEN %(first_ssin)s::bigint AND %(last_ssin)s::bigint
    WINDOW line_set AS (PARTITION BY ssin, customer, inscription_context ORDER BY change_number)
), line_set AS (
    SELECT ssin, customer, inscription_context, periods, last_changes
    FROM inscription
    WHERE ssin BETWEEN %(first_ssin)s::bigint AND %(last_ssin)s::bigint
), brought AS (
    SELECT DISTINCT ON (ssin, customer, inscription_context, line.period)
           ssin, customer, inscription_context, line.period, changed_at
    FROM change
    CROSS JOIN LATERAL unnest(after) AS line (period)
    WHERE NOT EXISTS (SELECT FROM unnest(before) AS former (period) WHERE former.period = line.period)
    ORDER BY ssin, customer, inscription_context, line.period, change_number DESC
), found AS (
    SELECT 'gap' AS kind, ssin, customer, inscription_context, change_number
    FROM change
    WHERE before <> left_before
  UNION ALL
    SELECT 'state', ssin, customer, inscription_context, NULL
    FROM (SELECT ssin, customer, inscription_context, after FROM change WHERE is_last) AS last_change
    FULL JOIN line_set USING (ssin, customer, inscription_context)
    WHERE coalesce(after, '{}') <> coalesce(periods, '{}')
  UNION ALL
    SELECT DISTINCT 'lastChange', ssin, customer, inscription_context, NULL::bigint
    FROM line_set
    CROSS JOIN LATERAL ROWS FROM (unnest(periods), unnest(last_changes)) AS line (period, last_change)
    JOIN brought USING (ssin, customer, inscription_context, period)
    WHERE last_change <> changed_at
      AND NOT EXISTS (SELECT FROM replacement WHERE replaced_by = line_set.ssin)
  UNION ALL
    SELECT 'stranded', ssin, customer, inscription_context, NULL
    FROM line_set
    JOIN replacement USING (ssin)
    WHERE NOT isempty(periods)
)
SELECT kind, ssin, customer, inscription_context, change_number
FROM found
ORDER BY ssin, customer, inscription_context, kind, change_number
LIMIT %(row_count_max)s::integer;

-- name: mutations_after
-- The first mutations of a customer after a sequence number that are in one of the contexts, in order; each row, or the
-- only one when there are none, begins with the number of the newest. Numbers have no gaps, so that so many rows are so
-- many numbers; and who waits for the counter's row takes the next number after the commit of the one before, so that a
-- snapshot with a mutation has every earlier one.
SELECT newest.sequence_number, seen.*
FROM (
    SELECT coalesce(max(sequence_number), 0) AS sequence_number FROM mutation WHERE customer = %(customer)s::text
) AS newest
LEFT JOIN LATERAL (
    SELECT sequence_number, ssin, event, current_ssin, inscription_contexts, recorded_at
    FROM mutation
    WHERE customer = %(customer)s::text
      AND sequence_number > %(after)s::bigint
      AND sequence_number <= %(after)s::bigint + %(scanned_max)s::bigint
      AND inscription_contexts && %(inscription_contexts)s::text[]
    ORDER BY sequence_number
    LIMIT %(row_count_max)s::integer
) AS seen ON true
ORDER BY seen.sequence_number;

-- name: link_audit_records
-- How many records were chained now; see the function.
SELECT link_audit_records(%(record_count_max)s::integer, %(gap_seconds_max)s::integer);

-- name: make_audit_month
-- Nothing; the journal has a partition for this day's month, unless records of it came first.
SELECT make_audit_month(%(day)s::date);

-- name: try_to_lead_seals
-- Whether this connection may seal now: one does at a time. The number is this program's own.
SELECT pg_try_advisory_lock(-20261124);

-- name: stop_leading_seals
-- Nothing; others may seal.
SELECT pg_advisory_unlock(-20261124);

-- name: sealed_through
-- The last link under a seal, and when it was sealed; one row.
SELECT coalesce(max(last_sequence_number), 0), max(sealed_at) FROM audit_seal;

-- name: unsealed_links
-- The links after the last seal, in their order.
SELECT sequence_number, record_hash, chain_hash
FROM audit_link
WHERE sequence_number > %(after)s::bigint
ORDER BY sequence_number
LIMIT %(row_count_max)s::integer;

-- name: write_seal
-- Nothing; the seal is kept, unless another one of the same links came first.
INSERT INTO audit_seal (first_sequence_number, last_sequence_number, sealed_at, statement, token)
VALUES (%(first)s::bigint, %(last)s::bigint, %(sealed_at)s::timestamptz, %(statement)s::text, %(token)s::bytea)
ON CONFLICT DO NOTHING;

-- name: audit_backlog
-- For how many seconds nobody looked at the journal, and how old its oldest link without a seal is; one row.
SELECT extract(epoch FROM clock_timestamp() - looked_at)::double precision,
       coalesce(extract(epoch FROM clock_timestamp() - (
           SELECT linked_at
           FROM audit_link
           WHERE sequence_number > (SELECT coalesce(max(last_sequence_number), 0) FROM audit_seal)
           ORDER BY sequence_number
           LIMIT 1
       )), 0)::double precision
FROM audit_chain;

-- name: lock_audit_recovery
-- Until when every change has its record, until when that can be said next, and whether there is more to be said then; no row
-- while another process is at it.
SELECT chain.recovered_until, least(part.until, past.until), part.until < past.until
FROM audit_chain AS chain
CROSS JOIN LATERAL (
    SELECT chain.recovered_until + make_interval(secs => %(recovered_seconds_max)s::double precision) AS until
) AS part
CROSS JOIN (SELECT clock_timestamp() - make_interval(secs => %(grace_seconds)s::double precision) AS until) AS past
FOR UPDATE OF chain SKIP LOCKED;

-- name: unrecorded_changes
-- What declarations changed in this time, in no record of the journal: of each ticket its first change. Chunks are looked
-- for around this time only, where their partitions are, and each is read once, however many changes are of one millisecond.
WITH changed AS MATERIALIZED (
    SELECT DISTINCT ON (ticket_cbss)
           ticket_cbss, changed_at, customer_ticket, application_urn, cbe_number, operation, customer, legal_context,
           inscription_context, ssin
    FROM inscription_history AS change
    WHERE changed_at >= %(since)s::timestamptz AND changed_at < %(until)s::timestamptz
      AND application_urn IS NOT NULL
      AND NOT EXISTS (SELECT FROM audit_record AS record WHERE record.ticket_cbss = change.ticket_cbss)
    ORDER BY ticket_cbss, change_number
), unrecorded AS (
    SELECT ticket_cbss FROM changed
    EXCEPT
    SELECT unnest(chunk.tickets)
    FROM (SELECT DISTINCT first_of_millisecond(ticket_cbss) AS first FROM changed) AS moment
    JOIN audit_chunk AS chunk ON chunk.first_ticket BETWEEN moment.first AND last_of_millisecond(moment.first)
    WHERE chunk.received_at >= %(since)s::timestamptz - interval '1 day'
      AND chunk.received_at < %(until)s::timestamptz + interval '1 day'
)
SELECT changed.*
FROM changed
JOIN unrecorded USING (ticket_cbss)
ORDER BY ticket_cbss;

-- name: note_audit_recovery
-- Nothing; every change before then has its record.
UPDATE audit_chain SET recovered_until = %(until)s::timestamptz;

-- name: chained_records
-- The links of a range, each with its record, in their order: more than once, where that is there more than once. A chunk is
-- read once for all links to its records. A time that Python does not have is given as one that no record has.
WITH link AS MATERIALIZED (
    SELECT sequence_number, record_hash, chain_hash, ticket_cbss, received_at
    FROM audit_link
    WHERE sequence_number > %(after)s::bigint AND sequence_number <= %(last)s::bigint
    ORDER BY sequence_number
    LIMIT %(row_count_max)s::integer
), record AS (
    SELECT received_at, ticket_cbss, content
    FROM (SELECT DISTINCT received_at, ticket_cbss FROM link) AS place
    JOIN audit_record AS record USING (received_at, ticket_cbss)
    UNION ALL
    SELECT record.*
    FROM (SELECT DISTINCT received_at, first_of_millisecond(ticket_cbss) AS first FROM link) AS moment
    CROSS JOIN LATERAL (
        SELECT received_at, ticket_cbss, content
        FROM audit_chunk_record
        WHERE received_at = moment.received_at
          AND first_ticket BETWEEN moment.first AND last_of_millisecond(moment.first)
        OFFSET 0  -- by index, a chunk after the other: as a join it might read them all
    ) AS record
)
SELECT link.sequence_number, link.record_hash, link.chain_hash, record.content, link.ticket_cbss,
       least(greatest(link.received_at, '0001-01-02Z'), '9999-12-30Z'),
       EXISTS (
           SELECT FROM audit_archive AS archive
           WHERE archive.month = date_trunc('month', link.received_at AT TIME ZONE 'UTC')::date
       )
FROM link
LEFT JOIN record USING (received_at, ticket_cbss)
ORDER BY link.sequence_number;

-- name: last_link
-- The number of the last link; one row.
SELECT coalesce(max(sequence_number), 0) FROM audit_link;

-- name: seals_between
-- The seals that end in a range, in their order; without an end of the range, all from its beginning.
SELECT last_sequence_number, statement, token
FROM audit_seal
WHERE last_sequence_number > %(after)s::bigint
  AND last_sequence_number <= coalesce(%(last)s::bigint, 9223372036854775807)
ORDER BY last_sequence_number
LIMIT %(row_count_max)s::integer;

-- name: end_of_chain
-- Where the chain stands, as those know who make it; one row.
SELECT sequence_number, chain_hash FROM audit_chain;

-- name: unchained_records
-- Records whose turn to be chained is past, or never comes, and which never were; of those received from `since` on, where it is
-- said, here and in the two queries below. As sets: a search for each would read all links of a chunk.
SELECT ticket_cbss
FROM (
    SELECT received_at, ticket_cbss
    FROM audit_ticket AS record
    WHERE (record_number <= (SELECT record_number FROM audit_chain)
           OR record_number > (SELECT last_value FROM audit_record_number))
      AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
      AND NOT EXISTS (SELECT FROM audit_gap AS gap WHERE gap.record_number = record.record_number)
    EXCEPT
    SELECT received_at, ticket_cbss FROM audit_link
    WHERE (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
) AS unchained
LIMIT %(row_count_max)s::integer;

-- name: repeated_records
-- Records that were chained more than once, or would be at the next look, each with the last link to it.
SELECT max(sequence_number), ticket_cbss
FROM (
    SELECT sequence_number, received_at, ticket_cbss FROM audit_link
    UNION ALL
    SELECT NULL, received_at, ticket_cbss
    FROM audit_ticket
    WHERE record_number > (SELECT record_number FROM audit_chain)
) AS chained
WHERE (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
GROUP BY received_at, ticket_cbss
HAVING count(*) > 1 AND count(sequence_number) > 0
LIMIT %(row_count_max)s::integer;

-- name: indexed_records
-- Every record under what it is found at, its own ticket or the first one of its chunk; and apart from it the hashes that find
-- something there. A record of a chunk comes with what else it is found by: its ticket, its customer's, and its persons' hashes.
-- In the order of their time: each kind is read in it by index, or sorted where it is small, for the texts of a whole journal
-- should not be. Times as chained_records gives them; arrays of hashes as they are searched, of one dimension.
SELECT least(greatest(received_at, '0001-01-02Z'), '9999-12-30Z'), found_at, content, ticket_cbss, customer_ticket, persons,
       hashes
FROM (
    (SELECT received_at, ticket_cbss AS found_at, content, NULL::uuid AS ticket_cbss, NULL::text AS customer_ticket,
            NULL::text AS persons, NULL::bytea[] AS hashes
     FROM audit_record
     WHERE (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
     ORDER BY received_at)
    UNION ALL
    (SELECT received_at, first_ticket, content, ticket_cbss, customer_ticket,
            concat('"hash":"', encode(person_hash, 'hex'), '"', other_persons), NULL
     FROM audit_chunk_record
     WHERE (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
     ORDER BY received_at)
    UNION ALL
    (SELECT received_at, ticket_cbss, NULL, NULL, NULL, NULL, ARRAY[person_hash]
     FROM audit_person
     WHERE (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
     ORDER BY received_at)
    UNION ALL
    (SELECT received_at, first_ticket, NULL, NULL, NULL, NULL, ARRAY(SELECT unnest(person_hashes))
     FROM audit_chunk
     WHERE (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
     ORDER BY received_at)
) AS found
ORDER BY received_at;

-- name: links_received
-- The first and the last link of what was received in this time; one row, of NULLs when nothing was.
SELECT min(sequence_number), max(sequence_number)
FROM (
    SELECT sequence_number
    FROM audit_link
    WHERE received_at >= coalesce(%(since)s::timestamptz, '-infinity')
      AND received_at < coalesce(%(until)s::timestamptz, 'infinity')
    OFFSET 0  -- those of the time: by their numbers, all that came before might be read
) AS link;

-- name: whole_seals
-- These links, extended to whole seals, and the chain's hash before the first and at the last of them; one row, of NULLs when there
-- are none.
WITH received AS (
    SELECT %(first)s::bigint AS first, %(last)s::bigint AS last
), whole AS (
    SELECT coalesce(
               (SELECT first_sequence_number FROM audit_seal WHERE last_sequence_number >= received.first
                ORDER BY last_sequence_number LIMIT 1),
               (SELECT max(last_sequence_number) + 1 FROM audit_seal),
               received.first
           ) AS first,
           coalesce(
               (SELECT last_sequence_number FROM audit_seal WHERE last_sequence_number >= received.last
                ORDER BY last_sequence_number LIMIT 1),
               received.last
           ) AS last
    FROM received
    WHERE received.first IS NOT NULL
)
SELECT whole.first, whole.last, former.chain_hash, ending.chain_hash
FROM whole
LEFT JOIN audit_link AS former ON former.sequence_number = whole.first - 1
LEFT JOIN audit_link AS ending ON ending.sequence_number = whole.last;

-- name: search_audit_records
-- The records that fit all that is said, oldest first: those of persons and of a ticket by index, else all of the time are read.
-- Members are looked for as they stand in the canonical text: jsonb does not take every string that JSON has.
SELECT record.content
FROM (
    SELECT received_at, ticket_cbss, content
    FROM audit_records_found_by(%(hashes)s::bytea[], %(since)s::timestamptz, %(until)s::timestamptz)
    WHERE %(ticket_cbss)s::uuid IS NULL OR ticket_cbss = %(ticket_cbss)s::uuid
    UNION ALL
    SELECT received_at, %(ticket_cbss)s::uuid, content
    FROM audit_records_under(%(ticket_cbss)s::uuid)
    WHERE %(hashes)s::bytea[] IS NULL
    UNION ALL
    SELECT received_at, ticket_cbss, content
    FROM audit_journal
    WHERE %(hashes)s::bytea[] IS NULL AND %(ticket_cbss)s::uuid IS NULL
) AS record
WHERE (%(since)s::timestamptz IS NULL OR received_at >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR received_at < %(until)s::timestamptz)
  AND NOT EXISTS (SELECT FROM unnest(%(members)s::text[]) AS member WHERE strpos(content, member) = 0)
ORDER BY received_at, ticket_cbss
LIMIT %(row_count_max)s::integer;

-- name: evidence_of
-- The request of a ticket, sealed, and the id of its key.
SELECT key, sealed FROM audit_evidence WHERE ticket_cbss = %(ticket_cbss)s::uuid;

-- name: delete_evidence_of
-- Nothing; the request of this ticket is gone.
DELETE FROM audit_evidence WHERE ticket_cbss = %(ticket_cbss)s::uuid;

-- name: delete_evidence_before
-- Nothing; requests that came before then are gone.
DELETE FROM audit_evidence WHERE received_at < %(before)s::timestamptz;

-- name: audit_archives
-- The archived months, in the order of their files, and whether the file is deleted.
SELECT month, file_name, first_sequence_number, last_sequence_number, digest,
       EXISTS (SELECT FROM audit_expired AS expired WHERE expired.file_name = archive.file_name)
FROM audit_archive AS archive
ORDER BY last_sequence_number, month;

-- name: archive_files_with
-- The archive files that have some of these links, in their order; deleted ones are left out.
SELECT archive.file_name, archive.digest
FROM audit_archive AS archive
WHERE archive.first_sequence_number <= %(last)s::bigint AND archive.last_sequence_number >= %(first)s::bigint
  AND NOT EXISTS (SELECT FROM audit_expired AS expired WHERE expired.file_name = archive.file_name)
GROUP BY archive.file_name, archive.digest
ORDER BY max(archive.last_sequence_number);

-- name: months_to_archive
-- The months in partitions of their own that ended before then, in their order. The link that the file of each ends with:
-- the last under the seal over its last record; NULL while not all its records are chained and sealed. They are counted here,
-- and compared when the month leaves.
WITH month AS (
    SELECT date_trunc('month', received_at AT TIME ZONE 'UTC')::date AS begins, sum(record_count) AS record_count
    FROM (
        SELECT received_at, 1 AS record_count FROM audit_record
        UNION ALL
        SELECT received_at, record_count FROM audit_chunk
    ) AS received
    WHERE received_at < %(before)s::timestamptz
    GROUP BY 1
), chained AS (
    SELECT date_trunc('month', received_at AT TIME ZONE 'UTC')::date AS begins, count(*) AS link_count,
           max(sequence_number) AS last
    FROM audit_link
    WHERE received_at >= (SELECT min(begins)::timestamp AT TIME ZONE 'UTC' FROM month)
      AND received_at < %(before)s::timestamptz
    GROUP BY 1
)
SELECT month.begins, CASE WHEN month.record_count = chained.link_count THEN seal.last_sequence_number END
FROM month
LEFT JOIN chained USING (begins)
LEFT JOIN LATERAL (
    SELECT last_sequence_number FROM audit_seal WHERE last_sequence_number >= chained.last
    ORDER BY last_sequence_number LIMIT 1
) AS seal ON true
WHERE to_regclass('audit_record_' || to_char(month.begins, 'YYYY_MM')) IS NOT NULL
ORDER BY month.begins;

-- name: write_archive
-- Nothing; the month counts as archived.
INSERT INTO audit_archive (month, file_name, first_sequence_number, last_sequence_number, digest, archived_at)
VALUES (%(month)s::date, %(file_name)s::text, %(first)s::bigint, %(last)s::bigint, %(digest)s::bytea,
        %(archived_at)s::timestamptz);

-- name: drop_audit_month
-- Nothing; the month's partitions are gone.
SELECT drop_audit_month(%(month)s::date);

-- name: hash_at_link
-- The chain's hash at a link.
SELECT chain_hash FROM audit_link WHERE sequence_number = %(sequence_number)s::bigint;

-- name: write_expired
-- Nothing; the file counts as deleted.
INSERT INTO audit_expired (file_name, expired_at) VALUES (%(file_name)s::text, %(expired_at)s::timestamptz);

-- name: write_hold
-- The number of the hold that is placed now.
INSERT INTO audit_hold (hold_id, person, since, until, reason, operator, placed_at)
VALUES (%(hold_id)s::uuid, %(person)s::text, %(since)s::timestamptz, %(until)s::timestamptz, %(reason)s::text,
        %(operator)s::text, %(placed_at)s::timestamptz)
RETURNING hold_number;

-- name: release_hold
-- Nothing; the hold holds nothing any more.
UPDATE audit_hold
SET released_at = %(released_at)s::timestamptz
WHERE hold_number = %(hold_number)s::bigint AND released_at IS NULL;

-- name: audit_holds
-- Every hold, released ones included.
SELECT hold_number, hold_id, person, since, until, reason, operator, placed_at, released_at
FROM audit_hold
ORDER BY hold_number;

-- name: any_held_record
-- One row, when a record of this time is about one of these, or about anybody when none are named.
SELECT true
WHERE EXISTS (
        SELECT FROM audit_records_found_by(%(hashes)s::bytea[], %(since)s::timestamptz, %(until)s::timestamptz)
      )
   OR %(hashes)s::bytea[] IS NULL AND EXISTS (
        SELECT FROM audit_ticket
        WHERE received_at >= %(since)s::timestamptz AND received_at < %(until)s::timestamptz
      );

-- name: audit_record_of_ticket
-- The record under our ticket.
SELECT content FROM audit_records_under(%(ticket_cbss)s::uuid);

-- name: audit_records_of_customer_ticket
-- The records under a customer's ticket in a time, the first first: the ticket as a JSON text, and as the member of a record's
-- text that it is. Only those chunks are read whole that have the ticket.
SELECT content
FROM (
    SELECT received_at, ticket_cbss, content
    FROM audit_record
    WHERE received_at >= %(since)s::timestamptz AND received_at < %(until)s::timestamptz
      AND strpos(content, %(member)s::text) > 0
    UNION ALL
    SELECT received_at, ticket_cbss, content
    FROM audit_chunk_record
    WHERE received_at >= %(since)s::timestamptz AND received_at < %(until)s::timestamptz
      AND %(customer_ticket_text)s::text = ANY (customer_tickets)
      AND customer_ticket = %(customer_ticket_text)s::text
) AS record
ORDER BY received_at, ticket_cbss
LIMIT %(row_count_max)s::integer;

-- name: audit_records_of_person
-- The newest records that are found by one of the hashes, each once, newest first.
SELECT content
FROM audit_records_found_by(%(hashes)s::bytea[], %(since)s::timestamptz, %(until)s::timestamptz)
ORDER BY received_at DESC, ticket_cbss
LIMIT %(row_count_max)s::integer;

-- name: numbers_of_person
-- Every number of the person who bears or bore a number: the current one first, and whether the replacements end there.
-- Where lines went goes before what a register says, as in history_as_of.
WITH RECURSIVE chain (ssin, hop, seen, again) AS (
    SELECT %(ssin)s::bigint, 0, ARRAY[%(ssin)s::bigint], false
  UNION ALL
    SELECT successor.ssin, hop + 1, seen || successor.ssin, successor.ssin = ANY (seen)
    FROM chain
    CROSS JOIN LATERAL (
        SELECT replaced_by FROM replacement WHERE ssin = chain.ssin
      UNION ALL
        SELECT replaced_by FROM person
        WHERE ssin = chain.ssin AND status = 'replaced'
          AND NOT EXISTS (SELECT FROM replacement WHERE replacement.ssin = chain.ssin)
    ) AS successor (ssin)
    WHERE NOT again AND hop <= %(hops_max)s::integer
), current AS (
    SELECT ssin, NOT again AND hop <= %(hops_max)s::integer AS ends FROM chain ORDER BY hop DESC LIMIT 1
), former (ssin) AS (
    SELECT ssin FROM current
  UNION
    SELECT earlier.ssin
    FROM former
    CROSS JOIN LATERAL (
        SELECT ssin FROM replacement WHERE replaced_by = former.ssin
      UNION ALL
        SELECT ssin FROM person
        WHERE replaced_by = former.ssin
          AND NOT EXISTS (SELECT FROM replacement WHERE replacement.ssin = person.ssin)
    ) AS earlier (ssin)
)
SELECT former.ssin, current.ends
FROM former
CROSS JOIN current
ORDER BY former.ssin <> current.ssin, former.ssin
LIMIT %(row_count_max)s::integer;

-- name: lines_of_numbers
-- The lines under some numbers, of every organisation.
SELECT inscription_context, customer, lower(period) AS begin_date, upper(period) - 1, last_change
FROM inscription
CROSS JOIN LATERAL ROWS FROM (unnest(periods), unnest(last_changes)) AS line (period, last_change)
WHERE ssin = ANY (%(ssins)s::bigint[])
ORDER BY customer, inscription_context, begin_date
LIMIT %(row_count_max)s::integer;

-- name: mutations_about
-- What organisations were told of some numbers in a time, newest first.
SELECT customer, event, inscription_contexts, recorded_at
FROM mutation
WHERE ssin = ANY (%(ssins)s::bigint[])
  AND (%(since)s::timestamptz IS NULL OR recorded_at >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR recorded_at < %(until)s::timestamptz)
ORDER BY recorded_at DESC, customer, sequence_number
LIMIT %(row_count_max)s::integer;

-- name: archived_until
-- The day with which the journal begins that is still in the database; NULL when no month was archived. One row.
SELECT (max(month) + interval '1 month')::date FROM audit_archive;

-- -- batches (docs/batch.md) --------------------------------------------------------------------------------------------

-- name: batches_of_sender
-- The batch of a sender with this sequence number, if any, who asked for it, and its last sequence number; one row.
SELECT (SELECT max(sequence_number) FROM batch WHERE sender = %(sender)s::text),
       batch.batch_id, batch.digest, batch.application_urn, batch.cbe_number, batch.header
FROM (SELECT 1) AS always
LEFT JOIN batch ON batch.sender = %(sender)s::text AND batch.sequence_number = %(sequence_number)s::bigint;

-- name: try_lock_sender
-- Whether until the transaction ends no other one takes in a batch of this sender: its numbers are counted one by one. Senders
-- that share a hash follow each other.
SELECT pg_try_advisory_xact_lock(hashtext('batches of a sender'), hashtext(%(sender)s::text));

-- name: insert_batch
-- Nothing; the batch is there, as long as its lines are read for this transaction only.
INSERT INTO batch (batch_id, sender, sequence_number, digest, header, application_urn, cbe_number, environment,
                   certificate, state, line_count, submitted_at)
VALUES (%(batch_id)s::uuid, %(sender)s::text, %(sequence_number)s::bigint, %(digest)s::bytea, %(header)s::text,
        %(application_urn)s::text, %(cbe_number)s::text, %(environment)s::text, %(certificate)s::text, 'running', 0,
        %(submitted_at)s::timestamptz);

-- name: copy_chunks
-- Chunks of a block as rows of COPY.
COPY batch_chunk (batch_id, lane, block, last_line, line_count, lines) FROM STDIN WITH (FORMAT binary);

-- name: open_lanes
-- Nothing; the batch has its number of lines, and a lane for each that has lines. One without any line is done.
WITH read AS (
    UPDATE batch
    SET line_count = %(line_count)s::bigint,
        state = CASE WHEN %(line_count)s::bigint = 0 THEN 'done' ELSE state END,
        finished_at = CASE WHEN %(line_count)s::bigint = 0 THEN submitted_at END
    WHERE batch_id = %(batch_id)s::uuid
)
INSERT INTO batch_lane (batch_id, lane, next_block)
SELECT batch_id, lane, min(block) FROM batch_chunk WHERE batch_id = %(batch_id)s::uuid GROUP BY batch_id, lane;

-- name: numbers_that_carry_on
-- For those of some numbers that were replaced: the number at which the replacements end, as far as they are followed. Where
-- lines went goes before what a register says.
WITH RECURSIVE chain (asked, ssin, hop) AS (
    SELECT number, coalesce(replacement.replaced_by, person.replaced_by), 1
    FROM unnest(%(ssins)s::bigint[]) AS number
    LEFT JOIN replacement ON replacement.ssin = number
    LEFT JOIN person ON person.ssin = number AND person.status = 'replaced'
    WHERE coalesce(replacement.replaced_by, person.replaced_by) IS NOT NULL
  UNION ALL
    SELECT chain.asked, coalesce(replacement.replaced_by, person.replaced_by), chain.hop + 1
    FROM chain
    LEFT JOIN replacement ON replacement.ssin = chain.ssin
    LEFT JOIN person ON person.ssin = chain.ssin AND person.status = 'replaced'
    WHERE coalesce(replacement.replaced_by, person.replaced_by) IS NOT NULL AND chain.hop <= %(hops_max)s::integer
)
SELECT DISTINCT ON (asked) asked, ssin FROM chain ORDER BY asked, hop DESC;

-- name: claim_lane
-- The next chunk that nobody works on, its lane locked until the transaction ends; no row when there is none. Batches take
-- turns: first the one of which nothing was done for the longest time, so that a small one never waits behind a large one.
-- Of a lane it is the next, or the first that has lines whose source was away, when it is time to try those again.
-- A lane is at most two blocks ahead of the slowest that is not let be for a time: the cut of a batch that is canceled stands
-- behind the last block that anybody began, and answers are read in the order of the file. The transaction may be silent then.
SELECT lane.batch_id, lane.lane, chunk.block, CASE chunk.block WHEN lane.next_block THEN 0 ELSE lane.attempts END,
       coalesce(lane.waiting_block < chunk.block, false), chunk.lines, chunk.answers, batch.header,
       batch.application_urn, batch.cbe_number, batch.environment, batch.certificate, batch.digest,
       set_config('idle_in_transaction_session_timeout', %(silent_milliseconds)s::text, true)
FROM batch
CROSS JOIN LATERAL (
    SELECT max(worked_at) AS worked_at,
           min(next_block) FILTER (WHERE not_before IS NULL OR not_before <= clock_timestamp()) AS slowest_block
    FROM batch_lane WHERE batch_lane.batch_id = batch.batch_id
) AS latest
JOIN batch_lane AS lane ON lane.batch_id = batch.batch_id
JOIN batch_chunk AS chunk
  ON chunk.batch_id = lane.batch_id AND chunk.lane = lane.lane
 AND chunk.block = CASE WHEN lane.retry_at <= statement_timestamp() THEN coalesce(lane.waiting_block, lane.next_block)
                        ELSE lane.next_block END
WHERE batch.state IN ('running', 'canceling')
  AND (lane.not_before IS NULL OR lane.not_before <= clock_timestamp())
  AND (batch.cut_after_block IS NULL OR chunk.block <= batch.cut_after_block)
  AND (latest.slowest_block IS NULL OR chunk.block <= latest.slowest_block + 2)
ORDER BY latest.worked_at NULLS FIRST, batch.submitted_at, chunk.block, lane.lane
LIMIT 1
FOR UPDATE OF lane SKIP LOCKED;

-- name: cut_of_batch
-- After which block a batch is cut off by now, if it is. To be asked after claim_lane, as a statement of its own: a
-- cancellation that waited for no lane is seen, and one that is to come waits for this one.
SELECT cut_after_block FROM batch WHERE batch_id = %(batch_id)s::uuid;

-- name: numbers_waiting
-- Those of some numbers of which a line in an earlier chunk of a lane waits for its source.
SELECT DISTINCT number
FROM batch_chunk
CROSS JOIN unnest(waiting) AS number
WHERE batch_id = %(batch_id)s::uuid AND lane = %(lane)s::integer AND block < %(block)s::integer
  AND number = ANY (%(numbers)s::bigint[]);

-- name: answer_chunk
-- One row; the chunk has these answers, and its lane goes on. Lines that wait for a source are tried again after a time, the
-- oldest chunk of the lane first. Whether the batch may be finished then: the lane is at its end, or there is a cut.
WITH answered AS (
    UPDATE batch_chunk
    SET answers = %(answers)s::bytea, lines_answered = %(lines_answered)s::integer, outcomes = %(outcomes)s::jsonb,
        waiting = %(waiting)s::bigint[], answered_at = clock_timestamp()
    WHERE batch_id = %(batch_id)s::uuid AND lane = %(lane)s::integer AND block = %(block)s::integer
    RETURNING waiting IS NOT NULL AS waits
)
UPDATE batch_lane AS lane
SET next_block = CASE lane.next_block
                     WHEN %(block)s::integer THEN (SELECT min(block) FROM batch_chunk AS later
                                                   WHERE later.batch_id = lane.batch_id AND later.lane = lane.lane
                                                     AND later.block > %(block)s::integer)
                     ELSE lane.next_block END,
    waiting_block = CASE WHEN answered.waits THEN least(lane.waiting_block, %(block)s::integer)
                         WHEN lane.waiting_block = %(block)s::integer
                         THEN (SELECT min(block) FROM batch_chunk AS later
                               WHERE later.batch_id = lane.batch_id AND later.lane = lane.lane
                                 AND later.block > %(block)s::integer AND later.waiting IS NOT NULL)
                         ELSE lane.waiting_block END,
    attempts = CASE WHEN answered.waits AND coalesce(lane.waiting_block >= %(block)s::integer, true)
                    THEN %(attempts)s::integer ELSE lane.attempts END,
    retry_at = CASE WHEN answered.waits AND coalesce(lane.waiting_block >= %(block)s::integer, true)
                    THEN clock_timestamp() + make_interval(secs => %(wait_seconds)s::double precision)
                    ELSE lane.retry_at END,
    not_before = NULL,
    worked_at = clock_timestamp()
FROM answered
WHERE lane.batch_id = %(batch_id)s::uuid AND lane.lane = %(lane)s::integer
RETURNING lane.next_block IS NULL OR (SELECT cut_after_block IS NOT NULL FROM batch WHERE batch_id = lane.batch_id);

-- name: postpone_lane
-- Nothing; the lane is let be for a time.
UPDATE batch_lane
SET not_before = clock_timestamp() + make_interval(secs => %(wait_seconds)s::double precision)
WHERE batch_id = %(batch_id)s::uuid AND lane = %(lane)s::integer;

-- name: finish_batches
-- The batches that are finished now: every lane is at the end, or at the cut.
UPDATE batch
SET state = CASE state WHEN 'canceling' THEN 'canceled' ELSE 'done' END, finished_at = clock_timestamp()
WHERE state IN ('running', 'canceling')
  AND NOT EXISTS (
      SELECT FROM batch_lane AS lane
      WHERE lane.batch_id = batch.batch_id AND least(lane.next_block, lane.waiting_block) IS NOT NULL
        AND (batch.cut_after_block IS NULL
             OR least(lane.next_block, lane.waiting_block) <= batch.cut_after_block)
  )
RETURNING batch_id;

-- name: cancel_batch
-- Nothing; of a batch that is running no block begins any more that nobody began: those of which some lines are answered, or
-- worked on at this moment by those for whom this waited, are brought to their end.
UPDATE batch
SET state = 'canceling',
    cut_after_block = coalesce(begun.block, -1),
    cut_after = coalesce((
        SELECT max(last_line) FROM batch_chunk AS chunk
        WHERE chunk.batch_id = batch.batch_id AND chunk.block <= begun.block
    ), 0)
FROM (SELECT max(block) AS block FROM batch_chunk
      WHERE batch_id = %(batch_id)s::uuid AND answers IS NOT NULL) AS begun
WHERE batch_id = %(batch_id)s::uuid AND state = 'running';

-- name: lock_lanes
-- Nothing; nobody works on this batch now, and nobody will until the transaction ends.
SELECT lane FROM batch_lane WHERE batch_id = %(batch_id)s::uuid ORDER BY lane FOR UPDATE;

-- name: batch_status
-- How a batch is going; no row when there is none. Outcomes: of each chunk an array of [code, lines, [first lines]].
SELECT batch.header, batch.digest, batch.application_urn, batch.cbe_number, batch.state, batch.line_count,
       batch.cut_after, batch.submitted_at, batch.finished_at, done.lines_answered, done.began_at, done.lines_waiting
FROM batch
CROSS JOIN LATERAL (
    SELECT coalesce(sum(lines_answered), 0)::bigint AS lines_answered, min(answered_at) AS began_at,
           coalesce(sum(line_count - lines_answered) FILTER (WHERE waiting IS NOT NULL), 0)::bigint AS lines_waiting
    FROM batch_chunk AS chunk
    WHERE chunk.batch_id = batch.batch_id
) AS done
WHERE batch.batch_id = %(batch_id)s::uuid;

-- name: batch_outcomes
-- How many lines of a batch ended with each code, the most first, and the numbers of the first of them. Who follows a batch asks this
-- every second: the lines are looked for in the order of the blocks, and only until there are enough.
WITH counted AS (
    SELECT part ->> 0 AS code, sum((part ->> 1)::bigint)::bigint AS lines,
           min(block) AS first_block, max(block) AS last_block
    FROM batch_chunk
    CROSS JOIN jsonb_array_elements(outcomes) AS part
    WHERE batch_id = %(batch_id)s::uuid
    GROUP BY 1
)
SELECT counted.code, counted.lines,
       ARRAY(SELECT line::bigint
             FROM batch_chunk
             CROSS JOIN jsonb_array_elements(outcomes) AS part
             CROSS JOIN jsonb_array_elements_text(part -> 2) AS line
             WHERE batch_id = %(batch_id)s::uuid AND block BETWEEN counted.first_block AND counted.last_block
               AND outcomes @> jsonb_build_array(jsonb_build_array(counted.code)) AND part ->> 0 = counted.code
             ORDER BY block, line::bigint
             LIMIT least(%(first_lines)s::integer, counted.lines))
FROM counted
ORDER BY counted.lines DESC, counted.code;

-- name: batch_reach
-- The state of a batch, and the first of its blocks that is not answered whole, if there is one; no row when there is none.
SELECT state, (SELECT min(least(next_block, waiting_block)) FROM batch_lane WHERE batch_lane.batch_id = batch.batch_id)
FROM batch
WHERE batch_id = %(batch_id)s::uuid;

-- name: block_of_line
-- The block that a line of a batch is in; no row when the batch has no such line.
SELECT block FROM batch_chunk
WHERE batch_id = %(batch_id)s::uuid
GROUP BY block
HAVING max(last_line) >= %(line)s::bigint
ORDER BY block
LIMIT 1;

-- name: chunks_of_block
-- The chunks of a block, answered or not.
SELECT lines, answers FROM batch_chunk WHERE batch_id = %(batch_id)s::uuid AND block = %(block)s::integer ORDER BY lane;

-- name: batch_of_sequence_number
-- The batch of a sender with this sequence number.
SELECT batch_id FROM batch WHERE sender = %(sender)s::text AND sequence_number = %(sequence_number)s::bigint;

-- name: batches
-- The batches, newest first.
SELECT batch_id FROM batch ORDER BY submitted_at DESC, batch_id LIMIT %(row_count_max)s::integer;

-- name: forget_chunks
-- How many chunks of batches that finished before a time are gone now, and all that they say: the batches stay, so that their
-- sequence numbers stay used.
DELETE FROM batch_chunk
WHERE (batch_id, lane, block) IN (
    SELECT chunk.batch_id, chunk.lane, chunk.block
    FROM batch JOIN batch_chunk AS chunk USING (batch_id)
    WHERE batch.finished_at < %(before)s::timestamptz
    LIMIT %(row_count_max)s::integer
);

-- name: be_silent
-- Nothing; this transaction may be silent for so long, as when it waits for a file; 0: for any time.
SELECT set_config('idle_in_transaction_session_timeout', %(milliseconds)s::text, true);

-- name: unfinished_batch
-- One row, when a batch is unfinished: asked again and again by who has nothing to do.
SELECT true FROM batch WHERE state IN ('running', 'canceling') LIMIT 1;

-- name: calls_answered
-- One row, when sessions of this name ran a statement that begins like this within the last second.
SELECT true
FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %(application_name)s::text
  AND starts_with(query, %(statement)s::text) AND state_change > clock_timestamp() - interval '1 second'
LIMIT 1;

-- name: lock_tickets
-- Nothing; lock_ticket for many tickets of a customer. All in one order, so that two who take several cannot wait for each
-- other in a circle.
SELECT count(*)
FROM (SELECT pg_advisory_xact_lock(customer, ticket)
      FROM (SELECT DISTINCT hashtext(%(customer)s::text) AS customer, hashtext(ticket) AS ticket
            FROM unnest(%(tickets)s::text[]) AS ticket
            ORDER BY ticket
            OFFSET 0) AS ordered) AS locked;

-- name: lock_persons
-- One row: lock_person for many numbers, in ascending order, after every ticket, as lock_person says. How many they are, and
-- the time when all of them were locked, as finely as it is kept.
SELECT locked.numbers, date_trunc('milliseconds', clock_timestamp())
FROM (SELECT count(lock_person) AS numbers
      FROM (SELECT pg_advisory_xact_lock(ssin) AS lock_person
            FROM (SELECT ssin FROM unnest(%(ssins)s::bigint[]) AS ssin ORDER BY ssin OFFSET 0) AS ordered) AS each
     ) AS locked;

-- name: replacements_of
-- Those of some numbers whose lines went to another one, and to which.
SELECT ssin, replaced_by FROM replacement WHERE ssin = ANY (%(ssins)s::bigint[]);

-- name: line_sets_of_customer
-- The line sets that a customer has of some persons, those without lines too.
SELECT ssin, inscription_context, multirange_send(periods), last_changes
FROM inscription
WHERE ssin = ANY (%(ssins)s::bigint[]) AND customer = %(customer)s::text;

-- name: line_sets_of_others
-- The line sets that others have of some persons in these contexts.
SELECT ssin, inscription_context, customer, multirange_send(periods), last_changes
FROM inscription
WHERE ssin = ANY (%(ssins)s::bigint[]) AND customer <> %(customer)s::text
  AND inscription_context = ANY (%(inscription_contexts)s::text[]) AND NOT isempty(periods);

-- name: answered_declarations
-- What was answered under some tickets of a customer.
SELECT ticket, content, answer
FROM answered_declaration
WHERE customer = %(customer)s::text AND ticket = ANY (%(tickets)s::text[]);

-- name: copy_new_line_sets
-- Line sets that there were none of, as rows of COPY. To be run under lock_persons.
COPY inscription (ssin, customer, inscription_context, periods, last_changes) FROM STDIN WITH (FORMAT binary);

-- name: change_line_sets
-- Nothing; line sets that were there are as given: a JSON text of [ssin, context, periods, last changes] each. To be run
-- under lock_persons.
UPDATE inscription
SET periods = (changed ->> 2)::datemultirange, last_changes = (changed ->> 3)::timestamptz[]
FROM json_array_elements(%(changed)s::json) AS changed
WHERE ssin = (changed ->> 0)::bigint AND customer = %(customer)s::text AND inscription_context = changed ->> 1;

-- name: copy_history
-- Changes of line sets as rows of COPY, in the order in which they were done.
COPY inscription_history (ssin, customer, inscription_context, operation, before, after, changed_at, ticket_cbss,
                          customer_ticket, legal_context, application_urn, cbe_number)
FROM STDIN WITH (FORMAT binary);

-- name: copy_answered_declarations
-- Declarations that were done, with their answers, as rows of COPY. To be run under lock_tickets.
COPY answered_declaration (customer, ticket, content, answer, answered_at) FROM STDIN WITH (FORMAT binary);

-- name: copy_audit_chunk
-- The records of a chunk as a row of COPY, numbered as it comes.
COPY audit_chunk (received_at, first_ticket, record_count, person_hashes, forms, tickets, form_numbers, customer_tickets,
                  persons, other_persons, response_digests, evidence_digests)
FROM STDIN WITH (FORMAT binary);

-- name: copy_audit_evidence
-- Requests that are kept, as rows of COPY.
COPY audit_evidence (ticket_cbss, received_at, key, sealed) FROM STDIN WITH (FORMAT binary);

-- name: count_calls
-- Nothing; calls are counted for the volumes, as write_audit_records counts them: a JSON text of an array of objects.
INSERT INTO volume_count AS counted
    (hour, permission, application_urn, customer, legal_context, operation, worker, calls, refused)
SELECT date_trunc('hour', %(received_at)s::timestamptz, 'UTC'), call.permission, call.application_urn, call.customer,
       call.legal_context, call.operation, %(worker)s::bigint, call.calls, call.refused
FROM json_to_recordset(%(calls)s::json)
     AS call (permission text, application_urn text, customer text, legal_context text, operation text, calls bigint,
              refused bigint)
ON CONFLICT (permission, customer, hour, operation, application_urn, legal_context, worker)
DO UPDATE SET calls = counted.calls + EXCLUDED.calls, refused = counted.refused + EXCLUDED.refused;
