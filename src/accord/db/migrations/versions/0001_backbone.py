"""The backbone: inbox, event log, processes, effects, records, cases, ledger.

Conventions: `bigint` ids come from blocks of a sequence, so that a worker knows them before it writes; states are small
integers named in `accord.engine.states`; every table a person may look at carries its time.
"""

from alembic import op

revision = "0001"
down_revision = None

SCHEMA = """
CREATE SEQUENCE identity_block INCREMENT BY 1000 START WITH 1000;

-- 1 arrive ---------------------------------------------------------------------------------------------------------
-- A push is stored raw before it is acknowledged. A second body under a known id is a row of its own, flagged.
CREATE TABLE inbox (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection      text        NOT NULL,
    vendor_event_id text        NOT NULL,
    body_digest     bytea       NOT NULL,
    received_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    headers         jsonb       NOT NULL,
    body            bytea       NOT NULL,
    differs         boolean     NOT NULL DEFAULT false,
    state           smallint    NOT NULL DEFAULT 0,
    reason          text,
    settled_at      timestamptz,
    UNIQUE (connection, vendor_event_id, body_digest)
);
CREATE INDEX inbox_arrived ON inbox (id) WHERE state = 0;

-- 2 record ---------------------------------------------------------------------------------------------------------
-- Facts, append-only. `xid` orders them for consumers: everything below the oldest running transaction is final.
CREATE TABLE event (
    seq            bigint      GENERATED ALWAYS AS IDENTITY,
    xid            xid8        NOT NULL DEFAULT pg_current_xact_id(),
    type           text        NOT NULL,
    subject        text        NOT NULL,
    schema_version smallint    NOT NULL,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor          text        NOT NULL,
    correlation    text,
    causation      text,
    payload        jsonb       NOT NULL
) PARTITION BY RANGE (recorded_at);
CREATE TABLE event_default PARTITION OF event DEFAULT;
CREATE INDEX event_order ON event (xid, seq);
CREATE INDEX event_subject ON event (subject, seq);
CREATE INDEX event_correlation ON event (correlation, seq) WHERE correlation IS NOT NULL;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER event_is_append_only BEFORE UPDATE OR DELETE ON event
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE event_block (
    number     bigint      PRIMARY KEY,
    from_xid   xid8        NOT NULL,
    to_xid     xid8        NOT NULL,
    events     bigint      NOT NULL,
    previous   bytea       NOT NULL,
    digest     bytea       NOT NULL,
    sealed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TRIGGER event_block_is_append_only BEFORE UPDATE OR DELETE ON event_block
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE event_cursor (
    consumer text   PRIMARY KEY,
    xid      xid8   NOT NULL DEFAULT '0',
    seq      bigint NOT NULL DEFAULT 0,
    moved_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE record (
    kind           text        NOT NULL,
    id             text        NOT NULL,
    version        integer     NOT NULL,
    body           jsonb       NOT NULL,
    digest         bytea       NOT NULL,
    provenance     jsonb       NOT NULL,
    connection     text        NOT NULL,
    source_version text        NOT NULL,
    correlation    text,
    deleted        boolean     NOT NULL DEFAULT false,
    changed_at     timestamptz NOT NULL,
    observed_at    timestamptz NOT NULL,
    PRIMARY KEY (kind, id)
) WITH (fillfactor = 80);
CREATE INDEX record_correlation ON record (correlation) WHERE correlation IS NOT NULL;
CREATE INDEX record_changed ON record (kind, changed_at DESC, id);

-- Two names are the same customer's when only case, punctuation and the legal form differ.
CREATE FUNCTION name_key(name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(regexp_replace(lower(name), '[^[:alnum:]]+'
        '(incorporated|inc|gmbh|kk|limited|ltd|llc|ag|plc|sa|bv|corporation|corp|company|co)[^[:alnum:]]*$', ''),
        '[^[:alnum:]]+', '', 'g')
$$;
CREATE INDEX record_customer_name ON record (name_key(body ->> 'legal_name')) WHERE kind = 'customer';
CREATE INDEX record_customer_tax ON record ((body -> 'tax_registration' ->> 'number')) WHERE kind = 'customer';
CREATE INDEX record_invoice_customer ON record ((body ->> 'customer_id')) WHERE kind = 'invoice';

CREATE TABLE record_version (
    kind       text        NOT NULL,
    id         text        NOT NULL,
    version    integer     NOT NULL,
    body       jsonb       NOT NULL,
    provenance jsonb       NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (kind, id, version)
);

-- A change by a system that does not own the field: both values are kept until a person decides.
CREATE TABLE ownership_conflict (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL,
    canonical_id text NOT NULL,
    field       text NOT NULL,
    owner_role  text NOT NULL,
    connection  text NOT NULL,
    kept        jsonb,
    offered     jsonb,
    seen_at     timestamptz NOT NULL DEFAULT now(),
    state       text NOT NULL DEFAULT 'open'
);
CREATE UNIQUE INDEX ownership_conflict_once ON ownership_conflict (kind, canonical_id, field, connection,
    md5(offered::text))
    WHERE state = 'open';

CREATE TABLE crosswalk (
    connection   text NOT NULL,
    kind         text NOT NULL,
    canonical_id text NOT NULL,
    vendor_id    text NOT NULL,
    linked_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (canonical_id, kind, connection),
    UNIQUE (connection, kind, vendor_id)
);

-- 3 decide ---------------------------------------------------------------------------------------------------------
CREATE TABLE process (
    id          bigint      PRIMARY KEY,
    name        text        NOT NULL,
    version     text        NOT NULL,
    one_per     text        NOT NULL,
    subject     text        NOT NULL,
    correlation text,
    trigger     jsonb       NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    end_state   smallint,
    result      jsonb,
    UNIQUE (one_per, name)
) WITH (fillfactor = 80);
CREATE INDEX process_correlation ON process (correlation) WHERE correlation IS NOT NULL;
CREATE INDEX process_started ON process (started_at DESC, id);

-- Only what is not finished: the queue, the leases and the waits. Small whatever the history.
CREATE TABLE open_process (
    process_id bigint      PRIMARY KEY,
    name       text        NOT NULL,
    subject    text        NOT NULL,
    priority   smallint    NOT NULL,
    state      smallint    NOT NULL,
    owner      bigint,
    poked      boolean     NOT NULL DEFAULT false,
    begun      boolean     NOT NULL DEFAULT false,
    wake_at    timestamptz,
    since      timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX open_process_ready ON open_process (priority, process_id) WHERE state = 0;
CREATE INDEX open_process_subject ON open_process (subject, process_id);
CREATE INDEX open_process_wake ON open_process (wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE journal (
    process_id bigint      NOT NULL,
    key        text        NOT NULL,
    value      jsonb       NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (process_id, key)
);

CREATE TABLE awaited_fact (
    process_id bigint NOT NULL,
    key        text   NOT NULL,
    type       text   NOT NULL,
    subject    text   NOT NULL,
    nth        integer NOT NULL,
    PRIMARY KEY (process_id, key)
);
CREATE INDEX awaited_fact_about ON awaited_fact (subject, type);

-- 4 act ------------------------------------------------------------------------------------------------------------
-- One row a write, before the call. (object, generation) is unique: two processes cannot write one thing twice.
-- No index holds the state, so recording an outcome is a HOT update.
CREATE TABLE effect (
    id           bigint      PRIMARY KEY,
    process_id   bigint      NOT NULL,
    story_key    text        NOT NULL,
    connection   text        NOT NULL,
    kind         text        NOT NULL,
    canonical_id text        NOT NULL,
    generation   integer     NOT NULL,
    verb         text        NOT NULL,
    version      text        NOT NULL,
    state        smallint    NOT NULL,
    shared       boolean     NOT NULL DEFAULT false,
    attempts     smallint    NOT NULL DEFAULT 0,
    priority     smallint    NOT NULL,
    body         jsonb       NOT NULL,
    undo         jsonb,
    links        text[],
    correlation  text,
    label        text        NOT NULL,
    amount       numeric,
    currency     text,
    outcome      jsonb,
    vendor_id    text,
    intended_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at      timestamptz,
    finished_at  timestamptz,
    UNIQUE (canonical_id, kind, connection, generation)
) WITH (fillfactor = 50);
CREATE INDEX effect_process ON effect (process_id);
CREATE INDEX effect_correlation ON effect (correlation) WHERE correlation IS NOT NULL;

-- Effects that nobody is sending now: no budget, vendor down, to be retried, or to be probed.
CREATE TABLE waiting_effect (
    effect_id  bigint      PRIMARY KEY,
    connection text        NOT NULL,
    kind       text        NOT NULL,
    verb       text        NOT NULL,
    priority   smallint    NOT NULL,
    due        boolean     NOT NULL,
    not_before timestamptz NOT NULL,
    probe      boolean     NOT NULL,
    after      bigint,
    owner      bigint,
    reason     text        NOT NULL,
    since      timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
-- What may be sent now, by what fits into one call; the timer moves into it what was put off.
CREATE INDEX waiting_effect_due ON waiting_effect (connection, priority, kind, verb, probe, effect_id)
    WHERE due AND owner IS NULL AND after IS NULL;
CREATE INDEX waiting_effect_timer ON waiting_effect (not_before) WHERE NOT due;
CREATE INDEX waiting_effect_owner ON waiting_effect (owner) WHERE owner IS NOT NULL;
CREATE INDEX waiting_effect_after ON waiting_effect (after) WHERE after IS NOT NULL;

CREATE TABLE effect_attempt (
    effect_id bigint      NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    what      text        NOT NULL,
    outcome   text        NOT NULL,
    reason    text        NOT NULL
);
CREATE INDEX effect_attempt_effect ON effect_attempt (effect_id, at);

-- A process that repeats what another is writing waits for that effect instead.
CREATE TABLE adopted_effect (
    effect_id  bigint NOT NULL,
    process_id bigint NOT NULL,
    story_key  text   NOT NULL,
    PRIMARY KEY (process_id, story_key)
);
CREATE INDEX adopted_effect_effect ON adopted_effect (effect_id);

-- workers, leases ----------------------------------------------------------------------------------------------------
CREATE TABLE worker (
    id         bigint      PRIMARY KEY,
    host       text        NOT NULL,
    pid        integer     NOT NULL,
    version    text        NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE worker_heartbeat (
    worker_id bigint      PRIMARY KEY,
    at        timestamptz NOT NULL
) WITH (fillfactor = 20);
CREATE TABLE worker_fence (
    worker_id bigint  PRIMARY KEY,
    fenced_at timestamptz
);

-- Raises when the worker was fenced: it was thought dead, and its work is in other hands.
CREATE FUNCTION hold_fence(me bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM worker_fence WHERE worker_id = me AND fenced_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'worker % is fenced', me USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END $$;

CREATE TABLE connection (
    name         text PRIMARY KEY,
    vendor       text        NOT NULL,
    config       jsonb       NOT NULL DEFAULT '{}',
    sealed       bytea,
    state        text        NOT NULL DEFAULT 'active',
    state_reason text,
    retry_at     timestamptz,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (state IN ('active', 'paused', 'broken'))
);
CREATE TABLE binding (
    role         text NOT NULL,
    legal_entity text NOT NULL DEFAULT '',
    valid_from   date NOT NULL DEFAULT '0001-01-01',
    connection   text NOT NULL REFERENCES connection (name),
    PRIMARY KEY (role, legal_entity, valid_from)
);
CREATE TABLE budget (
    connection  text PRIMARY KEY,
    concurrency integer,
    per_second  double precision,
    per_day     integer,
    adapted     double precision NOT NULL DEFAULT 1,
    closed_until timestamptz,
    tokens      double precision NOT NULL DEFAULT 0,
    filled_at   timestamptz NOT NULL DEFAULT now(),
    day         date NOT NULL DEFAULT current_date,
    used_today  integer NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
CREATE TABLE budget_share (
    connection text    NOT NULL,
    worker_id  bigint  NOT NULL,
    slots      integer NOT NULL,
    wanted     integer NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (connection, worker_id)
) WITH (fillfactor = 20);
CREATE TABLE vendor_call (
    connection text   NOT NULL,
    worker_id  bigint NOT NULL,
    endpoint   text   NOT NULL,
    status     integer NOT NULL,
    calls      bigint NOT NULL,
    seconds    double precision NOT NULL,
    PRIMARY KEY (connection, worker_id, endpoint, status)
) WITH (fillfactor = 50);
CREATE TABLE poll (
    connection   text NOT NULL,
    kind         text NOT NULL,
    watermark_at text,
    watermark_id text NOT NULL DEFAULT '',
    next_at      timestamptz NOT NULL DEFAULT now(),
    every_seconds double precision NOT NULL,
    owner        bigint,
    last_at      timestamptz,
    last_seen    bigint NOT NULL DEFAULT 0,
    failures     integer NOT NULL DEFAULT 0,
    last_error   text,
    PRIMARY KEY (connection, kind)
);
CREATE TABLE schedule (
    name          text PRIMARY KEY,
    every_seconds double precision NOT NULL,
    next_at       timestamptz NOT NULL DEFAULT now(),
    owner         bigint,
    last_at       timestamptz,
    last_error    text
);

-- 5 tell: cases, reference data, ledger ------------------------------------------------------------------------------
CREATE TABLE business_case (
    id           bigint      PRIMARY KEY,
    reason       text        NOT NULL,
    title        text        NOT NULL,
    problems     jsonb       NOT NULL,
    signature    text        NOT NULL,
    owner        text        NOT NULL,
    amount       numeric,
    currency     text,
    process_id   bigint,
    effect_id    bigint,
    inbox_id     bigint,
    connection   text,
    subject      text,
    correlation  text,
    question     jsonb,
    state        text        NOT NULL DEFAULT 'open',
    opened_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at  timestamptz,
    resolution   text,
    resolved_by  text,
    note         text,
    CHECK (state IN ('open', 'resolved'))
);
CREATE UNIQUE INDEX business_case_process ON business_case (process_id, coalesce(effect_id, 0))
    WHERE state = 'open' AND process_id IS NOT NULL;
CREATE UNIQUE INDEX business_case_connection ON business_case (connection, reason)
    WHERE state = 'open' AND process_id IS NULL AND inbox_id IS NULL AND subject IS NULL AND connection IS NOT NULL;
CREATE UNIQUE INDEX business_case_inbox ON business_case (inbox_id) WHERE state = 'open' AND inbox_id IS NOT NULL;
CREATE UNIQUE INDEX business_case_subject ON business_case (subject, reason)
    WHERE state = 'open' AND process_id IS NULL AND inbox_id IS NULL AND subject IS NOT NULL;
CREATE INDEX business_case_open ON business_case (opened_at, id) WHERE state = 'open';
CREATE INDEX business_case_correlation ON business_case (correlation) WHERE correlation IS NOT NULL;
-- Which parked stories watch a thing that changed.
CREATE INDEX business_case_watch ON business_case USING gin ((question -> 'watch'))
    WHERE state = 'open' AND process_id IS NOT NULL;
CREATE INDEX business_case_subject_open ON business_case (subject) WHERE state = 'open';

CREATE TABLE reference (
    list        text NOT NULL,
    given       text NOT NULL,
    meaning     text NOT NULL,
    valid_from  date NOT NULL DEFAULT '0001-01-01',
    declared_by text NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (list, given, valid_from)
);
CREATE TABLE policy (
    name        text NOT NULL,
    version     integer NOT NULL,
    body        jsonb NOT NULL,
    valid_from  date NOT NULL DEFAULT '0001-01-01',
    declared_by text NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version)
);

CREATE TABLE billable_item (
    id           text PRIMARY KEY,
    kind         text NOT NULL,
    engagement   text NOT NULL,
    legal_entity text NOT NULL,
    currency     text NOT NULL,
    amount       numeric NOT NULL,
    source       text NOT NULL,
    source_id    text NOT NULL,
    approved_at  timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    reverses     text REFERENCES billable_item (id)
);
CREATE INDEX billable_item_engagement ON billable_item (engagement);

CREATE TABLE posting (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entry        text NOT NULL,
    item_id      text NOT NULL REFERENCES billable_item (id),
    engagement   text NOT NULL,
    legal_entity text NOT NULL,
    currency     text NOT NULL,
    disposition  text NOT NULL,
    amount       numeric NOT NULL,
    reference    text,
    cause        text NOT NULL,
    posted_at    timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (entry, item_id, disposition)
);
CREATE INDEX posting_item ON posting (item_id);
CREATE INDEX posting_engagement ON posting (engagement, legal_entity, currency, disposition);
CREATE TRIGGER posting_is_append_only BEFORE UPDATE OR DELETE ON posting
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER billable_item_is_append_only BEFORE UPDATE OR DELETE ON billable_item
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The database itself refuses an entry that does not balance and an item billed above its amount.
CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    SELECT p.entry INTO wrong
    FROM posting p WHERE p.entry IN (SELECT entry FROM added)
    GROUP BY p.entry, p.legal_entity, p.currency HAVING sum(p.amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % does not balance', wrong USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    SELECT p.item_id INTO wrong
    FROM posting p JOIN billable_item i ON i.id = p.item_id
    WHERE p.item_id IN (SELECT item_id FROM added) AND p.disposition IN ('billed', 'collected', 'disputed', 'credited')
    GROUP BY p.item_id, i.amount HAVING abs(sum(p.amount)) > abs(i.amount) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'item % would be billed twice', wrong USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER posting_balances AFTER INSERT ON posting
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_unbalanced();

CREATE TABLE api_key (
    id         text PRIMARY KEY,
    name       text NOT NULL,
    digest     bytea NOT NULL UNIQUE,
    roles      text[] NOT NULL,
    entities   text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE TABLE audit_entry (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor  text NOT NULL,
    action text NOT NULL,
    about  text NOT NULL,
    detail jsonb NOT NULL
);
CREATE TRIGGER audit_entry_is_append_only BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(SCHEMA)


def downgrade() -> None:
    raise NotImplementedError("the first migration is not undone; restore a backup")
