"""A database and one simulated vendor, with what reads work from it between them: polls, pushes, the ledger. No socket,
and time passes only as a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from accord.connect.answer import Answer
from accord.connect.authenticator import Outgoing
from accord.connect.connector import Connector, Observed
from accord.connect.polling import Polling, enter_polls
from accord.connect.registry import connector, open_session
from accord.connect.store import Connection
from accord.connect.switchboard import Line, LocalBudget, Switchboard
from accord.connect.translation import Translation
from accord.connect.transport import ConnectionDropped, Sending
from accord.db.pool import Pool, transaction
from accord.ledger import bindings
from accord.ledger.bindings import Binding, ProjectRow
from accord.ledger.postings import standing
from accord.ledger.rating import RatingReport, rate_waiting
from accord.ledger.terms import declare
from accord.ledger.told import ToldWorkTaker, take_bindable
from accord.model.money import Money
from accord.model.terms import BillingTerms, RateRow
from accord.model.told_work import TOLD_KINDS
from accord.records.observe import digest_of_record
from accord.sandbox import VENDORS
from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.inprocess import InProcess, NoAnswer
from accord.sandbox.kit.simulator import Delivery, ManualClock

START = datetime(2026, 11, 23, 17, tzinfo=UTC)
TAKERS = dict.fromkeys(TOLD_KINDS, ToldWorkTaker())
ENTER = "INSERT INTO connection (name, vendor) VALUES (%s, %s)"
LINK = "INSERT INTO crosswalk (connection, kind, canonical_id, vendor_id) VALUES (%s, %s, %s, %s)"
RECORD = """
INSERT INTO record (kind, id, version, body, digest, provenance, connection, source_version, correlation, deleted,
    changed_at, observed_at)
VALUES (%s, %s, 1, %s::jsonb, decode(%s, 'hex'), '{}', 'accord', '', %s, false, now(), now())
"""
LIES = """
SELECT engagement, legal_entity, disposition, sum(amount), currency FROM item_part
GROUP BY 1, 2, 3, 5 HAVING sum(amount) <> 0 ORDER BY 1, 2, 3
"""
STORE = "INSERT INTO inbox (connection, vendor_event_id, body_digest, headers, body) VALUES (%s, %s, %s, '{}', %s)"


@dataclass
class Way:
    """A wire to a simulator in the same process; what it was asked is kept."""

    door: InProcess
    asked: list[str] = field(default_factory=list)

    async def send(self, request: Outgoing, sending: Sending, timeout_seconds: float) -> Answer:
        sending.begin()
        self.asked.append(f"{request.method} {request.url}")
        try:
            response = self.door.send(request.method, request.url, request.headers, request.body or b"")
        except NoAnswer as error:
            raise ConnectionDropped(str(error)) from error
        return Answer(response.status, dict(response.headers), response.body)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class House:
    """One vendor's work on its way into the ledger. `name` is the connection."""

    pool: Pool
    name: str
    simulator: Any
    clock: ManualClock
    way: Way
    switchboard: Switchboard
    table: Connector
    config: Mapping[str, Any]
    received: int = 0
    stored: Connection = field(init=False)

    def log_in(self) -> None:
        """Open the connection, anew when the vendor has forgotten our credentials."""
        vendor = self.table.vendor
        given = {**self.simulator.credentials(f"https://{vendor}.test"), **self.config}
        secret = {each.name for each in self.table.credentials if each.secret}
        public = {each: value for each, value in given.items() if each not in secret}
        credentials = {each: given[each] for each in given.keys() & secret}
        self.stored = stored = Connection(self.name, vendor, public, credentials)
        session = open_session(stored, now=self.clock.now, table=self.table, wire=self.way)
        secrets = {**stored.config, **stored.credentials}
        self.switchboard.add(Line(self.name, self.table, session, LocalBudget(), secrets))

    def admin(self, action: str, **arguments: Any) -> Any:
        return self.simulator.admin(action, arguments)

    def fault(self, kind: Any, **options: Any) -> None:
        self.simulator.faults.add(Fault(kind, **options))

    def later(self, **duration: float) -> None:
        self.clock.at += timedelta(**duration)

    async def poll(self, *kinds: str) -> None:
        """Poll all kinds of work, or these; a poll that fails fails the test."""
        for kind in kinds or TOLD_KINDS:
            await self.run("UPDATE poll SET next_at = CASE WHEN kind = %s THEN now() ELSE 'infinity' END", kind)
            polling = Polling(self.pool, self.switchboard, 1, self.clock.now, takers=TAKERS)
            assert await polling.once(), f"{kind} is not polled"
        failed = await self.rows("SELECT kind, last_error FROM poll WHERE failures > 0")
        assert failed == []

    def pushes(self) -> list[Delivery]:
        found: list[Delivery] = self.simulator.take_deliveries()
        return found

    async def receive(self, *pushes: Delivery) -> int:
        """Store pushes as the door does, each as one never seen, and translate them; how many were settled."""
        async with transaction(self.pool) as db:
            for each in pushes:
                self.received += 1
                await db.execute(STORE, (self.name, f"{each.delivery_id} {self.received}", b"", each.body))
        return await Translation(self.pool, self.switchboard, self.clock.now, takers=TAKERS).once()

    async def take(self, *observed: Observed) -> None:
        """Take what was read some time ago."""
        async with transaction(self.pool) as db:
            await ToldWorkTaker().take(db, self.name, observed)

    async def project(self, vendor_id: str, engagement: str, entity: str, *, kind: str = "project") -> None:
        """What Accord made itself: a project of an engagement in a legal entity, known at the vendor by this id."""
        id = f"PRJ-{engagement}-{entity}"
        body = {"id": id, "engagement_id": engagement, "legal_entity": entity, "number": f"P-{engagement}-{entity}"}
        digest = digest_of_record(body, deleted=False)
        await self.run(RECORD, "project", id, json.dumps(body), digest, engagement)
        await self.run(LINK, self.name, kind, id if kind == "project" else engagement, vendor_id)

    async def listed(self, project: str, engagement: str, entity: str) -> None:
        """What somebody says in the reference list."""
        async with transaction(self.pool) as db:
            row = ProjectRow(project, Binding(engagement, entity))
            await bindings.declare(db, self.name, [row], by="paula")

    async def agree(self, engagement: str, entity: str, currency: str = "EUR", rate: str = "200") -> None:
        """Billing terms of one rate, for time and expenses."""
        money = Money.of(rate, currency)
        terms = BillingTerms(
            engagement, entity, 1, currency, f"CUS-{engagement}", clause="SOW 4.1",
            rates=(RateRow("R", money, clause="Annex B"),),
        )  # fmt: skip
        async with transaction(self.pool) as db:
            await declare(db, [terms], by="fatima")

    async def bound(self) -> int:
        return await take_bindable(self.pool)

    async def rate(self) -> RatingReport:
        return await rate_waiting(self.pool, self.clock.now())

    async def lies(self) -> dict[str, str]:
        """What lies where, by engagement, legal entity and disposition; nothing is unexplained."""
        async with self.pool.connection() as db:
            assert [each for each in await standing(db) if each.unexplained] == []
        return {f"{engagement} {entity} {lies}": f"{amount} {currency}"
                for engagement, entity, lies, amount, currency in await self.rows(LIES)}  # fmt: skip

    async def entries(self, columns: str = "status, quantity, engagement, legal_entity") -> list[tuple[Any, ...]]:
        return await self.rows(f"SELECT {columns} FROM work_entry WHERE current ORDER BY source_key")

    async def problems(self) -> list[tuple[str, str]]:
        """Reason and place of what is open."""
        found = await self.rows("SELECT reason, place FROM work_problem WHERE settled_at IS NULL ORDER BY 1, 2")
        return cast(list[tuple[str, str]], found)

    async def cases(self) -> list[str]:
        return [row[0] for row in await self.rows("SELECT reason FROM business_case WHERE state = 'open' ORDER BY 1")]

    async def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as db:
            return await (await db.execute(query, values)).fetchall()

    async def until(self, count: str, least: int) -> None:
        """Until a query counts as many; somebody else is at work."""
        async with asyncio.timeout(60):
            while (await self.rows(count))[0][0] < least:  # noqa: ASYNC110  (only the database knows)
                await asyncio.sleep(0.01)

    async def run(self, statement: str, *values: Any) -> None:
        async with transaction(self.pool) as db:
            await db.execute(statement, values)


@asynccontextmanager
async def house_of(
    pool: Pool, vendor: str, *, name: str, config: Mapping[str, Any], **build: Any
) -> AsyncIterator[House]:
    """A house whose connection `name` is to a fresh simulator of a vendor, logged in."""
    clock = ManualClock(START)
    simulator: Any = VENDORS[vendor](clock=clock, wall=clock, seed=3, **build)
    way = Way(InProcess(simulator, wall=clock))
    house = House(pool, name, simulator, clock, way, Switchboard(), connector(vendor), config)
    house.log_in()
    async with house.switchboard:
        async with transaction(pool) as db:
            await db.execute(ENTER, (name, vendor))
            await enter_polls(db, house.switchboard)
        yield house


class NetSuiteFirm:
    """What a NetSuite account holds before time is entered: customers in three legal entities, projects, people."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.ids: dict[str, str] = {}
        for external_id, name in (("CUS-1", "Acme GmbH"), ("CUS-2", "Bolt Inc.")):
            self.enter("customer", external_id, companyName=name, subsidiary={"externalId": "DE"})
            for entity in ("US", "JP"):
                about = {"entity": {"externalId": external_id}, "subsidiary": {"externalId": entity}}
                self.enter("customerSubsidiaryRelationship", f"{external_id}-{entity}", **about)

    def enter(self, record: str, external_id: str, **fields: Any) -> str:
        from accord.sandbox.netsuite.schema import TYPES
        from accord.sandbox.netsuite.writing import Write, save

        given = {"externalId": external_id, **fields}
        row = save(self.house.simulator.account, TYPES[record], None, given, Write(strict=True))
        self.ids[external_id] = str(row["id"])
        return self.ids[external_id]

    def project(self, external_id: str, *, customer: str = "CUS-1", entity: str = "DE") -> str:
        about = {"parent": {"externalId": customer}, "subsidiary": {"externalId": entity}}
        return self.enter("job", external_id, companyName=external_id, entityId=external_id, **about)

    def hire(self, external_id: str, *, entity: str = "DE") -> str:
        name = external_id.removeprefix("EMP-").title()
        return str(self.house.admin("hire", external_id=external_id, name=name, subsidiary=entity)["id"])

    def week(self, employee: str, *lines: Mapping[str, Any], status: str = "3") -> list[str]:
        """A week of time, approved unless told otherwise."""
        told = [{"date": "2026-11-20", "hours": "8:00", **line} for line in lines]
        made: list[str] = self.house.admin("enter_timesheet", employee=employee, lines=told, status=status)["ids"]
        return made

    def expenses(self, employee: str, *lines: Mapping[str, Any], approved: bool = True) -> str:
        told = [{"date": "2026-11-20", "billable": True, **line} for line in lines]
        id = str(self.house.admin("enter_expenses", employee=employee, lines=told)["id"])
        if approved:
            self.house.admin("approve_work", record="expenseReport", ids=[id])
        return id

    def subscribe(self, *records: str) -> None:
        for record in records:
            self.house.admin("subscribe", record=record, url="https://accord.test/in/erp", secret="s")


@asynccontextmanager
async def netsuite_house(pool: Pool, *, work: Sequence[str] = TOLD_KINDS, **config: Any) -> AsyncIterator[House]:
    settings = {"work": list(work), "subsidiaries": {"US": "2", "DE": "3", "JP": "4"}, **config}
    async with house_of(pool, "netsuite", name="erp", config=settings, concurrency=100) as house:
        yield house


class SalesforceFirm:
    """What an org holds before time is entered: opportunities, and the users who work and approve."""

    def __init__(self, house: House) -> None:
        self.house = house

    def make(self, name: str, **fields: Any) -> str:
        return str(self.house.admin("create", object=name, fields=fields)["id"])

    def deal(self, name: str = "Roll-out") -> str:
        return self.make("Opportunity", Name=name, StageName="Closed Won", CloseDate="2026-11-01")

    def user(self, name: str = "Jonas Weber") -> str:
        rows = self.house.simulator.dump()["User"]
        return str(next(row["Id"] for row in rows if row["Name"] == name))

    def time(self, deal: str | None, hours: str = "8", **fields: Any) -> str:
        """An entry, approved unless `Status__c` says otherwise."""
        usual = {"Opportunity__c": deal, "Hours__c": hours, "Work_Date__c": "2026-11-20", "Worker__c": self.user()}
        id = self.make("Time_Entry__c", **{**usual, **fields})
        if "Status__c" not in fields:
            self.house.admin("approve_work", ids=[id])
        return id

    def expense(self, deal: str | None, amount: str, currency: str = "EUR", **fields: Any) -> str:
        usual = {"Opportunity__c": deal, "Amount__c": amount, "CurrencyIsoCode": currency,
                 "Work_Date__c": "2026-11-20", "Worker__c": self.user()}  # fmt: skip
        id = self.make("Expense__c", **{**usual, **fields})
        self.house.admin("approve_work", ids=[id])
        return id

    def subscribe(self, *objects: str) -> None:
        for name in objects:
            self.house.admin("subscribe_outbound", object=name, url="https://accord.test/in/crm")


@asynccontextmanager
async def salesforce_house(pool: Pool, *, work: Any = TOLD_KINDS, **config: Any) -> AsyncIterator[House]:
    settings = {"work": work if isinstance(work, Mapping) else list(work), **config}
    async with house_of(pool, "salesforce", name="crm", config=settings) as house:
        yield house
