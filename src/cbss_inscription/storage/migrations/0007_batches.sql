-- Batches (rule 37, docs/batch.md): files of declarations, read to the end before any of their lines is worked on.

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

CREATE TABLE batch_lane (
    batch_id   uuid        NOT NULL REFERENCES batch ON DELETE CASCADE,
    lane       integer     NOT NULL,
    next_block integer,
    attempts   integer     NOT NULL DEFAULT 0,
    not_before timestamptz,
    worked_at  timestamptz,
    PRIMARY KEY (batch_id, lane)
) WITH (fillfactor = 50);

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
    PRIMARY KEY (batch_id, lane, block),
    CHECK (lines_answered <= line_count)
);
CREATE INDEX batch_chunk_block ON batch_chunk (batch_id, block);
ALTER TABLE batch_chunk ALTER COLUMN lines SET STORAGE EXTERNAL, ALTER COLUMN answers SET STORAGE EXTERNAL;
