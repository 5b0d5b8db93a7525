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
