-- What each row of a batch costs: records are numbered by the table itself, and the times of a set of lines are counted without
-- a call of period_count where it has one line or none.
ALTER TABLE audit_record ALTER COLUMN record_number SET DEFAULT nextval('audit_record_number');

ALTER TABLE inscription
    DROP CONSTRAINT inscription_check,
    ADD CONSTRAINT inscription_check CHECK (
        CASE cardinality(last_changes)
            WHEN 0 THEN isempty(periods)
            WHEN 1 THEN NOT isempty(periods) AND periods = multirange(range_merge(periods))
            ELSE cardinality(last_changes) = period_count(periods) END
    );
