"""The firm's controllers after the invoice: credits, write-offs, receipts, unapplied cash, refunds, disputed lines.

One asks, and another one approves or refuses. What cannot be done is refused to them, as it would be on the page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from accord.app import House
from accord.ledger import adjusting, cash, crediting, disputing, writing_off
from accord.simulation.firm import Sold
from accord.simulation.history import History
from accord.simulation.office import attempt

CONTROLLERS = ("ines", "jaro")
INVOICES = """
SELECT id, body ->> 'customer_id', body ->> 'legal_entity', body ->> 'currency',
    (body -> 'gross' ->> 'amount')::numeric, jsonb_array_length(body -> 'lines')
FROM record WHERE kind = 'invoice' AND NOT deleted AND body ->> 'number' IS NOT NULL ORDER BY id
"""
# Nobody asks for more than these three of the same at once.
WAITING = "SELECT id, requested_by FROM adjustment WHERE status = 'requested' ORDER BY id LIMIT 3"
CASH = "SELECT id FROM record WHERE kind = 'unapplied_cash' ORDER BY id"
DISPUTES = "SELECT id FROM record WHERE kind = 'line_dispute' AND body ->> 'status' = 'open' ORDER BY id"

Query = Callable[[str], Awaitable[list[Any]]]


@dataclass(slots=True)
class Controllers:
    """Acts for them. `random` decides what; `deals` are those that were sold; `now` is the business time."""

    house: House
    random: Random
    deals: Sequence[Sold]
    now: Callable[[], datetime]
    history: History

    def agenda(self, deals: int, days: int) -> list[tuple[int, Callable[[], Awaitable[str]]]]:
        """What they do on which day, in order; most of it in the second half, when there are invoices."""
        random = self.random
        asks = (self.credit, self.write_off, self.write_up, self.receive, self.apply, self.refund, self.dispute)
        acts = [random.choice(asks) for _ in range(deals * 3)] + [self.decide] * (deals * 2)
        first = days // 4
        return sorted(((random.randrange(first, days), act) for act in acts), key=lambda each: each[0])

    async def _rows(self, query: str) -> list[Any]:
        async with self.house.pool.connection() as db:
            return await (await db.execute(query.encode())).fetchall()

    async def _do(self, what: str, verb: Callable[..., Awaitable[Any]], *args: Any, **how: Any) -> str:
        async def act(db: Any) -> None:
            await verb(db, *args, at=self.now(), **how)

        return await attempt(self.house, self.history, what, act)

    def _share(self, of: Decimal) -> Decimal:
        """Some of an amount, in whole units of money."""
        whole = max(1, int(of))
        return Decimal(self.random.randint(1, whole))

    async def credit(self) -> str:
        """Lines of an invoice, or parts of one, are to be credited; whole lines now and then to be billed again."""
        random, found = self.random, await self._rows(INVOICES)
        if not found:
            return "nothing invoiced"
        invoice, *_, gross, lines = random.choice(found)
        line, again = random.randint(1, lines), random.random() < 0.2
        part = None if again or random.random() < 0.4 else self._share(gross / lines / 2)
        return await self._do(
            f"credit {invoice}", crediting.ask_credit, invoice, {line: part}, reason="agreed", rebill=again,
            by=random.choice(CONTROLLERS),
        )  # fmt: skip

    async def write_off(self) -> str:
        """What is open of an invoice is to be given up, or a part of it."""
        random, found = self.random, await self._rows(INVOICES)
        if not found:
            return "nothing invoiced"
        invoice, *_, gross, _ = random.choice(found)
        part = None if random.random() < 0.4 else self._share(gross / 3)
        who = random.choice(CONTROLLERS)
        return await self._do(f"write off {invoice}", writing_off.ask_write_off, invoice, part, reason="small", by=who)

    async def write_up(self) -> str:
        """Value is to be added to the work of an engagement."""
        random = self.random
        if not self.deals:
            return "nothing sold yet"
        sold = random.choice(self.deals)
        where, amount = (sold.engagement, random.choice(sold.entities)), Decimal(random.randint(100, 900))
        who = random.choice(CONTROLLERS)
        return await self._do(f"write up {where[0]}", writing_off.ask_write_up, *where, amount, reason="bonus", by=who)

    async def receive(self) -> str:
        """A transfer came in beside billing: for one invoice, or for any; as much as it says, less, or more."""
        random, found = self.random, await self._rows(INVOICES)
        if not found:
            return "nothing invoiced"
        invoice, customer, entity, currency, gross, _ = random.choice(found)
        amount = self._share(gross * 3 / 2)
        pays = {invoice: min(amount, max(Decimal(1), gross // 2))} if random.random() < 0.5 else None
        return await self._do(
            f"received {amount} {currency} of {customer}", cash.record_receipt, customer, entity, amount, currency,
            received_on=self.now().date(), reference=f"transfer {random.randrange(10**6)}", pays=pays,
            by=random.choice(CONTROLLERS),
        )  # fmt: skip

    async def apply(self) -> str:
        """Unapplied cash is to pay an invoice."""
        random = self.random
        found, invoices = await self._rows(CASH), await self._rows(INVOICES)
        if not found:
            return "no unapplied cash"
        (held,), invoice = random.choice(found), random.choice(invoices)[0]
        return await self._do(f"apply {held}", cash.apply_cash, held, invoice, by=random.choice(CONTROLLERS))

    async def refund(self) -> str:
        """Unapplied cash, or a part of it, is to go back to the customer."""
        random, found = self.random, await self._rows(CASH)
        if not found:
            return "no unapplied cash"
        (held,) = random.choice(found)
        part = None if random.random() < 0.5 else Decimal(random.randint(1, 500))
        who = random.choice(CONTROLLERS)
        return await self._do(f"refund {held}", cash.ask_refund, held, part, reason="asked for", by=who)

    async def dispute(self) -> str:
        """A customer disputes a line of an invoice, or an open dispute is decided."""
        random, found = self.random, await self._rows(INVOICES)
        open_ones = await self._rows(DISPUTES)
        if open_ones and random.random() < 0.6:
            (dispute,), outcome = random.choice(open_ones), random.choice(disputing.OUTCOMES)
            who = random.choice(CONTROLLERS)
            return await self._do(f"{outcome} {dispute}", disputing.decide, dispute, outcome, note="talked", by=who)
        if not found:
            return "nothing invoiced"
        invoice, *_, gross, lines = random.choice(found)
        part = None if random.random() < 0.5 else self._share(gross / lines / 2)
        which = {random.randint(1, lines): part}
        return await self._do(f"dispute {invoice}", disputing.open_dispute, invoice, which, reason="late", by="aron")

    async def decide(self) -> str:
        """What somebody has asked for is approved by somebody else, or refused."""
        random = self.random
        for id, asked_by in await self._rows(WAITING):
            other = next(each for each in CONTROLLERS if each != asked_by)
            if random.random() < 0.85:
                await self._do(f"approve {id}", adjusting.approve, id, by=other)
            else:
                await self._do(f"refuse {id}", adjusting.refuse, id, reason="not so", by=other)
        return "decided"
