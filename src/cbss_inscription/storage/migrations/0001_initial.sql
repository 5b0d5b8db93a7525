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
    CHECK ((status = 'replaced') = (replaced_by IS NOT NULL)),
    -- BIS numbers have their month digits 20 or 40 higher; RAD persons bear National Register numbers (rule 12).
    CHECK ((register = 'bis') = (ssin / 10000000 % 100 >= 20))
);

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
    CHECK (cardinality(last_changes) = period_count(periods))
);

-- Every change of a line set: who, when, under which ticket and legal context, before and after (rule 35).
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
    legal_context       text           NOT NULL,
    application_urn     text           NOT NULL,
    cbe_number          text           NOT NULL,
    PRIMARY KEY (ssin, change_number)
);

CREATE FUNCTION refuse_change_of_history() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'inscription_history is append-only'; END $$;

CREATE TRIGGER inscription_history_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON inscription_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();

-- Messages seen, until their Timestamp has expired (SEC-52): shared by all workers and replicas.
CREATE TABLE replay_guard (
    message_key bytea       PRIMARY KEY,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX replay_guard_expires_at ON replay_guard (expires_at);

-- What the sandbox's population was made from, to know whether it must be made anew.
CREATE TABLE population (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    recipe   text    NOT NULL,
    made_at  timestamptz NOT NULL DEFAULT now()
);
