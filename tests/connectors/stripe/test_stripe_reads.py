"""Reads: webhooks, the polling net, and what becomes of events that come twice, late or in another order."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from accord.connect.connector import Arrival, Observed, Pointer, Watermark
from accord.connect.intake import Accepted, receive
from accord.connectors.stripe import CONNECTOR, register_webhook
from accord.connectors.stripe.events import LISTS, WANTED, WEBHOOK, translate
from accord.connectors.stripe.minor_units import money_of, units_of
from accord.model.billing import Dispute, Invoice, Payment, PaymentFailure
from accord.model.identity import canonical_id
from accord.model.money import Money
from accord.model.plain import from_plain
from accord.sandbox.stripe.account import event_as_seen
from tests.connectors.stripe.conftest import INVOICE, SCHEDULE, Desk, line, money

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def _events(desk: Desk) -> list[dict[str, Any]]:
    return [event_as_seen(event) for event in desk.simulator.account.shelf("event").all()]


def _arrivals(desk: Desk) -> list[Arrival]:
    return [arrival for event in _events(desk) for arrival in translate({}, json.dumps(event).encode())]


async def _polled(desk: Desk, kind: str, watermark: Watermark | None = None) -> tuple[list[Observed], Watermark | None]:
    changed = CONNECTOR.resources[kind].changed
    assert changed is not None
    found: list[Observed] = []
    async for page in changed(desk.session, watermark):
        found += page.observed
        watermark = page.watermark
    return found, watermark


def _newest(found: list[Observed]) -> Observed:
    return max(found, key=lambda each: each.version)


async def test_an_issued_invoice_is_observed_as_it_was_written(desk: Desk) -> None:
    done = await desk.invoice({**INVOICE, "lines": [line(service_from="2026-11-01", service_to="2026-11-30")]})
    found, _ = await _polled(desk, "invoice")
    seen = _newest(found)
    assert (seen.canonical_id, seen.vendor_id, seen.links, seen.problems) == ("INV-1", done.vendor_id, {}, ())
    invoice = from_plain(Invoice, {"id": seen.canonical_id, **seen.body})
    assert (
        invoice.lines
        == from_plain(Invoice, {**INVOICE, "lines": [line(service_from="2026-11-01", service_to="2026-11-30")]}).lines
    )
    assert (invoice.status, invoice.origin, invoice.deal_id, invoice.number) == (
        "open", "milestone", "DEA-1", done.details["number"],
    )  # fmt: skip
    assert (invoice.net, invoice.tax, invoice.gross) == tuple(map(_money, ("1000.00", "190.00", "1190.00")))


def _money(amount: str, currency: str = "EUR") -> Money:
    return Money.of(amount, currency)


async def test_poll_and_push_say_the_same_of_an_invoice(desk: Desk) -> None:
    done = await desk.invoice()
    desk.simulator.admin("pay_invoice", {"invoice": done.vendor_id, "amount": 40000})
    pushed = [item for each in _arrivals(desk) for item in each.items if isinstance(item, Observed)]
    polled, _ = await _polled(desk, "invoice")
    assert {(each.version, json.dumps(each.body, sort_keys=True)) for each in pushed} == {
        (each.version, json.dumps(each.body, sort_keys=True)) for each in polled
    }
    assert _newest(polled).body["paid"] == money("400.00")


async def test_the_order_events_arrive_in_does_not_matter(desk: Desk) -> None:
    """All of it happens within one second: the version tells the states apart nevertheless."""
    done = await desk.invoice()
    for amount in (10000, 20000, None):
        desk.simulator.admin("pay_invoice", {"invoice": done.vendor_id, "amount": amount})
    seen = [item for each in _arrivals(desk) for item in each.items if isinstance(item, Observed)]
    assert _newest(seen[::-1]).body["status"] == "paid"
    ordered = sorted(seen, key=lambda each: each.version)
    assert [each.body["paid"]["amount"] for each in ordered] == sorted(
        (each.body["paid"]["amount"] for each in seen), key=float
    )


async def test_an_invoice_read_again_is_no_older_than_its_last_payment(desk: Desk) -> None:
    done = await desk.invoice()
    desk.simulator.admin("shift_clock", {"seconds": 86400})
    desk.simulator.admin("pay_invoice", {"invoice": done.vendor_id, "amount": 40000})
    get = CONNECTOR.resources["invoice"].get
    assert get is not None
    (again,) = await get(desk.session, [str(done.vendor_id), "in_none"])
    polled, _ = await _polled(desk, "invoice")
    assert (again.version, again.body) == (_newest(polled).version, _newest(polled).body)


async def test_a_subscription_invoice_names_its_schedule_and_its_period(desk: Desk) -> None:
    await desk.ready()
    await desk.committed("recurring_schedule", "put", SCHEDULE)
    desk.simulator.admin("shift_clock", {"seconds": 7200})
    found, _ = await _polled(desk, "invoice")
    seen = _newest(found)
    invoice = from_plain(Invoice, {"id": seen.canonical_id, **seen.body})
    assert (invoice.origin, invoice.subscription_id, invoice.engagement_id) == ("subscription", "SUB-1", "DEA-1")
    assert (invoice.net, invoice.gross) == (_money("500000", "JPY"), _money("595000", "JPY"))
    assert invoice.lines[0].item_id == canonical_id("billable_item", invoice.id)
    assert invoice.lines[0].service_from is not None
    assert invoice.lines[0].service_to is not None
    assert (invoice.lines[0].service_to - invoice.lines[0].service_from).days in (29, 30)


async def test_drafts_and_invoices_made_by_hand_are_set_aside(desk: Desk) -> None:
    await desk.ready()
    form = {"customer": desk.known["CUS-1"], "collection_method": "send_invoice", "days_until_due": 5}
    made = (await desk.session.call("POST", "v1/invoices", form=form)).json()
    await desk.session.call("POST", f"v1/invoices/{made['id']}/finalize", form={})
    await desk.committed("recurring_schedule", "put", SCHEDULE)
    about = [each for each in _arrivals(desk) if each.event_type.startswith("invoice.")]
    assert about
    assert all(each.ignored and not each.items for each in about)


async def test_partial_payments_are_one_each_and_name_our_invoice(desk: Desk) -> None:
    done = await desk.invoice()
    for amount in (40000, None):
        desk.simulator.admin("pay_invoice", {"invoice": done.vendor_id, "amount": amount})
    found, _ = await _polled(desk, "payment")
    payments = [from_plain(Payment, {"id": each.vendor_id, **each.body}) for each in found]
    assert sorted(str(each.amount) for each in payments) == ["400.00 EUR", "790.00 EUR"]
    assert {each.invoice_id for each in payments} == {"INV-1"}
    assert all(each.reference and each.reference.startswith("pi_") for each in payments)


async def test_a_failed_payment_shows_with_its_reason(desk: Desk) -> None:
    done = await desk.invoice()
    desk.simulator.admin("fail_payment", {"invoice": done.vendor_id, "code": "insufficient_funds"})
    desk.simulator.admin("fail_payment", {"invoice": done.vendor_id, "code": "expired_card"})
    found, _ = await _polled(desk, "payment_failure")
    assert len({each.vendor_id for each in found}) == 2
    failure = from_plain(PaymentFailure, {"id": str(found[0].canonical_id), **found[0].body})
    assert (failure.invoice_id, failure.amount, failure.reason) == ("INV-1", _money("1190.00"), "expired_card")


async def test_a_dispute_names_the_invoice_and_closes(desk: Desk) -> None:
    done = await desk.invoice()
    desk.simulator.admin("pay_invoice", {"invoice": done.vendor_id, "method": "card"})
    dispute = desk.simulator.admin("dispute_invoice", {"invoice": done.vendor_id, "reason": "product_not_received"})
    pointers = [item for each in _arrivals(desk) for item in each.items if isinstance(item, Pointer)]
    assert Pointer("dispute", dispute["id"]) in pointers
    (opened,), watermark = await _polled(desk, "dispute")
    shown = from_plain(Dispute, {"id": opened.vendor_id, **opened.body})
    assert (shown.invoice_id, shown.status, shown.reason) == ("INV-1", "open", "product_not_received")
    desk.simulator.admin("close_dispute", {"dispute": dispute["id"], "outcome": "lost"})
    (closed,), _ = await _polled(desk, "dispute", watermark)
    assert closed.body["status"] == "lost"
    assert closed.version > opened.version


async def test_a_poll_with_nothing_new_is_one_call(desk: Desk) -> None:
    await desk.invoice()
    _, watermark = await _polled(desk, "invoice")
    before = desk.calls()
    assert await _polled(desk, "invoice", watermark) == ([], watermark)
    assert desk.calls() - before == 1


async def test_a_poll_reads_every_page_and_its_watermark_never_goes_back(desk: Desk) -> None:
    await desk.ready()
    for number in range(70):
        await desk.committed("invoice", "issue", {**INVOICE, "id": f"INV-{number}"})
    marks: list[str] = []
    changed = CONNECTOR.resources["invoice"].changed
    assert changed is not None
    seen: set[str | None] = set()
    async for page in changed(desk.session, None):
        assert page.watermark is not None
        marks.append(page.watermark.at)
        seen |= {each.canonical_id for each in page.observed}
    assert seen == {f"INV-{number}" for number in range(70)}
    assert len(marks) > 1
    assert marks == sorted(marks)


async def test_a_watermark_older_than_stripe_keeps_events_still_reads_what_there_is(desk: Desk) -> None:
    await desk.invoice()
    old = Watermark("00000000001", "evt_gone")
    found, _ = await _polled(desk, "invoice", old)
    assert {each.canonical_id for each in found} == {"INV-1"}


async def test_what_happened_in_an_absence_longer_than_stripe_keeps_events_is_read_from_the_lists(desk: Desk) -> None:
    """Events go back 30 days: whoever was away for longer would never hear of what happened before."""
    done = await desk.invoice()
    marks = {kind: (await _polled(desk, kind))[1] or Watermark(_now(desk)) for kind in LISTS}
    desk.simulator.admin("pay_invoice", {"invoice": done.vendor_id, "method": "card"})
    desk.simulator.admin("dispute_invoice", {"invoice": done.vendor_id, "reason": "product_not_received"})
    desk.simulator.admin("shift_clock", {"seconds": 40 * 86400})
    desk.session.now = desk.simulator.account.clock.now
    for kind in ("invoice", "payment", "dispute"):
        found, mark = await _polled(desk, kind, marks[kind])
        assert [each.kind for each in found] == [kind]
        before = desk.calls()
        assert await _polled(desk, kind, mark) == ([], mark)
        assert desk.calls() - before == 1, "the lists are read once"
    (invoice,), _ = await _polled(desk, "invoice", marks["invoice"])
    assert invoice.body["status"] == "paid"


def _now(desk: Desk) -> str:
    return f"{desk.simulator.account.now():011d}"


async def test_an_invoice_with_many_lines_is_read_again_whole(desk: Desk) -> None:
    lines = [line("1.00", "0.19", item_id=f"BIL-{number}") for number in range(12)]
    body = {**INVOICE, "lines": lines, "net": money("12.00"), "tax": money("2.28"), "gross": money("14.28")}
    await desk.invoice(body)
    assert any(Pointer("invoice", desk.known["INV-1"]) in each.items for each in _arrivals(desk))
    found, _ = await _polled(desk, "invoice")
    assert [each["item_id"] for each in _newest(found).body["lines"]] == [f"BIL-{number}" for number in range(12)]


async def test_an_event_of_another_api_version_is_not_trusted(desk: Desk) -> None:
    await desk.invoice()
    event = next(each for each in _events(desk) if each["type"] == "invoice.finalized")
    (arrival,) = translate({}, json.dumps({**event, "api_version": "2031-01-01.future"}).encode())
    assert arrival.items == (Pointer("invoice", desk.known["INV-1"]),)


async def test_a_registered_webhook_is_pushed_and_accepted(desk: Desk) -> None:
    endpoint, secret = await register_webhook(desk.session, "https://localhost:1/hook")
    assert desk.rows("webhook_endpoint")[0]["enabled_events"] == list(WANTED)
    await desk.ready()
    await desk.committed("invoice", "issue", INVOICE)
    event = next(each for each in _events(desk) if each["type"] == "invoice.finalized")
    body = desk.simulator.webhooks.body_of(event)
    header = desk.simulator.webhooks._signer(endpoint, body, None)(NOW)["Stripe-Signature"]
    accepted = receive(WEBHOOK, {"Stripe-Signature": header}, body, {"webhook_secret": secret}, datetime.now(UTC))
    assert accepted == Accepted((event["id"],), WEBHOOK.answer)


def _push(secret: str = "whsec_1", at: datetime = NOW) -> tuple[dict[str, str], bytes]:
    body = json.dumps({"id": "evt_1", "object": "event", "type": "x", "created": 1, "data": {"object": {}}})
    header = stripe.WebhookSignature.generate_signature_header(body, secret, int(at.timestamp()))
    return {"stripe-signature": header}, body.encode()


def test_what_the_sdk_signs_is_accepted_and_an_event_of_no_interest_set_aside() -> None:
    headers, body = _push()
    assert receive(WEBHOOK, headers, body, {"webhook_secret": "whsec_1"}, NOW) == Accepted(("evt_1",), WEBHOOK.answer)
    (arrival,) = translate(headers, body)
    assert (arrival.items, arrival.ignored) == ((), "x is of no interest")


def test_while_a_secret_rolls_both_are_accepted() -> None:
    headers, body = _push("whsec_old")
    secrets = {"webhook_secret": "whsec_new", "webhook_secret_previous": "whsec_old"}
    assert isinstance(receive(WEBHOOK, headers, body, secrets, NOW), Accepted)
    assert not isinstance(receive(WEBHOOK, headers, body, {"webhook_secret": "whsec_new"}, NOW), Accepted)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"stripe-signature": ""}, 401),
        ({"stripe-signature": "t=,v1="}, 401),
        ({"stripe-signature": "t=1,t=2,v1=00"}, 401),
        ({"stripe-signature": f"t={int(NOW.timestamp())},v0=00"}, 401),
    ],
)
def test_a_push_without_a_good_signature_is_refused(headers: dict[str, str], status: int) -> None:
    _, body = _push()
    refusal = receive(WEBHOOK, headers, body, {"webhook_secret": "whsec_1"}, NOW)
    assert not isinstance(refusal, Accepted)
    assert refusal.status == status


def test_an_old_signature_another_body_and_a_missing_secret_are_refused() -> None:
    secrets = {"webhook_secret": "whsec_1"}
    headers, body = _push(at=NOW - timedelta(seconds=301))
    assert not isinstance(receive(WEBHOOK, headers, body, secrets, NOW), Accepted)
    headers, body = _push()
    assert not isinstance(receive(WEBHOOK, headers, body + b" ", secrets, NOW), Accepted)
    assert not isinstance(receive(WEBHOOK, headers, body, {}, NOW), Accepted)


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("12.34", "EUR", 1234),
        ("500000", "JPY", 500000),
        ("1.234", "KWD", 1234),
        ("5", "ISK", 500),
        ("-3.10", "USD", -310),
    ],
)
def test_money_crosses_in_stripes_minor_unit(amount: str, currency: str, units: int) -> None:
    assert units_of(_money(amount, currency)) == units
    assert money_of(units, currency.lower()) == _money(amount, currency)
