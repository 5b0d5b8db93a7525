-- The life of a number, what is told of it, and declarations that are done once.

ALTER TABLE person ADD COLUMN register_inception_date date;
ALTER TABLE person ADD COLUMN phonetic_key text;
ALTER TABLE person ADD CONSTRAINT person_register_inception_date_check
    CHECK (register <> 'nr' OR register_inception_date IS NULL);
CREATE INDEX person_phonetic_key ON person (phonetic_key);
CREATE INDEX person_replaced_by ON person (replaced_by) WHERE replaced_by IS NOT NULL;

DROP TRIGGER inscription_history_is_append_only ON inscription_history;
DROP FUNCTION refuse_change_of_history();

CREATE FUNCTION refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;

-- Changes that no declaration asked for have no legal context and no caller.
ALTER TABLE inscription_history ALTER COLUMN legal_context DROP NOT NULL;
ALTER TABLE inscription_history ALTER COLUMN application_urn DROP NOT NULL;
ALTER TABLE inscription_history ALTER COLUMN cbe_number DROP NOT NULL;

CREATE TRIGGER inscription_history_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON inscription_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

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

CREATE TABLE replacement (
    ssin        bigint      PRIMARY KEY,
    replaced_by bigint      NOT NULL CHECK (replaced_by <> ssin),
    replaced_at timestamptz NOT NULL,
    ticket_cbss uuid        NOT NULL
);
CREATE INDEX replacement_replaced_by ON replacement (replaced_by);

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

CREATE TABLE mutation_counter (
    customer             text   PRIMARY KEY,
    last_sequence_number bigint NOT NULL
);

CREATE TABLE answered_declaration (
    customer    text        NOT NULL,
    ticket      text        NOT NULL,
    content     bytea       NOT NULL,
    answer      bytea       NOT NULL,
    answered_at timestamptz NOT NULL,
    PRIMARY KEY (customer, ticket)
);
CREATE INDEX answered_declaration_answered_at ON answered_declaration (answered_at);
