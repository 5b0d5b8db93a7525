-- Access rules, permissions, tenants and operators under four eyes: what was proposed and how it was decided.

CREATE TABLE governance_proposal (
    proposal_number bigint PRIMARY KEY CHECK (proposal_number >= 1),
    proposed_by     text   NOT NULL,
    content         text   NOT NULL,
    signature       bytea  NOT NULL CHECK (octet_length(signature) = 64),
    UNIQUE (proposal_number, proposed_by),
    CHECK ((content::jsonb ->> 'number')::bigint = proposal_number),
    CHECK (content::jsonb ->> 'proposed_by' = proposed_by)
);

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
