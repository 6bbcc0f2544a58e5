"""Edge case 13: zero-decimal and three-decimal currencies; rounding per line vs. per invoice; tax per line vs.
total."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from accord.connectors.stripe.minor_units import money_of, units_of
from accord.db.pool import Pool
from accord.engine.outcomes import Committed
from accord.engine.story import Require
from accord.model.billing import Invoice, InvoiceLine, InvoiceProposal, ProposedLine, TaxTreatment
from accord.model.money import Money, TooManyDecimals
from accord.model.terms import BillingTerms, LinePer, RateRow
from accord.model.work import WorkStatus
from accord.processes.billing_steps import same_money
from accord.rules.invoicing import work_invoice
from accord.simulation.database import Database
from tests.edge_cases.scene import Scene, play
from tests.ledger.worked import TERMS, agree, bill, entry, lies, proposal, rows, work
from tests.rules.firms import firm

DAY = date(2026, 11, 2)


def test_yen_go_through_all_systems_as_whole_yen(place: Database) -> None:
    async def script(scene: Scene) -> None:
        (invoice,) = await scene.invoiced("99999", entity="JP", currency="JPY")
        assert (invoice["net"]["amount"], invoice["tax"]["amount"]) == ("99999", "10000"), (
            "9,999.9 is 10,000 yen of tax"
        )
        (issued,) = scene.held("stripe", "invoice")
        assert (issued["total"], issued["currency"]) == (109999, "jpy")
        (posted,) = scene.held("netsuite", "invoice")
        assert Decimal(str(posted["total"])) == 109999
        scene.pays(invoice, 50001)
        await scene.rest()
        assert await scene.lies() == {"billed": "54544", "collected": "45455"}
        await scene.agrees()

    play(place, script)


def terms_in(currency: str, per_hour: str, **changes: Any) -> BillingTerms:
    rate = RateRow("R", Money(Decimal(per_hour), currency))
    return replace(TERMS, currency=currency, rates=(rate,), **changes)


@pytest.mark.parametrize(
    ("currency", "per_hour", "per_item", "per_line"),
    [
        ("USD", "100.03", "100.04", "100.03"),  # a quarter of an hour is 25.0075
        ("JPY", "3333", "3332", "3333"),  # 833.25
        ("KWD", "10.005", "10.004", "10.005"),  # 2.50125
    ],
)
async def test_rounding_per_line_is_once_for_all_of_it_and_per_item_once_for_each(
    pool: Pool, currency: str, per_hour: str, per_item: str, per_line: str
) -> None:
    quarters = [entry(n, "0.25") for n in (2, 3, 4, 5)]
    await agree(pool, terms_in(currency, per_hour))
    await work(pool, *quarters)
    assert await lies(pool) == {"wip": per_item}
    await agree(pool, terms_in(currency, per_hour, round_per_line=True))
    again = [
        replace(each, id=f"{each.id}9", source_key=f"{each.source_key}9", engagement_id="DEA-2") for each in quarters
    ]
    await agree(pool, terms_in(currency, per_hour, round_per_line=True, engagement_id="DEA-2"))
    await work(pool, *again)
    found = await rows(pool, "SELECT sum(amount) FROM billable_item WHERE engagement = 'DEA-2'")
    assert [str(amount) for (amount,) in found] == [per_line]
    await lies(pool)  # and every item of it explains itself


async def test_a_line_that_is_rounded_once_stays_so_when_one_of_its_entries_is_taken_back(pool: Pool) -> None:
    await agree(pool, terms_in("USD", "100.03", round_per_line=True))
    await work(pool, *[entry(n, "0.25") for n in (2, 3, 4, 5)])
    await work(pool, entry(2, "0.25", status=WorkStatus.RECALLED))
    assert await lies(pool) == {"wip": "75.02"}  # 75.0225
    await work(pool, entry(6, "0.25", worker="ben"))
    assert await lies(pool) == {"wip": "100.03"}  # 75.02 on one line and 25.01 on another
    id = await proposal(pool)
    lines = "SELECT net FROM proposal_line ORDER BY line"
    assert [str(net) for (net,) in await rows(pool, lines)] == ["75.02", "25.01"]
    await bill(pool, id)
    assert await lies(pool) == {"billed": "100.03"}


async def test_an_item_that_is_a_line_of_its_own_is_rounded_by_itself(pool: Pool) -> None:
    await agree(pool, terms_in("USD", "100.03", round_per_line=True, lines_per=LinePer.ITEM))
    await work(pool, *[entry(n, "0.25") for n in (2, 3, 4, 5)])
    assert await lies(pool) == {"wip": "100.04"}


def test_three_decimals_are_counted_in_thousandths_and_a_fourth_is_refused() -> None:
    amount = Money.of("10.005", "KWD")
    assert (amount.minor, units_of(amount), money_of(10005, "kwd")) == (10005, 10005, amount)
    assert (units_of(Money.of("500", "JPY")), money_of(500, "jpy")) == (500, Money.of("500", "JPY"))
    with pytest.raises(TooManyDecimals):
        Money.of("10.0005", "KWD")
    with pytest.raises(TooManyDecimals):
        Money.of("500.5", "JPY")


def invoice_of(*nets: str, percentage: str) -> Invoice:
    lines = tuple(
        ProposedLine(f"INV-1-{n}", "anna", Money.of(net, "EUR"), Decimal(1), "h", None, DAY, DAY)
        for n, net in enumerate(nets, start=1)
    )
    net = sum((line.net for line in lines), start=Money.zero("EUR"))
    approved = InvoiceProposal("INV-1", "DEA-1", "DE", "CUS-1", "EUR", DAY, DAY, lines, net, 30, "fatima", f"{DAY}")
    how = TaxTreatment("domestic", "DE", Decimal(percentage), "USt")
    return work_invoice(approved, firm().entities["DE"], how, project_id="", deal_id="DEA-1")


def test_tax_is_taken_line_by_line_as_the_billing_platform_does() -> None:
    """Three lines of 0.13 at 19 %: 0.0247 each is 0.02, together 0.06; of the total it would be 0.0741, and so 0.07."""
    invoice = invoice_of("0.13", "0.13", "0.13", percentage="19")
    assert [str(line.tax.amount) for line in invoice.lines] == ["0.02", "0.02", "0.02"]
    assert (str(invoice.tax), str(invoice.gross)) == ("0.06 EUR", "0.45 EUR")
    assert isinstance(invoice.lines[0], InvoiceLine)


@pytest.mark.parametrize(("theirs", "differs"), [("0.45", False), ("0.46", True)])
def test_a_platform_that_taxes_the_total_is_found_out_before_anything_is_posted(theirs: str, *, differs: bool) -> None:
    """Its gross is a cent more: a case with both amounts, never a quiet difference between two books."""
    invoice = invoice_of("0.13", "0.13", "0.13", percentage="19")
    story = same_money(invoice, Committed("in_1", {"gross": {"amount": theirs, "currency": "EUR"}}))  # type: ignore[arg-type]
    asked = story.send(None)
    assert isinstance(asked, Require)
    assert [each.code for each in asked.problems] == (["amounts_differ"] if differs else [])
    story.close()
