"""Edge case 15: partial, over- and short payment; one payment for many invoices; bank fee; unapplied cash; refund;
reversal and chargeback."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from accord.errors import Conflict, UsageError
from accord.ledger import adjusting, cash
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play

RECEIVED = date(2026, 1, 8)


def owed(scene: Scene) -> list[tuple[str, str]]:
    """Status of each invoice for sales, and what it says is paid."""
    shown = sorted(scene.held("salesforce", "Invoice__c"), key=lambda row: str(row["Number__c"]))
    return [(str(row["Status__c"]), str(row.get("Paid__c"))) for row in shown]


def of_sales(scene: Scene) -> tuple[str, str]:
    (account,) = scene.held("salesforce", "Account")
    return str(account["Payment_Status__c"]), str(account["AR_Balance__c"])


async def receipt(scene: Scene, amount: str, **more: Any) -> str:
    about: dict[str, Any] = {"received_on": RECEIVED, "reference": "transfer 1", "by": "paula", "at": scene.at}
    async with scene.database() as db:
        id = await cash.record_receipt(db, scene.customer, "DE", Decimal(amount), "EUR", **{**about, **more})
    await scene.rest()
    return id


def test_a_short_payment_leaves_the_rest_open(place: Database) -> None:
    async def script(scene: Scene) -> None:
        (invoice,) = await scene.invoiced("1000.00")
        scene.pays(invoice, 118995)
        await scene.rest()
        assert of_sales(scene) == ("partially paid", "0.05")
        assert await scene.lies() == {"billed": "0.04", "collected": "999.96"}
        scene.pays(invoice, 5)
        await scene.rest()
        assert await scene.lies() == {"collected": "1000.00"}
        await scene.agrees()

    play(place, script)


def test_what_is_paid_too_much_is_unapplied_cash_that_pays_another_invoice(place: Database) -> None:
    async def script(scene: Scene) -> None:
        first, second = await scene.invoiced("1000.00", "500.00")
        scene.pays(first, 130000)
        await scene.rest()
        assert scene.cases() == []
        (over,) = scene.records("unapplied_cash")
        assert (over["amount"]["amount"], over["invoice_id"]) == ("110.00", first["id"])
        (customer,) = scene.held("stripe", "customer")
        assert customer["balance"] == 0, "Stripe must not pay the next invoice with it behind our backs"
        (payment,) = scene.held("netsuite", "customerPayment")
        assert (payment["payment"], payment["applied"], payment["unapplied"]) == (1300, 1190, 110)
        async with scene.database() as db:
            (left,) = await cash.unapplied(db)
            assert str(left.left) == "110.00 EUR"
            await cash.apply_cash(db, over["id"], second["number"], by="paula", at=scene.at)
        with pytest.raises(UsageError, match=r"0.00 EUR of CSH-\w+ are left"):
            async with scene.database() as db:
                await cash.apply_cash(db, over["id"], second["number"], by="paula", at=scene.at)
        await scene.rest()
        assert owed(scene) == [("paid", "1190.00"), ("open", "110.00")]
        assert of_sales(scene) == ("partially paid", "485.00")
        assert [row["amount_remaining"] for row in scene.held("stripe", "invoice")] == [0, 48500]
        assert [row["amountRemaining"] for row in scene.held("netsuite", "invoice")] == [0, 485]
        assert len(scene.records("payment")) == 1, "what we reported to Stripe is no payment of its own"
        assert await scene.lies() == {"billed": "407.56", "collected": "1092.44"}
        await scene.agrees()

    play(place, script)


def test_what_is_paid_too_much_pays_two_other_invoices(place: Database) -> None:
    """In the ERP both are lines of one payment: neither has an id of its own, and each is remembered as written."""

    async def script(scene: Scene) -> None:
        first, second, third = await scene.invoiced("1000.00", "500.00", "300.00")
        scene.pays(first, 140000)
        await scene.rest()
        (over,) = scene.records("unapplied_cash")
        for invoice, amount in ((second, "150.00"), (third, "60.00")):
            async with scene.database() as db:
                await cash.apply_cash(db, over["id"], invoice["number"], Decimal(amount), by="paula", at=scene.at)
            await scene.rest()
        assert owed(scene) == [("paid", "1190.00"), ("open", "150.00"), ("open", "60.00")]
        (payment,) = scene.held("netsuite", "customerPayment")
        assert (payment["applied"], payment["unapplied"]) == (1400, 0)
        assert scene.cases() == []
        await scene.agrees()

    play(place, script)


def test_one_payment_with_a_bank_fee_pays_the_oldest_invoices_first(place: Database) -> None:
    async def script(scene: Scene) -> None:
        await scene.invoiced("1000.00", "500.00", "200.00")
        await receipt(scene, "1800.00", bank_fee=Decimal("15.00"))
        assert owed(scene) == [("paid", "1190.00"), ("paid", "595.00"), ("open", "30.00")]
        (payment,) = scene.held("netsuite", "customerPayment")
        assert (payment["payment"], payment["applied"], payment["custbody_accord_bank_fee"]) == (1815, 1815, 15)
        assert [row["amount_remaining"] for row in scene.held("stripe", "invoice")] == [0, 0, 20800]
        assert scene.records("unapplied_cash") == []
        with pytest.raises(Conflict, match="is recorded already"):
            await receipt(scene, "1800.00")
        await scene.agrees()

    play(place, script)


def test_one_payment_pays_what_the_customer_says_and_the_rest_is_kept_and_refunded(place: Database) -> None:
    async def script(scene: Scene) -> None:
        first, second, third = await scene.invoiced("1000.00", "500.00", "200.00")
        pays = {third["number"]: Decimal(238), first["number"]: Decimal(100)}
        with pytest.raises(UsageError, match="is shared out"):
            await receipt(scene, "300.00", pays=pays)
        await receipt(scene, "400.00", pays=pays)
        assert owed(scene) == [("open", "100.00"), ("open", "None"), ("paid", "238.00")]
        (kept,) = scene.records("unapplied_cash")
        async with scene.database() as db:
            id = await cash.ask_refund(db, kept["id"], reason="asked for", by="paula", at=scene.at)
        with pytest.raises(UsageError, match=r"0.00 EUR of CSH-\w+ are left"):
            async with scene.database() as db:
                await cash.apply_cash(db, kept["id"], second["number"], by="paula", at=scene.at)
        async with scene.database() as db:
            await adjusting.approve(db, id, by="fatima", at=scene.at)
        await scene.rest()
        assert scene.answer_of("refund_to_customer") == {"refunded": "62.00 EUR", "by": "bank"}
        (refund,) = scene.held("netsuite", "customerRefund")
        (payment,) = scene.held("netsuite", "customerPayment")
        assert (refund["total"], payment["unapplied"]) == (62, 0)
        assert scene.record("unapplied_cash", kept["id"])["refunded"]["amount"] == "62.00"
        await scene.agrees()

    play(place, script)


def test_what_came_through_stripe_goes_back_through_stripe(place: Database) -> None:
    async def script(scene: Scene) -> None:
        (invoice,) = await scene.invoiced("1000.00")
        scene.pays(invoice, 130000)
        await scene.rest()
        (over,) = scene.records("unapplied_cash")
        async with scene.database() as db:
            id = await cash.ask_refund(db, over["id"], Decimal(60), reason="x", by="paula", at=scene.at)
            await adjusting.approve(db, id, by="fatima", at=scene.at)
        await scene.rest()
        assert [each["amount"] for each in scene.held("stripe", "refund")] == [6000]
        assert owed(scene) == [("paid", "1190.00")]
        assert scene.records("payment_reversal") == [], "our own refund is no reversal"
        await scene.agrees()

    play(place, script)


@pytest.mark.parametrize("how", ["chargeback", "refund by hand"])
def test_a_payment_that_was_taken_back_opens_its_invoice_again(place: Database, how: str) -> None:
    async def script(scene: Scene) -> None:
        (invoice,) = await scene.invoiced("1000.00")
        scene.pays(invoice)
        await scene.rest()
        assert await scene.lies() == {"collected": "1000.00"}
        if how == "chargeback":
            dispute = scene.vendors.act("stripe", "dispute_invoice", invoice=invoice["billing_ref"], reason="fraud")
            await scene.rest()
            assert await scene.lies() == {"disputed": "1000.00"}
            await scene.agrees()
            scene.vendors.act("stripe", "close_dispute", dispute=dispute["id"], outcome="lost")
        else:
            scene.vendors.act("stripe", "refund", invoice=invoice["billing_ref"])
        await scene.rest()
        assert scene.cases() == []
        assert await scene.lies() == {"billed": "1000.00"}
        assert of_sales(scene) == ("open", "1190.00")
        (held,), (back,) = scene.held("netsuite", "invoice"), scene.held("netsuite", "customerRefund")
        assert (held["amountRemaining"], back["total"]) == (1190, 1190)
        assert (held["status"]["id"], held.get("custbody_accord_hold", False)) == ("open", False)
        await receipt(scene, "1190.00")
        assert of_sales(scene) == ("paid", "0.00")
        assert await scene.lies() == {"collected": "1000.00"}
        await scene.agrees()

    play(place, script)
