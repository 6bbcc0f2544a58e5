"""A recurring service that a signed change order changes within a period: billed on at the new price, and the period
that was billed before is invoiced or credited by its days, to the cent, everywhere."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from accord.errors import UsageError
from accord.ledger import crediting
from accord.ledger.explaining import LineExplained, disagreements, explain
from accord.reconcile.unexplained import unexplained
from accord.simulation.books import check_books
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play


def change(scene: Scene, monthly: str, *, signed: bool = True, **fields: Any) -> None:
    order = {"Change_Order__c": "CO-1", "Change_Order_Signed__c": scene.today.isoformat()} if signed else {}
    scene.vendors.act(
        "salesforce", "update", id=scene.service, fields={"Monthly_Amount__c": monthly, **order, **fields}
    )


def of_service(scene: Scene) -> list[tuple[str, str]]:
    return [(each["origin"], each["net"]["amount"]) for each in scene.invoices() if each["origin"] != "milestone"]


async def hold(scene: Scene) -> None:
    """Nothing is left unexplained, every line says what its items come to, and all vendors have what was recorded."""
    async with scene.database() as db:
        assert await unexplained(db) == []
        assert [each async for each in disagreements(db)] == []
        assert await check_books(db) == []


def test_a_dearer_service_is_invoiced_for_the_rest_of_its_period_and_billed_on_at_the_new_price(
    place: Database,
) -> None:
    async def script(scene: Scene) -> None:
        await scene.sell("500.00", monthly="1000.00")
        await scene.on_day(2)
        assert of_service(scene) == [("subscription", "1000.00")]
        await scene.on_day(14)
        first = scene.invoices()[0]["lines"][0]
        change(scene, "1200.00")
        await scene.rest()
        assert scene.cases() == []
        (kept,) = scene.records("service_settlement")
        left = (scene.today - date.fromisoformat(first["service_from"])).days
        before, after = Decimal(1000) * left / 31, Decimal(1200) * (31 - left) / 31
        assert abs(Decimal(kept["worth"]["amount"]) - before - after) < Decimal("0.01")
        assert of_service(scene) == [("subscription", "1000.00"), ("service_change", kept["difference"]["amount"])]
        invoice = scene.invoices()[-1]
        assert invoice["lines"][0]["text"] == (
            f"Run from {first['service_from']}: {left} of 31 days at 1000.00 EUR, {31 - left} of 31 days at 1200.00 "
            "EUR (CO-1), less 1000.00 EUR"
        )
        assert str(scene.held("netsuite", "invoice")[-1]["total"]) == invoice["gross"]["amount"]
        async with scene.database() as db:
            line = await explain(db, f"{invoice['number']}/1")
        assert isinstance(line, LineExplained)
        assert line.agrees
        assert line.items[0].kind == "service_change"
        await scene.on_day(40)
        assert of_service(scene)[2:] == [("subscription", "1200.00")]
        assert len(scene.records("service_settlement")) == 1
        await hold(scene)

    play(place, script)


@pytest.mark.parametrize("payments", [0, 1])
def test_a_cheaper_service_is_credited_for_the_rest_of_its_period(place: Database, payments: int) -> None:
    async def script(scene: Scene) -> None:
        await scene.sell("500.00", monthly="1000.00")
        await scene.on_day(2)
        (billed,) = scene.invoices()
        if payments:
            scene.pays(billed)
        await scene.on_day(14)
        change(scene, "800.00")
        await scene.rest()
        assert scene.cases() == []
        (kept,) = scene.records("service_settlement")
        (note,) = scene.records("credit_note")
        assert (note["status"], note["id"]) == ("issued", kept["document_id"])
        assert note["net"]["amount"] == kept["difference"]["amount"].removeprefix("-")
        assert note["approved_by"] == "change order CO-1"
        (at_stripe,) = scene.held("stripe", "credit_note")
        assert Decimal(at_stripe["total"]) / 100 == Decimal(note["amount"]["amount"])
        assert len(scene.records("unapplied_cash")) == payments
        await scene.on_day(40)
        assert of_service(scene) == [("subscription", "1000.00"), ("subscription", "800.00")]
        await hold(scene)

    play(place, script)


@pytest.mark.parametrize("first", ["period", "change"])
@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.02, 0.05, 0.1, 0.4])
def test_a_change_at_the_moment_at_which_a_period_closes_is_settled_once(
    place: Database, seconds: float, first: str
) -> None:
    async def script(scene: Scene) -> None:
        await scene.sell("500.00", monthly="1000.00")

        def close() -> None:
            scene.vendors.act("stripe", "shift_clock", seconds=2 * 86400)

        def signed() -> None:
            change(scene, "1200.00", Change_Order_From__c=(scene.today + timedelta(days=5)).isoformat())

        one, other = (close, signed) if first == "period" else (signed, close)
        one()
        scene.loop.call_later(seconds, other)
        await scene.rest()
        await scene.on_day(40)
        assert scene.cases() == []
        (kept,) = scene.records("service_settlement")
        assert of_service(scene) == [
            ("subscription", "1000.00"),
            ("service_change", kept["difference"]["amount"]),
            ("subscription", "1200.00"),
        ]
        await hold(scene)

    play(place, script)


def test_a_change_that_holds_later_is_settled_when_its_period_is_billed(place: Database) -> None:
    async def script(scene: Scene) -> None:
        await scene.sell("500.00", monthly="1000.00")
        await scene.on_day(2)
        change(scene, "1200.00", Change_Order_From__c=(scene.today + timedelta(days=40)).isoformat())
        await scene.rest()
        assert of_service(scene) == [("subscription", "1000.00")]
        await scene.on_day(35)
        (kept,) = scene.records("service_settlement")
        assert of_service(scene) == [
            ("subscription", "1000.00"),
            ("subscription", "1000.00"),
            ("service_change", kept["difference"]["amount"]),
        ]
        await scene.on_day(65)
        assert of_service(scene)[3:] == [("subscription", "1200.00")]
        await hold(scene)

    play(place, script)


def test_a_change_order_that_was_entered_wrong_is_credited_where_it_was_invoiced(place: Database) -> None:
    async def script(scene: Scene) -> None:
        await scene.sell("500.00", monthly="1000.00")
        await scene.on_day(10)
        change(scene, "9000.00")
        await scene.rest()
        (wrong,) = scene.records("service_settlement")
        change(scene, "1000.00")
        await scene.rest()
        (back,) = scene.records("credit_note")
        assert (back["approved_by"], back["reason"]) == ("change order CO-1", "Change order CO-1 of Run")
        assert back["net"] == wrong["difference"]
        change(scene, "900.00")
        await scene.rest()
        assert scene.cases() == []
        notes = {each["invoice_id"]: each["status"] for each in scene.records("credit_note")}
        subscription = next(each["id"] for each in scene.invoices() if each["origin"] == "subscription")
        assert notes == {wrong["document_id"]: "issued", subscription: "issued"}
        settled = scene.record("invoice", wrong["document_id"])
        assert settled["credited"] == settled["gross"]
        await hold(scene)

    play(place, script)


@pytest.mark.parametrize(("monthly", "kind"), [("1200.00", "invoices"), ("800.00", "credits")])
def test_a_service_that_began_before_its_deal_was_active_has_a_line_for_each_period(
    place: Database, monthly: str, kind: str
) -> None:
    """Billing puts the months of before on its first invoice; each is the service's price, and is settled by itself."""

    async def script(scene: Scene) -> None:
        await scene.sell("500.00", monthly="1000.00", served_days=40)
        await scene.on_day(2)
        assert scene.cases() == []
        (billed,) = scene.invoices()
        assert [each["net"]["amount"] for each in billed["lines"]] == ["1000.00", "1000.00"]
        assert len({each["item_id"] for each in billed["lines"]}) == 2
        await hold(scene)
        first, second = (date.fromisoformat(each["service_from"]) for each in billed["lines"])
        # From the last ten days of the first period on, and all of the second.
        change(scene, monthly, Change_Order_From__c=(second - timedelta(days=10)).isoformat())
        await scene.rest()
        assert scene.cases() == []
        settled = {each["period_from"]: each for each in scene.records("service_settlement")}
        part = Decimal(Decimal(monthly) - 1000) * 10 / (second - first).days
        assert abs(Decimal(settled[first.isoformat()]["difference"]["amount"]) - part) < Decimal("0.02")
        assert Decimal(settled[second.isoformat()]["difference"]["amount"]) == Decimal(monthly) - 1000
        if kind == "credits":
            lines = {each["lines"][0]["line"]: each["net"]["amount"] for each in scene.records("credit_note")}
            assert lines == {n: settled[day.isoformat()]["difference"]["amount"].removeprefix("-")
                             for n, day in ((1, first), (2, second))}  # fmt: skip
        else:
            assert [each["origin"] for each in scene.invoices()].count("service_change") == 2
        await hold(scene)

    play(place, script)


def test_a_change_without_a_signature_waits_in_a_case_that_the_signature_settles(place: Database) -> None:
    async def script(scene: Scene) -> None:
        await scene.sell("500.00", monthly="1000.00")
        await scene.on_day(5)
        change(scene, "1200.00", signed=False)
        await scene.rest()
        assert scene.cases() == ["change_order_missing"]
        assert of_service(scene) == [("subscription", "1000.00")]
        change(scene, "1200.00")
        await scene.rest()
        assert scene.cases() == []
        assert [origin for origin, _ in of_service(scene)] == ["subscription", "service_change"]
        await hold(scene)

    play(place, script)


def test_a_price_changed_in_billing_first_waits_for_its_change_order(place: Database) -> None:
    """Somebody changes the subscription by hand before sales has the order: the period's invoice is a case, which goes
    on by itself when the order arrives."""

    async def script(scene: Scene) -> None:
        await scene.sell("500.00", monthly="1000.00")
        await scene.on_day(2)
        account = scene.vendors.simulators["stripe"].account  # type: ignore[attr-defined]
        (subscription,) = account.shelf("subscription").all()
        for row in subscription["items"]["data"]:
            row["price"] = {**row["price"], "unit_amount": 120000, "unit_amount_decimal": "120000"}
        await scene.on_day(40)
        assert scene.cases() == ["amounts_differ"]
        assert of_service(scene) == [("subscription", "1000.00"), ("subscription", "1200.00")]
        begins = scene.invoices()[-1]["lines"][0]["service_from"]
        change(scene, "1200.00", Change_Order_From__c=begins)
        await scene.rest()
        assert scene.cases() == []
        assert of_service(scene) == [("subscription", "1000.00"), ("subscription", "1200.00")]
        await hold(scene)

    play(place, script)


def test_a_service_ends_earlier_by_a_change_order(place: Database) -> None:
    async def script(scene: Scene) -> None:
        await scene.sell("500.00", monthly="1000.00")
        await scene.on_day(40)
        change(scene, "1000.00", Months__c=2)
        await scene.rest()
        assert scene.cases() == []
        await scene.on_day(130)
        assert of_service(scene) == [("subscription", "1000.00")] * 2
        (schedule,) = scene.held("stripe", "subscription_schedule")
        assert schedule["status"] == "completed"
        await hold(scene)

    play(place, script)


def test_a_change_whose_settlement_was_lost_is_unexplained(place: Database) -> None:
    """What finds it reckons from the change orders, not from the ledger: here the story of the settlement never ran."""

    async def script(scene: Scene) -> None:
        await scene.sell("500.00", monthly="1000.00")
        await scene.on_day(5)
        (schedule,) = scene.records("recurring_schedule")
        order = {
            "change_order": "CO-9", "signed_on": scene.today.isoformat(), "from_on": schedule["starts_on"],
            "monthly": {"amount": "1300.00", "currency": "EUR"}, "months": 12,
            "adds": {"amount": "3600.00", "currency": "EUR"},
        }  # fmt: skip
        async with scene.database() as db:
            await db.execute(
                "UPDATE record SET body = jsonb_set(body, '{changes}', %s::jsonb) WHERE kind = 'recurring_schedule'",
                [orjson.dumps([order]).decode()],
            )
            (found,) = await unexplained(db)
            assert (found.subject, str(found.amount), found.currency) == (schedule["id"], "300.00", "EUR")
            await db.execute(
                "UPDATE record SET body = jsonb_set(body, '{changes}', '[]') WHERE kind = 'recurring_schedule'"
            )

    play(place, script)


def test_the_credit_of_a_change_order_counts_when_more_is_asked_for(place: Database) -> None:
    async def script(scene: Scene) -> None:
        await scene.sell("500.00", monthly="1000.00")
        await scene.on_day(5)
        change(scene, "800.00")
        await scene.rest()
        (kept,) = scene.records("service_settlement")
        (billed,) = scene.invoices()
        async with scene.database() as db:
            left = await crediting.creditable(db, await crediting.invoice_named(db, billed["id"]))
            assert str(left[1].amount) == str(1000 + Decimal(kept["difference"]["amount"]))
            with pytest.raises(UsageError, match="can be credited still"):
                await crediting.ask_credit(
                    db, billed["id"], {1: left[1].amount + 1}, reason="more", by="ann", at=scene.at
                )

    play(place, script)
