"""What cannot be read in full is a case, once, and does not stop what can."""

from __future__ import annotations

from dataclasses import replace

from accord.connect.observing import observe
from accord.db.pool import Pool, transaction
from accord.records.observe import Applied
from tests.connect.exchange import NOW, Observed, payment, rows

CASES = "SELECT reason, connection, subject, problems -> 0 ->> 'field' FROM business_case"


async def see(pool: Pool, *observed: Observed) -> Applied:
    async with transaction(pool) as db:
        return await observe(db, "exchange", frozenset({"billing"}), observed, NOW)


async def test_an_object_that_cannot_be_read_in_full_is_a_case_once(pool: Pool) -> None:
    odd = replace(payment(1), problems=("amount: 'ten' is not a number",))
    await see(pool, odd, payment(2))
    await see(pool, odd, payment(2))
    ((id,),) = await rows(pool, "SELECT id FROM record WHERE body ->> 'reference' = 'R1'")
    assert await rows(pool, CASES) == [("unreadable", "exchange", id, "amount")]
    assert await rows(pool, "SELECT count(*) FROM record") == [(2,)]


async def test_what_cannot_be_read_of_a_deal_is_left_to_the_gate(pool: Pool) -> None:
    """It would be two cases of one thing: the activation gate reports it when the deal is won."""
    await see(pool, Observed("deal", "006A", "1", {"name": "D"}, problems=("amount: no",)))
    assert await rows(pool, "SELECT count(*) FROM business_case") == [(0,)]


async def test_the_router_is_woken_by_facts_alone(pool: Pool) -> None:
    async with pool.connection() as listener:
        await listener.set_autocommit(True)
        await listener.execute("LISTEN accord_facts")
        await see(pool, payment(1))
        await see(pool, payment(1))
        heard = [notice.channel async for notice in listener.notifies(timeout=0.5)]
        await listener.execute("UNLISTEN *")
        await listener.set_autocommit(False)
    assert heard == ["accord_facts"]
