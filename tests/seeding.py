"""A firm in the middle of its work, straight in the tables: one engagement from won to cash, and what is stuck."""

# ruff: noqa: E501  (rows of data are read best as rows)

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from psycopg.types.json import Jsonb

from accord.demo.firm import FIRM
from accord.engine.casework import case_row, signature
from accord.engine.intents import as_json
from accord.engine.statements import OPEN_CASES
from accord.engine.story import Problem
from accord.ledger import postings
from accord.ledger.dispositions import Disposition, item, move
from accord.model.money import Money
from accord.records.observe import WRITE_RECORDS, digest_of_record

DEAL = "DEA-AAAAAAAAAAAAAAAA"
HELD = "DEA-BBBBBBBBBBBBBBBB"
CUSTOMER = "CUS-AAAAAAAAAAAAAAAA"
ATTACK = "<script>alert('x')</script> & <b>Söhne</b> \"GmbH\""


@dataclass(frozen=True, slots=True)
class Seeded:
    """Ids of what was written."""

    deal: str
    held: str
    gate_case: int
    refused_case: int
    question_case: int
    paused_case: int
    process: int
    parked: int
    refused_effect: int


def money(amount: str, currency: str) -> dict[str, str]:
    return {"amount": amount, "currency": currency}


async def seed(db: Any, now: datetime, *, alike: int = 4) -> Seeded:
    """Write the firm inside the caller's transaction; `alike` more deals are held for the same cause."""
    began = now - timedelta(days=41, hours=3)
    await _connections(db, now)
    await _records(db, now, alike)
    await _ledger(db, now)
    await _events(db, began, now)
    return await _work(db, now, alike)


async def _connections(db: Any, now: datetime) -> None:
    for name, role, state in (
        ("salesforce", "crm", "active"),
        ("netsuite", "erp", "paused"),
        ("stripe", "billing", "active"),
    ):
        reason = "INVALID_LOGIN: the token was revoked" if state == "paused" else None
        await db.execute(
            "INSERT INTO connection (name, vendor, state, state_reason) VALUES (%s, %s, %s, %s)",
            [name, name, state, reason],
        )
        await db.execute("INSERT INTO binding (role, connection) VALUES (%s, %s)", [role, name])
        await db.execute(
            "INSERT INTO vendor_call (connection, worker_id, endpoint, status, calls, seconds) VALUES (%s, 1, 'GET /x', 200, 412, 61.8)",
            [name],
        )
    await db.execute("INSERT INTO budget (connection, concurrency, per_second) VALUES ('netsuite', 5, 4)")
    for connection, kind, seconds, failures in (
        ("salesforce", "deal", 3, 0),
        ("salesforce", "customer", 4, 0),
        ("netsuite", "milestone_approval", 900, 3),
        ("stripe", "invoice", 2, 0),
    ):
        error = "INVALID_LOGIN: the token was revoked" if failures else None
        await db.execute(
            "INSERT INTO poll (connection, kind, every_seconds, last_at, last_seen, failures, last_error) "
            "VALUES (%s, %s, 5, %s, 17, %s, %s)",
            [connection, kind, now - timedelta(seconds=seconds), failures, error],
        )
    await db.execute(
        "INSERT INTO policy (name, version, body, declared_by) VALUES ('firm', 1, %s, 'test')",
        [Jsonb({**FIRM, "products": ["GTX Basic", "GTX Pro"]})],
    )


def _deal(id: str, number: str, name: str, customer: str, amount: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "number": number,
        "name": name,
        "stage": "Closed Won",
        "is_won": True,
        "is_closed": True,
        "customer_id": customer,
        "amount": amount,
        "currency": amount["currency"],
        "contract_type": "mixed",
        "legal_entity": "US",
        "contract": {"id": f"CON-{number}", "status": "activated", "approval": "approved", "billing_terms": "NET30"},
        **more,
    }


MILESTONES = (
    ("MIL-US1", "US blueprint accepted", "US", "120000.00", "USD", "0.00"),
    ("MIL-DE1", "DE core accepted", "DE", "95000.50", "EUR", "18050.10"),
    ("MIL-JP1", "JP rollout accepted", "JP", "12500000", "JPY", "0"),
)


def _invoices() -> list[dict[str, Any]]:
    found = []
    for index, (id, name, entity, net, currency, tax) in enumerate(MILESTONES):
        gross = str(Money.of(net, currency).amount + Money.of(tax, currency).amount)
        paid = {"US": gross, "DE": "50000.00", "JP": "0"}[entity]
        found.append(
            {
                "id": f"INV-{id[4:]}",
                "customer_id": CUSTOMER,
                "legal_entity": entity,
                "currency": currency,
                "lines": [
                    {"item_id": f"BIL-{id[4:]}", "text": name, "net": money(net, currency), "tax": money(tax, currency)}
                ],
                "net": money(net, currency),
                "tax": money(tax, currency),
                "gross": money(gross, currency),
                "paid": money(paid, currency),
                "origin": "milestone",
                "number": f"ACC-000{index + 1}",
                "status": "paid" if entity == "US" else "open",
                "issued_on": "2026-10-20",
                "due_on": "2026-11-19",
                "billing_ref": f"in_1{index}",
                "engagement_id": DEAL,
                "disputed": entity == "JP",
            }
        )
    return found


async def _records(db: Any, now: datetime, alike: int) -> None:
    invoices = _invoices()
    engagement = {
        "id": DEAL,
        "number": "0061",
        "name": "Northwind global transformation",
        "customer_id": CUSTOMER,
        "projects": [
            {"legal_entity": each, "project_id": f"PRJ-{each}", "number": f"P-0061-{each}"}
            for each in ("US", "DE", "JP")
        ],
        "terms_days": 30,
        "value": [money("160000.00", "EUR"), money("17300001", "JPY"), money("290000.00", "USD")],
        "status": "active",
        "policy_version": 1,
        "activated_on": "2026-10-14",
    }
    rows: list[tuple[str, str, dict[str, Any], str | None, timedelta]] = [
        ("customer", CUSTOMER, {"id": CUSTOMER, "legal_name": "Northwind Industrie AG", "country": "DE"}, None, timedelta(41)),
        ("customer", "CUS-B", {"id": "CUS-B", "legal_name": ATTACK, "country_as_given": "Philipines"}, None, timedelta(3)),
        ("deal", DEAL, _deal(DEAL, "0061", "Northwind global transformation", CUSTOMER, money("620000.00", "USD")), DEAL,
         timedelta(hours=2)),
        ("deal", HELD, _deal(HELD, "0062", f"Data platform for {ATTACK}", "CUS-B", money("84000.00", "EUR"), legal_entity="DE",
         product_as_given="GTXPro X", delivery_region=None), HELD, timedelta(hours=5)),
        ("engagement", DEAL, engagement, DEAL, timedelta(40)),
        *(("invoice", each["id"], each, DEAL, timedelta(4)) for each in invoices),
        *((("invoice_posting", each["id"], {"id": each["id"], "engagement_id": DEAL, "erp_id": f"90{n}"}, DEAL, timedelta(4))
           for n, each in enumerate(invoices[:2]))),
        ("payment_application", "PAY-1", {"id": "PAY-1", "invoice_id": "INV-US1", "amount": money("120000.00", "USD"),
         "received_on": "2026-11-02"}, DEAL, timedelta(3)),
        ("payment_application", "PAY-2", {"id": "PAY-2", "invoice_id": "INV-DE1", "amount": money("50000.00", "EUR"),
         "received_on": "2026-11-03"}, DEAL, timedelta(3)),
        *((("scheduled_milestone", id, {"id": id, "engagement_id": DEAL, "customer_id": CUSTOMER, "legal_entity": entity,
            "name": name, "amount": money(net, currency), "planned_on": "2026-10-20", "status": "billed"}, DEAL, timedelta(20))
           for id, name, entity, net, currency, _ in MILESTONES)),
        ("recurring_schedule", "SUB-1", {"id": "SUB-1", "engagement_id": DEAL, "customer_id": CUSTOMER, "legal_entity": "US",
         "name": "Managed platform service", "monthly": money("7500.00", "USD"), "starts_on": "2026-11-01", "months": 12,
         "terms_days": 30, "status": "active"}, DEAL, timedelta(40)),
    ]  # fmt: skip
    for n in range(alike):
        deal, customer = f"DEA-K{n}", f"CUS-K{n}"
        about = {"id": customer, "legal_name": f"Hanbit {n} Ltd", "country_as_given": "Korea"}
        rows.append(("customer", customer, about, None, timedelta(2)))
        rows.append(("deal", deal, _deal(deal, f"07{n:02}", f"Hanbit rollout {n}", customer, money(f"{1000 + n}.00", "USD")), deal,
                     timedelta(hours=6 + n)))  # fmt: skip
    for kind, id, body, correlation, age in rows:
        row = {
            "kind": kind, "id": id, "version": 1, "body": body, "digest": digest_of_record(body, deleted=False),
            "provenance": dict.fromkeys(body, "salesforce"), "connection": "salesforce", "source_version": "2026-10-13",
            "correlation": correlation, "deleted": False, "at": now - age,
        }  # fmt: skip
        await db.execute(WRITE_RECORDS, {"rows": as_json([row])})
    for number, each in enumerate(invoices):
        for connection, vendor_id in (
            ("stripe", f"in_1{number}"),
            ("netsuite", f"90{number}"),
            ("salesforce", f"a0X00{number}"),
        ):
            await db.execute(
                "INSERT INTO crosswalk (connection, kind, canonical_id, vendor_id) VALUES (%s, 'invoice', %s, %s)",
                [connection, each["id"], vendor_id],
            )


async def _ledger(db: Any, now: datetime) -> None:
    at = now.isoformat()
    entries = []
    for id, _, entity, net, currency, _ in MILESTONES:
        amount = Money.of(net, currency)
        about = item(
            id=f"BIL-{id[4:]}", kind="milestone", engagement=DEAL, legal_entity=entity, amount=amount, source="milestone",
            source_id=id, approved_at=at,
        )  # fmt: skip
        end = {"US": Disposition.COLLECTED, "DE": Disposition.BILLED, "JP": Disposition.DISPUTED}[entity]
        way = [Disposition.APPROVED, Disposition.BILLED, *([end] if end is not Disposition.BILLED else [])]
        for out_of, into in pairwise(way):
            document = f"INV-{id[4:]}" if into is Disposition.BILLED else None
            post = move(
                f"{into} {id}",
                about,
                amount,
                out_of=out_of,
                into=into,
                cause="test",
                at=at,
                new=True,
                document=document,
            )
            entries.append((post.entry, post.items, post.postings))
    await postings.write(db, entries)


async def event(db: Any, at: datetime, type: str, subject: str, payload: dict[str, Any], **more: Any) -> None:
    """One fact, recorded at a given time."""
    row = {"actor": "accord", "correlation": DEAL, "causation": None, "occurred_at": at, **more}
    await db.execute(
        "INSERT INTO event (type, subject, schema_version, occurred_at, recorded_at, actor, correlation, causation, payload) "
        "VALUES (%(type)s, %(subject)s, 1, %(occurred_at)s, %(at)s, %(actor)s, %(correlation)s, %(causation)s, %(payload)s)",
        {**row, "at": at, "type": type, "subject": subject, "payload": Jsonb(payload)},
    )


async def _events(db: Any, began: datetime, now: datetime) -> None:
    async def wrote(
        at: datetime, system: str, what: str, ref: str, ms: float, amount: dict[str, str] | None = None
    ) -> None:
        payload = {"system": system, "what": what, "kind": "x", "verb": "put", "ref": ref, "latency_ms": ms}
        await event(
            db, at, "effect.committed", DEAL, payload | ({"money": amount} if amount else {}), causation="effect 1"
        )

    def after(**span: float) -> datetime:
        return began + timedelta(**span)

    async def seen(
        at: datetime, type: str, subject: str, payload: dict[str, Any], cause: str, actor: str, lag: float = 2
    ) -> None:
        await event(
            db, at, type, subject, payload, causation=cause, actor=actor, occurred_at=at - timedelta(seconds=lag)
        )

    await seen(after(), "deal.won", DEAL, {"number": "0061", "amount": money("620000.00", "USD")}, "salesforce deal 006Xx0000012",
               "Sam Seller")  # fmt: skip
    about = {
        "process": "quote_to_project",
        "what": "A won opportunity becomes an active project with a billing schedule",
    }
    await event(db, after(seconds=0.2), "process.started", DEAL, about)
    day = after(days=1, hours=2)
    await seen(day, "deal.changed", DEAL, {"changed": ["contract"]}, "salesforce deal 006Xx0000012", "Petra PMO")
    for n, (system, what, ref, ms) in enumerate(
        (
            ("netsuite", "Customer in the ERP", "1201", 412.0),
            ("stripe", "Customer in billing", "cus_Q1", 131.0),
            ("stripe", "Tax rate USt 19 %", "txr_1", 98.0),
            ("netsuite", "Create project P-0061-US", "3301", 388.0),
            ("netsuite", "Create project P-0061-DE", "3302", 391.0),
            ("netsuite", "Create project P-0061-JP", "3303", 402.0),
            ("netsuite", "Create milestone US blueprint accepted", "4401", 350.0),
            ("stripe", "Schedule milestone US blueprint accepted", "prod_1", 120.0),
            ("salesforce", "Project P-0061-US is active", "006Xx0000012", 210.0),
        )
    ):
        await wrote(day + timedelta(seconds=1 + n * 0.3), system, what, ref, ms)
    await event(
        db, day + timedelta(seconds=5), "project.activated", DEAL, {"projects": ["P-0061-US", "P-0061-DE"], "value": []}
    )
    step = after(days=8)
    for n, (id, name, _, net, currency, _) in enumerate(MILESTONES):
        at = step + timedelta(minutes=7 * n)
        approval = {"approved": True, "approved_by": "Dana Delivery", "money": money(net, currency)}
        await seen(at, "milestone.approved", id, approval, f"netsuite milestone_approval 44{n}", "Dana Delivery")
        await wrote(
            at + timedelta(seconds=1), "stripe", f"Issue the invoice for {name}", f"in_1{n}", 640, money(net, currency)
        )
        issued = {"number": f"ACC-000{n + 1}", "status": "open", "gross": money(net, currency)}
        await seen(
            at + timedelta(seconds=2), "invoice.issued", f"INV-{id[4:]}", issued, f"stripe invoice in_1{n}", "stripe"
        )
        posted = f"Post invoice ACC-000{n + 1} in the ERP"
        await wrote(at + timedelta(seconds=3), "netsuite", posted, f"90{n}", 510, money(net, currency))
        await event(db, at + timedelta(seconds=4), "invoice.posted", f"INV-{id[4:]}", {"number": f"ACC-000{n + 1}"})
    paid = after(days=21)
    await seen(
        paid, "payment.received", "PAY-1", {"amount": money("120000.00", "USD")}, "stripe payment pi_1", "stripe"
    )
    await wrote(paid + timedelta(seconds=1), "netsuite", "Apply payment 120000.00 USD to invoice ACC-0001", "7001", 433,
                money("120000.00", "USD"))  # fmt: skip
    dispute = {"reason": "product_unacceptable", "amount": money("12500000", "JPY")}
    await seen(now - timedelta(hours=2), "dispute.opened", "DIS-1", dispute, "stripe dispute dp_1", "stripe")


async def _process(
    db: Any, id: int, name: str, subject: str, correlation: str | None, at: datetime, state: int
) -> None:
    finished = state in (4, 5)
    await db.execute(
        "INSERT INTO process (id, name, version, one_per, subject, correlation, trigger, started_at, finished_at, end_state, result) "
        "VALUES (%s, %s, '1', %s, %s, %s, %s, %s, %s, %s, %s)",
        [id, name, f"{subject} {id}", subject, correlation,
         Jsonb({"type": "deal.won", "subject": subject, "occurred_at": at.isoformat(), "actor": "x", "payload": {}}), at,
         at + timedelta(seconds=3) if finished else None, state if finished else None,
         Jsonb({"activated": True}) if finished else None],
    )  # fmt: skip
    if not finished:
        await db.execute(
            "INSERT INTO open_process (process_id, name, subject, priority, state, since) VALUES (%s, %s, %s, 1, %s, %s)",
            [id, name, subject, state, at],
        )


async def _effect(
    db: Any,
    id: int,
    process: int,
    connection: str,
    kind: str,
    about: str,
    label: str,
    state: int,
    at: datetime,
    **more: Any,
) -> None:
    row = {
        "verb": "put",
        "amount": None,
        "currency": None,
        "undo": None,
        "vendor_id": None,
        "correlation": DEAL,
        **more,
    }
    await db.execute(
        "INSERT INTO effect (id, process_id, story_key, connection, kind, canonical_id, generation, verb, version, state, "
        "attempts, priority, body, undo, correlation, label, amount, currency, vendor_id, intended_at, sent_at, finished_at) "
        "VALUES (%(id)s, %(process)s, %(key)s, %(connection)s, %(kind)s, %(about)s, 1, %(verb)s, 'v', %(state)s, 1, 1, %(body)s, "
        "%(undo)s, %(correlation)s, %(label)s, %(amount)s, %(currency)s, %(vendor_id)s, %(at)s, %(at)s, %(done)s)",
        {
            **row, "id": id, "process": process, "key": f"effect:{id}", "connection": connection, "kind": kind, "about": about,
            "state": state, "label": label, "at": at, "body": Jsonb({"id": about, "name": label}),
            "done": at if state in (2, 3) else None, "undo": None if row["undo"] is None else Jsonb(row["undo"]),
        },
    )  # fmt: skip


async def _waiting(db: Any, effect: int, connection: str, at: datetime) -> None:
    await db.execute(
        "INSERT INTO waiting_effect (effect_id, connection, kind, verb, priority, due, not_before, probe, reason, since) "
        "VALUES (%s, %s, 'invoice', 'put', 0, true, %s, false, 'the connection is paused', %s)",
        [effect, connection, at, at],
    )


async def _open(db: Any, at: datetime, **about: Any) -> int:
    row = case_row(**about)
    await db.execute(OPEN_CASES, {"rows": as_json([row])})
    await db.execute("UPDATE business_case SET opened_at = %s WHERE id = %s", [at, about["id"]])
    return int(about["id"])


async def _work(db: Any, now: datetime, alike: int) -> Seeded:
    hours = timedelta(hours=1)
    await _process(db, 101, "quote_to_project", DEAL, DEAL, now - timedelta(40), 4)
    undo = {"verb": "put", "body": {}}
    await _effect(db, 501, 101, "netsuite", "project", "PRJ-US", "Create project P-0061-US", 2, now - timedelta(40), undo=undo,
                  vendor_id="3301")  # fmt: skip
    await _process(db, 102, "quote_to_project", HELD, HELD, now - 5 * hours, 3)
    await _process(db, 103, "milestone_to_bill", "MIL-JP1", DEAL, now - 30 * hours, 3)
    await _effect(db, 502, 103, "netsuite", "invoice", "INV-JP1", "Post invoice ACC-0003 in the ERP", 3, now - 30 * hours,
                  amount="12500000", currency="JPY")  # fmt: skip
    await db.execute(
        "INSERT INTO effect_attempt (effect_id, at, what, outcome, reason) VALUES (502, %s, 'send', 'rejected', %s)",
        [now - 30 * hours, "INVALID_KEY_OR_REF: the posting period Oct 2026 is closed"],
    )
    await _effect(db, 503, 101, "stripe", "recurring_schedule", "SUB-1", "Schedule Managed platform service", 2,
                  now - timedelta(40), undo=undo, vendor_id="sub_sched_1")  # fmt: skip
    await _process(db, 104, "contract_change", "DEA-Q", DEAL, now - 2 * hours, 3)
    await _process(db, 105, "milestone_to_bill", "MIL-X", DEAL, now - hours, 2)
    await _effect(db, 504, 105, "netsuite", "invoice", "INV-X", "Post invoice ACC-0004 in the ERP", 1, now - hours,
                  amount="7500.00", currency="USD")  # fmt: skip
    await _waiting(db, 504, "netsuite", now - hours)
    gate = await _open(
        db, now - 5 * hours, id=901, reason="activation_gate", owner="sales operations", process_id=102, subject=HELD,
        correlation=HELD, money=Money.of("84000.00", "EUR"), question={"key": "require:activation_gate", "watch": [HELD, "CUS-B"]},
        title=f"Data platform for {ATTACK} cannot be activated",
        problems=(
            Problem("country_unknown", "The country 'Philipines' is not known (it may mean: PH Philippines).", "country",
                    "Correct the account in the CRM, or declare what 'Philipines' means in the reference list `country`."),
            Problem("product_unknown", "The product 'GTXPro X' is not in the catalogue.", "product_as_given", "Correct it."),
            Problem("delivery_region", "The delivery region None is not one of AMER, EMEA, APAC.", "delivery_region",
                    "Choose a delivery region in the CRM."),
        ),
    )  # fmt: skip
    refused = await _open(
        db, now - 30 * hours, id=902, reason="rejected", owner="finance", process_id=103, effect_id=502, connection="netsuite",
        subject="INV-JP1", correlation=DEAL, amount="12500000", currency="JPY",
        title="Post invoice ACC-0003 in the ERP: the posting period Oct 2026 is closed",
        problems=(Problem("INVALID_KEY_OR_REF", "The posting period Oct 2026 is closed.", "tranDate",
                          "Correct the source and retry, or skip with a reason."),),
    )  # fmt: skip
    question = await _open(
        db, now - 2 * hours, id=903, reason="decision", owner="PMO", process_id=104, subject="DEA-Q", correlation=DEAL,
        money=Money.of("620000.00", "USD"), title="Northwind was re-opened after its project became active. Bill on, or stop?",
        problems=(Problem("decision", "Northwind was re-opened after its project became active. Bill on, or stop?"),),
        question={"key": "decision:reopened", "options": ["bill on", "stop billing"], "context": {}},
    )  # fmt: skip
    paused = await _open(
        db, now - hours, id=904, reason="connection_paused", owner="integration engineer", connection="netsuite",
        title="netsuite is paused: INVALID_LOGIN: the token was revoked",
        problems=(Problem("INVALID_LOGIN", "The token was revoked.", cure="Correct credentials, then resume."),),
    )  # fmt: skip
    for n in range(alike):
        process = 200 + n
        await _process(db, process, "quote_to_project", f"DEA-K{n}", f"DEA-K{n}", now - (6 + n) * hours, 3)
        await _open(
            db, now - (6 + n) * hours, id=1000 + n, reason="country_unknown", owner="sales operations", process_id=process,
            subject=f"DEA-K{n}", correlation=f"DEA-K{n}", money=Money.of(f"{1000 + n}.00", "USD"),
            question={"key": "require:activation_gate", "watch": [f"DEA-K{n}"]},
            title=f"Hanbit rollout {n} cannot be activated: The country 'Korea' is not known.",
            problems=(Problem("country_unknown", "The country 'Korea' is not known.", "country", "Declare what it means."),),
        )  # fmt: skip
    return Seeded(DEAL, HELD, gate, refused, question, paused, 101, 103, 502)


CAUSE_OF_ALIKE = signature(
    None,
    "country_unknown",
    (Problem("country_unknown", "The country 'Korea' is not known.", "country", "Declare what it means."),),
)
