-- A month with millions of records leaves in minutes, and whoever reads goes on meanwhile. As sets: the records of a chunk are of
-- one time, so that a search for the link of each would read the links of all. Links are written in the order of their time.
DROP INDEX audit_link_received_at;
CREATE INDEX audit_link_received_at ON audit_link USING brin (received_at);

CREATE OR REPLACE FUNCTION drop_audit_month(day date) RETURNS void
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
