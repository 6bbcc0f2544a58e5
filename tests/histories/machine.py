"""Random histories of a firm: told, priced, proposed, invoiced, paid and disputed, with deaths at any statement.

Each history is played twice, on two databases: once smoothly, and once by processes that die. After every step both
must keep the law and be the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from accord.db.pool import transaction
from accord.engine.shell import Kept
from accord.errors import Conflict, NotFound, UsageError
from accord.ledger import approving
from accord.ledger.fitting import fit_waiting
from accord.ledger.holding import release_held
from accord.ledger.proposing import propose
from accord.ledger.rating import rate_waiting
from accord.ledger.terms import declare
from accord.ledger.work import take
from accord.model import events
from accord.model.billing import Dispute, Payment
from accord.model.events import Fact
from accord.model.money import Money
from accord.model.plain import to_plain
from accord.model.work import WorkEntry, WorkKind, WorkStatus
from tests.histories.firm import TERMS, raised, worth
from tests.histories.ground import NOW, Ground
from tests.histories.mortal import Fate
from tests.histories.playing import RECORDS, Run

PROPOSALS = "SELECT id, status, version, net FROM proposal ORDER BY id"
INVOICES = "SELECT body FROM record WHERE kind = 'invoice' ORDER BY id"

Step = Callable[[Any, Ground], Awaitable[Any]]

PLACES = sorted(TERMS)
CAPPED = [place for place in PLACES if TERMS[place].caps]
DAYS = st.integers(0, 60).map(lambda days: date(2026, 10, 1) + timedelta(days=days))
PERIOD_ENDS = st.sampled_from([date(2026, 10, 31), date(2026, 11, 15), date(2026, 11, 30)])
HOURS = st.integers(0, 64).map(lambda eighths: Decimal(eighths) / 8)
# None: nobody dies. Else where in the step, as a share of its statements, and whether after the statement.
DEATHS = st.one_of(st.none(), st.tuples(st.integers(0, 999), st.booleans()))
STATUSES = st.sampled_from([*[WorkStatus.APPROVED] * 3, WorkStatus.RECALLED, WorkStatus.DELETED, WorkStatus.SUBMITTED])
SHARES = st.sampled_from([1, 30, 50, 99, 100])


@st.composite
def work(draw: Any, n: int) -> WorkEntry:
    """Approved work of any kind at any place that has terms for it."""
    place = draw(st.sampled_from(PLACES))
    terms = TERMS[place]
    kinds = [WorkKind.TIME] * 3 + [WorkKind.USAGE] * 3 * bool(terms.usage) + [WorkKind.EXPENSE] * bool(terms.expenses)
    kind = draw(st.sampled_from(kinds))
    base = WorkEntry(
        id=f"WRK-{n}", revision=1, kind=kind, source="time", source_key=str(n), status=WorkStatus.APPROVED,
        worked_on=draw(DAYS), quantity=draw(HOURS), engagement_id=place[0], legal_entity=place[1],
        worker=draw(st.sampled_from(["anna", "ben"])), task=draw(st.sampled_from(["design", "internal", None])),
        worker_entity=draw(st.sampled_from([None, "US", "DE"])), billable=draw(st.sampled_from([True, True, False])),
        approver="paul", approved_at="2026-11-30T18:00:00+00:00", recorded_as=f"line {n}",
    )  # fmt: skip
    if kind is WorkKind.USAGE:
        return replace(base, quantity=Decimal(draw(st.integers(-40, 160))), unit="call", billable=True)
    if kind is WorkKind.EXPENSE:
        cost = Money.from_minor(draw(st.integers(1, 60_000)), terms.currency)
        return replace(base, quantity=Decimal(1), cost=cost, receipt=draw(st.sampled_from([None, "scan"])))
    # A source may correct by an entry below zero.
    return replace(base, quantity=base.quantity * draw(st.sampled_from([1, 1, 1, -1])))


class Histories(RuleBasedStateMachine):
    """Two databases, the same history; `smooth` and `mortal` are set by the test."""

    runner: ClassVar[asyncio.Runner]
    smooth: ClassVar[Ground]
    mortal: ClassVar[Ground]

    @initialize(data=st.data())
    def begin(self, data: Any) -> None:
        self.entries: dict[str, WorkEntry] = {}
        self.waiting = False
        self.numbers = 0
        self.disputes: dict[str, str] = {}
        self.credited: set[str] = set()
        self.proposals: list[tuple[Any, ...]] = []
        self.invoices: list[dict[str, Any]] = []
        for ground in (self.smooth, self.mortal):
            self.runner.run(ground.clear())
        self._tell([data.draw(work(self._next())) for _ in range(6)], priced=True, death=None)

    def teardown(self) -> None:
        if self.proposals:
            self.runner.run(self._step(_nothing, None, lines=True))

    def step(self, doing: Step, death: tuple[int, bool] | None, *, lines: bool = False) -> None:
        """The same on both; then what must hold."""
        self.runner.run(self._step(doing, death, lines=lines))

    async def _step(self, doing: Step, death: tuple[int, bool] | None, *, lines: bool) -> None:
        smooth, mortal = self.smooth, self.mortal
        await smooth.life.live(lambda pool: doing(pool, smooth))
        fates = []
        if death is not None:
            share, after = death
            fates = [Fate(1 + share * smooth.life.statements // 1000, after=after)]
        await mortal.life.live(lambda pool: doing(pool, mortal), fates)
        due = None if self.waiting else worth(self.entries.values())
        wrong = await mortal.wrong(due, lines=lines)
        left, right = await smooth.state(), await mortal.state()
        wrong += [f"only without deaths: {row}" for row in sorted(left - right)]
        wrong += [f"only with deaths: {row}" for row in sorted(right - left)]
        if wrong:
            raise AssertionError("\n".join(wrong))
        self.proposals = await smooth.rows(PROPOSALS)
        self.invoices = [row[0] for row in await smooth.rows(INVOICES)]

    def _next(self) -> int:
        self.numbers += 1
        return self.numbers

    # Work arrives, is corrected, and gets its price.

    def _tell(self, entries: list[WorkEntry], *, priced: bool, death: Any) -> None:
        async def doing(pool: Any, _: Ground) -> None:
            async with transaction(pool) as db:
                await take(db, entries, (), source="time")
            if priced:
                await rate_waiting(pool, NOW)
                await fit_waiting(pool, NOW)

        self.entries.update({each.id: each for each in entries})
        self.waiting = not priced
        self.step(doing, death)

    @rule(data=st.data(), count=st.integers(1, 4), priced=st.sampled_from([True, True, True, False]), death=DEATHS)
    def told(self, data: Any, count: int, priced: bool, death: Any) -> None:  # noqa: FBT001
        self._tell([data.draw(work(self._next())) for _ in range(count)], priced=priced, death=death)

    @precondition(lambda self: self.entries)
    @rule(data=st.data(), priced=st.sampled_from([True, True, True, False]), death=DEATHS)
    def corrected(self, data: Any, priced: bool, death: Any) -> None:  # noqa: FBT001
        """Recalled, deleted, approved again, another quantity, another day, another project: any of them."""
        ids = data.draw(st.lists(st.sampled_from(sorted(self.entries)), min_size=1, max_size=3, unique=True))
        changed = []
        for id in ids:
            old = self.entries[id]
            new = replace(data.draw(work(int(id[4:]))), status=data.draw(STATUSES))
            what = data.draw(st.sampled_from(["status", "quantity", "day", "all"]))
            if what == "status":
                new = replace(old, status=new.status)
            elif what == "quantity":
                new = replace(old, quantity=old.quantity + 1)
            elif what == "day":
                new = replace(old, worked_on=new.worked_on)
            changed.append(new)
        self._tell(changed, priced=priced, death=death)

    def _metered(self) -> list[str]:
        return sorted(id for id, each in self.entries.items() if each.kind is WorkKind.USAGE)

    @precondition(lambda self: self._metered())
    @rule(data=st.data(), units=st.integers(60, 160), death=DEATHS)
    def metered_again(self, data: Any, units: int, death: Any) -> None:
        """Units of a month under others that were priced on top of them: taken back, told again, or other ones."""
        old = self.entries[data.draw(st.sampled_from(self._metered()))]
        gone = old.status is WorkStatus.APPROVED and data.draw(st.booleans())
        status = WorkStatus.RECALLED if gone else WorkStatus.APPROVED
        self._tell([replace(old, status=status, quantity=Decimal(units))], priced=True, death=death)

    @rule(place=st.sampled_from(CAPPED), by=st.sampled_from([0, 1000, 10_000]), death=DEATHS)
    def cap_changed(self, place: tuple[str, str], by: int, death: Any) -> None:
        async def doing(pool: Any, _: Ground) -> None:
            async with transaction(pool) as db:
                await declare(db, [raised(place, by)], by="fatima")
            await fit_waiting(pool, NOW)

        self.step(doing, death)

    # What is priced is proposed, looked at, and approved.

    @precondition(lambda self: self.entries)
    @rule(period_to=PERIOD_ENDS, death=DEATHS)
    def proposed(self, period_to: date, death: Any) -> None:
        async def doing(pool: Any, _: Ground) -> None:
            async with transaction(pool) as db:
                await propose(db, period_to, at=NOW)

        self.step(doing, death)

    def _in(self, *statuses: str) -> list[tuple[Any, ...]]:
        return [each for each in self.proposals if each[1] in statuses]

    @precondition(lambda self: self._in("draft", "held"))
    @rule(
        data=st.data(), what=st.sampled_from(["hold", "release", "withdraw", "write_down", "set_aside"]), death=DEATHS
    )
    def looked_at(self, data: Any, what: str, death: Any) -> None:
        id, _, version, net = data.draw(st.sampled_from(self._in("draft", "held")))
        share, line = data.draw(SHARES), data.draw(st.integers(1, 3))

        async def doing(pool: Any, _: Ground) -> None:
            # What somebody sees on the page is the version they act on; done already, it is a conflict.
            try:
                async with transaction(pool) as db:
                    if what == "hold":
                        await approving.hold(db, id, reason="wait", by="fatima", version=version)
                    elif what == "release":
                        await approving.release(db, id, by="fatima", version=version)
                    elif what == "withdraw":
                        await approving.withdraw(db, id, reason="again", by="fatima", at=NOW, version=version)
                    elif what == "set_aside":
                        await approving.set_aside(db, id, line, reason="?", by="fatima", at=NOW, version=version)
                    else:
                        amount = (net * share / 100).quantize(Decimal("0.01") if net % 1 else Decimal(1))
                        await approving.write_down(
                            db, id, amount, line=None, reason="goodwill", by="fatima", at=NOW, version=version
                        )
            except (Conflict, NotFound, UsageError):
                pass

        self.step(doing, death)

    @rule(place=st.sampled_from(PLACES), reason=st.sampled_from(["the receipt is missing", "?"]), death=DEATHS)
    def freed(self, place: tuple[str, str], reason: str, death: Any) -> None:
        """What is held for a reason is let go; done already, it is not there."""

        async def doing(pool: Any, _: Ground) -> None:
            with contextlib.suppress(NotFound):
                async with transaction(pool) as db:
                    await release_held(db, *place, TERMS[place].currency, reason, by="fatima", at=NOW)
            await fit_waiting(pool, NOW)

        self.step(doing, death)

    @precondition(lambda self: self._in("draft"))
    @rule(data=st.data(), death=DEATHS)
    def approved(self, data: Any, death: Any) -> None:
        id, _, version, _ = data.draw(st.sampled_from(self._in("draft")))

        async def doing(pool: Any, _: Ground) -> None:
            try:
                async with transaction(pool) as db:
                    await approving.approve(db, id, by="carla", at=NOW, version=version)
            except Conflict:
                pass

        self.step(doing, death)

    # What is approved is invoiced, paid and disputed: by the stories themselves.

    def _run(self, key: str, process: str, fact: Fact, death: Any, told: dict[str, Any] | None = None) -> None:
        async def doing(pool: Any, ground: Ground) -> None:
            run = ground.runs.setdefault(key, Run(process, fact))
            run.told.update(told or {})
            await run.go_on(pool, NOW)
            async with transaction(pool) as db:
                await approving.note_issued(db)

        self.step(doing, death)

    @precondition(lambda self: self._in("approved"))
    @rule(data=st.data(), death=DEATHS)
    def invoiced(self, data: Any, death: Any) -> None:
        id = data.draw(st.sampled_from(self._in("approved")))[0]
        self._run(f"bill {id}", "time_to_bill", self._fact(events.PROPOSAL_APPROVED, id, id), death)

    def _fact(self, type: str, subject: str, invoice: str, **payload: Any) -> Fact:
        query = "SELECT engagement FROM proposal WHERE id = %s"
        ((engagement,),) = self.runner.run(self.smooth.rows(query, [invoice]))
        return Fact(type, subject, NOW.isoformat(), "t", {"invoice_id": invoice, **payload}, correlation=engagement)

    def _unpaid(self) -> list[dict[str, Any]]:
        """Open, and nothing of it credited: what is left to pay then is another story's matter."""
        return [each for each in self.invoices if each["status"] == "open" and each["id"] not in self.credited]

    def _undisputed(self) -> list[dict[str, Any]]:
        taken = {*self.disputes.values(), *self.credited}
        return [each for each in self.invoices if each["id"] not in taken]

    def _keep(self, kind: str, thing: Any, correlation: str | None) -> None:
        async def doing(pool: Any, _: Ground) -> None:
            async with transaction(pool) as db:
                await RECORDS.keep(db, [Kept(kind, thing.id, to_plain(thing), correlation)], NOW)

        self.step(doing, None)

    @precondition(lambda self: self._unpaid())
    @rule(data=st.data(), share=SHARES, death=DEATHS)
    def paid(self, data: Any, share: int, death: Any) -> None:
        invoice = data.draw(st.sampled_from(self._unpaid()))
        paid = Decimal((invoice.get("paid") or {"amount": 0})["amount"])
        left = Money.of(Decimal(invoice["gross"]["amount"]) - paid, invoice["currency"])
        amount = left.times(Decimal(share) / 100)
        if not amount:
            return
        payment = Payment(f"PAY-{self._next()}", invoice["id"], amount, date(2026, 12, 1))
        fact = self._fact(events.PAYMENT_RECEIVED, payment.id, invoice["id"])
        self._keep("payment", payment, fact.correlation)
        self._run(payment.id, "invoice_to_cash", fact, death)

    @precondition(lambda self: self._undisputed())
    @rule(data=st.data(), share=SHARES, death=DEATHS)
    def disputed(self, data: Any, share: int, death: Any) -> None:
        invoice = data.draw(st.sampled_from(self._undisputed()))
        amount = Money.of(invoice["gross"]["amount"], invoice["currency"]).times(Decimal(share) / 100)
        if not amount:
            return
        about = Dispute(f"DIS-{self._next()}", invoice["id"], amount, "late", "open", date(2026, 12, 1))
        fact = self._fact(events.DISPUTE_OPENED, about.id, invoice["id"])
        self._keep("dispute", about, fact.correlation)
        self._run(about.id, "dispute", fact, death)
        self.disputes[about.id] = invoice["id"]

    @precondition(lambda self: self.disputes)
    @rule(data=st.data(), outcome=st.sampled_from(["won", "lost", "withdrawn"]), death=DEATHS)
    def settled(self, data: Any, outcome: str, death: Any) -> None:
        id = data.draw(st.sampled_from(sorted(self.disputes)))
        invoice = self.disputes.pop(id)
        if outcome == "lost":
            self.credited.add(invoice)
        fact = self._fact(events.DISPUTE_OPENED, id, invoice)
        self._run(id, "dispute", fact, death, {f"wait:{events.DISPUTE_CLOSED}:{id}": {"status": outcome}})


async def _nothing(_: Any, __: Ground) -> None:
    pass
