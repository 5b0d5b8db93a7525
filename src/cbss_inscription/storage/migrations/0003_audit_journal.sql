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

-- Which records a person is in: by the keyed hash of the number, never the number itself (SEC-75).
CREATE TABLE audit_person (
    person_hash bytea       NOT NULL,
    received_at timestamptz NOT NULL,
    ticket_cbss uuid        NOT NULL,
    PRIMARY KEY (person_hash, received_at, ticket_cbss)
) PARTITION BY RANGE (received_at);

CREATE TABLE audit_record_default PARTITION OF audit_record DEFAULT;
CREATE TABLE audit_person_default PARTITION OF audit_person DEFAULT;

CREATE TRIGGER audit_record_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_record
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_person_is_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_person
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
