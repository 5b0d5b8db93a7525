-- Every query of the program, by name. Parameters are %(named)s; a bigint compared with a parameter is cast, or
-- PostgreSQL would not use the index for small numbers sent as int4 (performance.md).

-- name: chain_of_files
-- The file of a number, then each file that replaces the former, in order; a file met before ends the chain.
WITH RECURSIVE chain AS (
    SELECT person.*, 0 AS hop, ARRAY[person.ssin] AS seen
    FROM person
    WHERE person.ssin = %(ssin)s::bigint
  UNION ALL
    SELECT person.*, chain.hop + 1, chain.seen || person.ssin
    FROM chain
    JOIN person ON person.ssin = chain.replaced_by
    WHERE chain.status = 'replaced' AND chain.hop < %(hops_max)s::integer + 1 AND person.ssin <> ALL (chain.seen)
)
SELECT ssin, register, status, replaced_by, last_name, given_names, birth_date, gender_code, decease_date
FROM chain
ORDER BY hop;

-- name: lock_person
-- Nothing; until the transaction ends, no other transaction holds the same SSIN. Every change takes this lock first,
-- and only this one, so changes of one person follow each other and no two can wait for each other in a circle.
SELECT pg_advisory_xact_lock(%(ssin)s::bigint);

-- name: change_line_set
-- One row: whether the change found what it named, whether the lines are not too many then, whether anything differs
-- now, whether what it added merged with other lines (it is no line more then), and the lines as they are now.
-- To be run under lock_person, as a statement of its own, so that it sees what the former holder of the lock wrote.
-- The change is (periods - removed) + added; an update must name one line exactly, a deletion must meet a line.
-- Times are kept in milliseconds, as finely as the wire tells them.
WITH asked AS MATERIALIZED (
    SELECT CASE WHEN %(removes)s::boolean
                THEN datemultirange(daterange(%(removed_begin)s::date, %(removed_end)s::date, '[]'))
                ELSE '{}' END AS removed,
           CASE WHEN %(adds)s::boolean
                THEN datemultirange(daterange(%(added_begin)s::date, %(added_end)s::date, '[]'))
                ELSE '{}' END AS added,
           date_trunc('milliseconds', clock_timestamp()) AS changed_at
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
               ELSE true END AS found
    FROM changed
), written AS (
    INSERT INTO inscription (ssin, customer, inscription_context, periods, last_changes)
    SELECT %(ssin)s::bigint, %(customer)s::text, %(inscription_context)s::text,
           after, last_changes_after(periods, last_changes, after, changed_at)
    FROM later
    WHERE found AND fits AND after <> periods
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
    WHERE found AND fits AND after <> periods
)
SELECT later.found, later.fits,
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
) AS lines;

-- name: lines
-- The lines of one customer about one person, of these contexts, that overlap a period, after where the page begins.
SELECT inscription_context, lower(period) AS begin_date, upper(period) - 1 AS end_date, last_change
FROM inscription
CROSS JOIN LATERAL ROWS FROM (unnest(periods), unnest(last_changes)) AS line (period, last_change)
WHERE ssin = %(ssin)s::bigint
  AND customer = %(customer)s::text
  AND inscription_context = ANY (%(inscription_contexts)s::text[])
  AND period && daterange(%(begin_date)s::date, %(end_date)s::date, '[]')
  AND (%(after_context)s::text IS NULL
       OR (inscription_context, lower(period)) > (%(after_context)s::text, %(after_begin_date)s::date))
ORDER BY inscription_context, begin_date
LIMIT %(line_count_max)s::integer;

-- name: admit_message
-- One row when the message was not seen before, none when it was. The commit does not wait for the disk: set_config
-- holds for this statement's own transaction, its commit included.
INSERT INTO replay_guard (message_key, expires_at)
SELECT %(message_key)s::bytea, %(expires_at)s::timestamptz
FROM set_config('synchronous_commit', 'off', true)
ON CONFLICT (message_key) DO NOTHING
RETURNING true;

-- name: forget_expired_messages
-- Messages whose Timestamp expired: they would be refused for their age now (SEC-54). A bounded number at a time.
DELETE FROM replay_guard
WHERE message_key IN (
    SELECT message_key FROM replay_guard WHERE expires_at < %(now)s LIMIT %(row_count_max)s::integer
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
COPY person (ssin, register, status, replaced_by, last_name, given_names, birth_date, gender_code, decease_date)
FROM STDIN;

-- name: any_person
-- One row, when the database holds a person.
SELECT true FROM person LIMIT 1;

-- name: analyze_persons
-- Nothing; the planner knows the table's size at once.
ANALYZE person;

-- name: drop_everything
-- Nothing; the schema is empty, its history gone too: for a sandbox that starts afresh.
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;

-- name: lock_migrations
-- Nothing; one process migrates at a time. The number is this program's own.
SELECT pg_advisory_xact_lock(-20261123);

-- name: applied_versions
-- The versions of the migrations that this database has.
SELECT version FROM schema_migration ORDER BY version;

-- name: record_migration
-- Nothing; the migration counts as applied.
INSERT INTO schema_migration (version, name) VALUES (%(version)s, %(name)s);
