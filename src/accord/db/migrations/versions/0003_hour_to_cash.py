"""Hour to cash: work as its sources tell it, billing terms, and a ledger whose state writes its own journal.

A part of an item lies in exactly one disposition at any time: its row says which. Moving it is an update, and the
database writes the journal of the move itself, refuses a move that is not allowed, and refuses parts that do not add up
to their item. So no code can move money past the journal, and two transactions that bill one part meet at its row.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0;"

WORK = """
CREATE TABLE work_entry (
    seq           bigint GENERATED ALWAYS AS IDENTITY,
    id            text NOT NULL,
    revision      integer NOT NULL,
    kind          text NOT NULL,
    source        text NOT NULL,
    source_key    text NOT NULL,
    status        text NOT NULL,
    worked_on     date NOT NULL,
    quantity      numeric NOT NULL,
    unit          text NOT NULL DEFAULT 'h',
    engagement    text,
    legal_entity  text,
    worker        text,
    worker_entity text,
    role          text,
    task          text,
    category      text,
    cost          numeric,
    cost_currency text,
    tax_included  numeric,
    receipt       text,
    billable      boolean NOT NULL DEFAULT true,
    note          text,
    approver      text,
    submitted_at  timestamptz,
    approved_at   timestamptz,
    recorded_as   text,
    recorded_at   timestamptz NOT NULL DEFAULT now(),
    current       boolean NOT NULL DEFAULT true,
    PRIMARY KEY (id, revision)
);
CREATE INDEX work_entry_engagement ON work_entry (engagement, legal_entity, worked_on) WHERE current;
CREATE INDEX work_entry_open ON work_entry (worked_on, id)
    WHERE current AND status IN ('submitted', 'rejected', 'recalled');

-- A revision says for ever what its source said; only whether it is the newest one changes.
CREATE FUNCTION refuse_change_of_work() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (to_jsonb(OLD) - 'current') = (to_jsonb(NEW) - 'current') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER work_entry_is_append_only BEFORE UPDATE OR DELETE ON work_entry
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_work();

-- Revisions that the rating run has not looked at, and those it could not price: a row goes when its item is written.
CREATE TABLE work_to_rate (
    entry_id     text NOT NULL,
    revision     integer NOT NULL,
    engagement   text NOT NULL,
    legal_entity text NOT NULL,
    worked_on    date NOT NULL,
    since        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (engagement, legal_entity, worked_on, entry_id, revision)
);
CREATE TABLE work_unpriced (
    entry_id     text NOT NULL,
    revision     integer NOT NULL,
    engagement   text NOT NULL,
    legal_entity text NOT NULL,
    worked_on    date NOT NULL,
    reason       text NOT NULL,
    message      text NOT NULL,
    cure         text,
    since        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (engagement, legal_entity, worked_on, entry_id, revision)
);

-- Records of work that could not be taken: counted by reason, never lost, settled when their source tells them anew.
CREATE TABLE work_problem (
    source      text NOT NULL,
    place       text NOT NULL,
    reason      text NOT NULL,
    message     text NOT NULL,
    cure        text NOT NULL,
    hours       numeric,
    given       jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at  timestamptz,
    PRIMARY KEY (source, place, reason)
);
CREATE INDEX work_problem_open ON work_problem (source, reason, place) WHERE settled_at IS NULL;

CREATE TABLE billing_terms (
    engagement   text NOT NULL,
    legal_entity text NOT NULL,
    version      integer NOT NULL,
    customer     text NOT NULL,
    body         jsonb NOT NULL,
    declared_by  text NOT NULL,
    declared_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (engagement, legal_entity, version)
);
CREATE INDEX billing_terms_customer ON billing_terms (customer);
CREATE TRIGGER billing_terms_are_append_only BEFORE UPDATE OR DELETE ON billing_terms
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What caps, retainers and meters have used, by the names of `rules.rating.counters`.
CREATE TABLE billing_counter (
    name text PRIMARY KEY,
    used numeric NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE proposal (
    id           text PRIMARY KEY,
    engagement   text NOT NULL,
    legal_entity text NOT NULL,
    currency     text NOT NULL,
    customer     text NOT NULL,
    period_from  date NOT NULL,
    period_to    date NOT NULL,
    status       text NOT NULL DEFAULT 'draft'
        CHECK (status IN ('draft', 'held', 'approved', 'issued', 'withdrawn')),
    net          numeric NOT NULL,
    lines        integer NOT NULL,
    proposed_at  timestamptz NOT NULL,
    proposed_by  text NOT NULL,
    changed_by   text,
    approved_at  timestamptz,
    approved_by  text,
    reason       text,
    version      integer NOT NULL DEFAULT 1
);
CREATE INDEX proposal_open ON proposal (proposed_at, id) WHERE status IN ('draft', 'held', 'approved');
CREATE INDEX proposal_engagement ON proposal (engagement, legal_entity);
CREATE TABLE proposal_line (
    proposal_id text NOT NULL REFERENCES proposal (id),
    line        integer NOT NULL,
    text        text NOT NULL,
    kind        text NOT NULL,
    worker      text,
    role        text,
    task        text,
    rate        numeric,
    quantity    numeric NOT NULL,
    net         numeric NOT NULL,
    worked_from date,
    worked_to   date,
    PRIMARY KEY (proposal_id, line)
);
"""

LEDGER = """
ALTER TABLE billable_item
    ADD COLUMN worked_on date, ADD COLUMN quantity numeric, ADD COLUMN unit text, ADD COLUMN rate numeric,
    ADD COLUMN rate_id text, ADD COLUMN terms_version integer, ADD COLUMN source_revision integer,
    ADD COLUMN worker text, ADD COLUMN role text, ADD COLUMN task text,
    -- [counter, what the item added to it, what it came to] for each cap, retainer and meter that the item met
    ADD COLUMN counters jsonb, ADD COLUMN cause text;
CREATE INDEX billable_item_source ON billable_item (source_id);
CREATE INDEX billable_item_reverses ON billable_item (reverses) WHERE reverses IS NOT NULL;

-- `approved` is where value comes from, no place for it to lie.
CREATE TABLE allowed_move (
    out_of text NOT NULL,
    placed_in text NOT NULL,
    PRIMARY KEY (out_of, placed_in)
);
INSERT INTO allowed_move VALUES
    ('approved', 'wip'), ('approved', 'held'), ('approved', 'over_cap'), ('approved', 'non_billable'),
    ('approved', 'billed'), ('approved', 'reversed'), ('approved', 'intercompany'), ('approved', 'drawn'),
    ('drawn', 'reversed'), ('drawn', 'wip'),
    ('wip', 'draft'), ('wip', 'billed'), ('wip', 'held'), ('wip', 'non_billable'), ('wip', 'written_off'),
    ('wip', 'transferred'), ('wip', 'reversed'), ('wip', 'over_cap'),
    ('draft', 'wip'), ('draft', 'billed'), ('draft', 'held'), ('draft', 'written_off'), ('draft', 'reversed'),
    ('held', 'wip'), ('held', 'non_billable'), ('held', 'written_off'), ('held', 'transferred'), ('held', 'reversed'),
    ('over_cap', 'wip'), ('over_cap', 'non_billable'), ('over_cap', 'written_off'), ('over_cap', 'transferred'),
    ('over_cap', 'reversed'),
    ('non_billable', 'wip'), ('non_billable', 'reversed'), ('written_off', 'wip'), ('intercompany', 'reversed'),
    ('billed', 'collected'), ('billed', 'disputed'), ('billed', 'credited'), ('billed', 'written_off'),
    ('collected', 'billed'), ('collected', 'disputed'), ('collected', 'credited'),
    ('disputed', 'billed'), ('disputed', 'collected'), ('disputed', 'credited'), ('disputed', 'written_off');

CREATE TABLE item_part (
    item_id      text NOT NULL,
    part         integer NOT NULL,
    engagement   text NOT NULL,
    legal_entity text NOT NULL,
    currency     text NOT NULL,
    disposition  text NOT NULL,
    amount       numeric NOT NULL,
    quantity     numeric,
    worked_on    date NOT NULL,
    document     text,
    line         integer,
    -- The last move: what happened, why, when, and (for a new part) out of which disposition.
    entry        text NOT NULL,
    came_from    text NOT NULL DEFAULT 'approved',
    cause        text NOT NULL,
    reference    text,
    posted_at    timestamptz NOT NULL,
    PRIMARY KEY (item_id, part)
) WITH (fillfactor = 85);
CREATE INDEX item_part_place ON item_part (engagement, legal_entity, currency, disposition);
CREATE INDEX item_part_document ON item_part (document, line) WHERE document IS NOT NULL;

CREATE TABLE transfer (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    entry       text NOT NULL,
    item_id     text NOT NULL,
    part        integer NOT NULL,
    out_of      text NOT NULL,
    placed_in   text NOT NULL,
    amount      numeric NOT NULL,
    document    text,
    line        integer,
    reference   text,
    cause       text NOT NULL,
    posted_at   timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    -- One row is both sides of the entry, so it cannot be out of balance.
    CHECK (out_of <> placed_in),
    PRIMARY KEY (item_id, entry, part)
);

-- What lies where, added up: for pages and gates, kept by the same statements that move the parts.
CREATE TABLE ledger_total (
    engagement   text NOT NULL,
    legal_entity text NOT NULL,
    currency     text NOT NULL,
    disposition  text NOT NULL,
    month        date NOT NULL,
    amount       numeric NOT NULL,
    parts        bigint NOT NULL,
    quantity     numeric NOT NULL,
    PRIMARY KEY (engagement, legal_entity, currency, disposition, month)
) WITH (fillfactor = 70);
CREATE INDEX ledger_total_disposition ON ledger_total (disposition, legal_entity, currency, month);
"""

# Old postings come in pairs, one line out of a disposition and one into another.
CARRY_OVER = """
INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, worked_on, document,
    entry, cause, reference, posted_at)
SELECT item_id, row_number() OVER (PARTITION BY item_id ORDER BY max(id)), engagement, legal_entity, currency,
    disposition, sum(amount), (max(posted_at) AT TIME ZONE 'UTC')::date,
    (SELECT r.id FROM record r WHERE r.kind = 'invoice' AND r.body @> jsonb_build_object('lines',
        jsonb_build_array(jsonb_build_object('item_id', p.item_id))) LIMIT 1),
    (array_agg(entry ORDER BY id DESC))[1], (array_agg(cause ORDER BY id DESC))[1],
    (array_agg(reference ORDER BY id DESC))[1], max(posted_at)
FROM posting p WHERE disposition <> 'approved'
GROUP BY item_id, engagement, legal_entity, currency, disposition HAVING sum(amount) <> 0;
INSERT INTO transfer (entry, item_id, part, out_of, placed_in, amount, reference, cause, posted_at, recorded_at)
SELECT a.entry, a.item_id, 1, b.disposition, a.disposition, a.amount, a.reference, a.cause, a.posted_at, a.recorded_at
FROM posting a JOIN posting b ON b.entry = a.entry AND b.item_id = a.item_id AND b.amount = -a.amount AND b.id <> a.id
WHERE CASE WHEN a.amount = 0 THEN a.id > b.id ELSE a.amount > 0 END
ORDER BY a.id ON CONFLICT DO NOTHING;
INSERT INTO ledger_total
SELECT engagement, legal_entity, currency, disposition, date_trunc('month', worked_on)::date, sum(amount), count(*),
    coalesce(sum(quantity), 0)
FROM item_part GROUP BY 1, 2, 3, 4, 5;
DROP TABLE posting;
DROP FUNCTION refuse_unbalanced();

-- Both sides of each transfer as lines, for whoever thinks in lines.
CREATE VIEW posting AS
SELECT t.id, t.entry, t.item_id, i.engagement, i.legal_entity, i.currency, s.disposition, s.sign * t.amount AS amount,
    t.reference, t.cause, t.posted_at, t.recorded_at
FROM transfer t JOIN billable_item i ON i.id = t.item_id
CROSS JOIN LATERAL (VALUES (t.out_of, -1), (t.placed_in, 1)) AS s (disposition, sign);
"""

GUARDS = """
CREATE FUNCTION ledger_add_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT a.came_from, a.disposition INTO wrong
    FROM (SELECT DISTINCT came_from, disposition FROM added OFFSET 0) a
    LEFT JOIN allowed_move m ON m.out_of = a.came_from AND m.placed_in = a.disposition
    WHERE m.placed_in IS NULL;
    IF FOUND THEN
        RAISE EXCEPTION 'nothing goes from % to %', wrong.came_from, wrong.disposition
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    -- No foreign key: an item never goes, and that it is there is seen here for a whole batch at once. The parts of a
    -- new item come together; later ones are cut off a part that is there.
    SELECT a.item_id AS id, i.amount, a.placed INTO wrong
    FROM (
        SELECT item_id, CASE WHEN min(part) = 1 THEN sum(amount)
            ELSE (SELECT sum(p.amount) FROM item_part p WHERE p.item_id = n.item_id) END AS placed
        FROM added n GROUP BY item_id OFFSET 0
    ) a LEFT JOIN billable_item i ON i.id = a.item_id
    WHERE a.placed IS DISTINCT FROM i.amount;
    IF FOUND THEN
        RAISE EXCEPTION 'item % does not balance: % was approved, its parts are %', wrong.id, wrong.amount, wrong.placed
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    INSERT INTO transfer (entry, item_id, part, out_of, placed_in, amount, document, line, reference, cause, posted_at)
    SELECT entry, item_id, part, came_from, disposition, amount, document, line, reference, cause, posted_at FROM added;
    INSERT INTO ledger_total AS t
    SELECT engagement, legal_entity, currency, disposition, date_trunc('month', worked_on)::date, sum(amount), count(*),
        coalesce(sum(quantity), 0)
    FROM added GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (engagement, legal_entity, currency, disposition, month) DO UPDATE
    SET amount = t.amount + excluded.amount, parts = t.parts + excluded.parts,
        quantity = t.quantity + excluded.quantity;
    RETURN NULL;
END $$;

-- What a part is a part of never changes; no part goes; it moves or is cut, never both in one. Where it came from is
-- noted here, so that the journal of a whole statement needs no join of old and new.
CREATE FUNCTION note_where_a_part_came_from() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (OLD.item_id, OLD.part, OLD.engagement, OLD.legal_entity, OLD.currency, OLD.worked_on)
        IS DISTINCT FROM (NEW.item_id, NEW.part, NEW.engagement, NEW.legal_entity, NEW.currency, NEW.worked_on) THEN
        RAISE EXCEPTION 'item_part is append-only but for where a part lies'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.amount <> NEW.amount AND OLD.disposition <> NEW.disposition THEN
        RAISE EXCEPTION 'item %: a part is cut or moved, never both at once', NEW.item_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    NEW.came_from := OLD.disposition;
    RETURN NEW;
END $$;

CREATE FUNCTION ledger_move_on() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT a.came_from, a.disposition INTO wrong
    FROM (SELECT DISTINCT came_from, disposition FROM added WHERE came_from <> disposition OFFSET 0) a
    LEFT JOIN allowed_move m ON m.out_of = a.came_from AND m.placed_in = a.disposition
    WHERE m.placed_in IS NULL;
    IF FOUND THEN
        RAISE EXCEPTION 'nothing goes from % to %', wrong.came_from, wrong.disposition
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    -- Only a part that stayed where it is can have been cut.
    SELECT i.id, i.amount, a.placed INTO wrong
    FROM (
        SELECT n.item_id, (SELECT sum(p.amount) FROM item_part p WHERE p.item_id = n.item_id) AS placed
        FROM added n WHERE n.came_from = n.disposition GROUP BY n.item_id OFFSET 0
    ) a JOIN billable_item i ON i.id = a.item_id
    WHERE a.placed <> i.amount;
    IF FOUND THEN
        RAISE EXCEPTION 'item % does not balance: % was approved, its parts are %', wrong.id, wrong.amount, wrong.placed
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    INSERT INTO transfer (entry, item_id, part, out_of, placed_in, amount, document, line, reference, cause, posted_at)
    SELECT entry, item_id, part, came_from, disposition, amount, document, line, reference, cause, posted_at
    FROM added WHERE came_from <> disposition;
    INSERT INTO ledger_total AS t
    SELECT engagement, legal_entity, currency, disposition, date_trunc('month', worked_on)::date, sum(amount),
        sum(parts), coalesce(sum(quantity), 0)
    FROM (
        SELECT engagement, legal_entity, currency, disposition, worked_on, amount, 1 AS parts, quantity FROM added
        UNION ALL
        SELECT engagement, legal_entity, currency, disposition, worked_on, -amount, -1, -quantity FROM before
    ) moved
    GROUP BY 1, 2, 3, 4, 5
    HAVING sum(amount) <> 0 OR sum(parts) <> 0 OR coalesce(sum(quantity), 0) <> 0 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (engagement, legal_entity, currency, disposition, month) DO UPDATE
    SET amount = t.amount + excluded.amount, parts = t.parts + excluded.parts,
        quantity = t.quantity + excluded.quantity;
    RETURN NULL;
END $$;

-- Stories move amounts: whole parts first, and the last one split. A move that is posted already changes nothing.
CREATE FUNCTION ledger_move(moves json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    m record;
    p record;
    rest numeric;
BEGIN
    FOR m IN SELECT * FROM json_to_recordset(moves) AS x (entry text, item_id text, document text, out_of text[],
        placed_in text, amount numeric, into_document text, into_line integer, reference text, cause text,
        posted_at timestamptz, at_most boolean)
    LOOP
        IF m.document IS NULL THEN
            CONTINUE WHEN EXISTS (SELECT FROM transfer t WHERE t.item_id = m.item_id AND t.entry = m.entry);
        ELSE
            CONTINUE WHEN EXISTS (SELECT FROM transfer t JOIN item_part q ON q.item_id = t.item_id
                WHERE q.document = m.document AND t.entry = m.entry);
        END IF;
        IF m.out_of[1] = 'approved' THEN
            INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, quantity,
                worked_on, document, line, entry, came_from, cause, reference, posted_at)
            SELECT i.id, 1 + coalesce((SELECT max(q.part) FROM item_part q WHERE q.item_id = i.id), 0), i.engagement,
                i.legal_entity, i.currency, m.placed_in, m.amount, i.quantity,
                coalesce(i.worked_on, (i.approved_at AT TIME ZONE 'UTC')::date), m.into_document, m.into_line, m.entry,
                'approved', m.cause, m.reference, m.posted_at
            FROM billable_item i WHERE i.id = m.item_id;
            CONTINUE;
        END IF;
        rest := m.amount;
        FOR p IN SELECT q.* FROM item_part q
            WHERE CASE WHEN m.document IS NULL THEN q.item_id = m.item_id ELSE q.document = m.document END
              AND q.disposition = ANY (m.out_of) AND sign(q.amount) = sign(m.amount)
            ORDER BY array_position(m.out_of, q.disposition), q.line, q.item_id, q.part FOR UPDATE
        LOOP
            EXIT WHEN rest = 0 AND p.amount <> 0;
            IF abs(p.amount) <= abs(rest) THEN
                UPDATE item_part SET disposition = m.placed_in, document = coalesce(m.into_document, document),
                    line = coalesce(m.into_line, line), entry = m.entry, cause = m.cause, reference = m.reference,
                    posted_at = m.posted_at
                WHERE item_id = p.item_id AND part = p.part;
                rest := rest - p.amount;
            ELSE
                WITH cut AS (
                    UPDATE item_part SET amount = p.amount - rest, quantity = p.quantity - p.quantity * rest / p.amount
                    WHERE item_id = p.item_id AND part = p.part RETURNING item_id
                )
                INSERT INTO item_part (item_id, part, engagement, legal_entity, currency, disposition, amount, quantity,
                    worked_on, document, line, entry, came_from, cause, reference, posted_at)
                SELECT p.item_id, 1 + (SELECT max(q.part) FROM item_part q WHERE q.item_id = p.item_id), p.engagement,
                    p.legal_entity, p.currency, m.placed_in, rest, p.quantity * rest / p.amount, p.worked_on,
                    coalesce(m.into_document, p.document), coalesce(m.into_line, p.line), m.entry, p.disposition,
                    m.cause, m.reference, m.posted_at
                FROM cut;
                rest := 0;
            END IF;
        END LOOP;
        IF rest <> 0 AND NOT coalesce(m.at_most, false) THEN
            RAISE EXCEPTION 'entry %: % of % are not in % (billed twice, or moved meanwhile)', m.entry, rest,
                coalesce(m.document, m.item_id), array_to_string(m.out_of, ' or ')
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END LOOP;
END $$;

CREATE TRIGGER item_part_adds_up AFTER INSERT ON item_part
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_add_up();
CREATE TRIGGER item_part_moves_on AFTER UPDATE ON item_part
    REFERENCING OLD TABLE AS before NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_move_on();
CREATE TRIGGER item_part_stays_itself BEFORE UPDATE OR DELETE ON item_part
    FOR EACH ROW EXECUTE FUNCTION note_where_a_part_came_from();
CREATE TRIGGER transfer_is_append_only BEFORE UPDATE OR DELETE ON transfer
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(LIMITS)
    for part in (WORK, LEDGER, CARRY_OVER, GUARDS):
        op.execute(part)


def downgrade() -> None:
    raise NotImplementedError("migrations are not undone; write the next one, or restore a backup")
