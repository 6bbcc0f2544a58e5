"""PyPI stripe 16.1 as an independent client: what it reads and refuses was not written here."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import stripe

from accord.sandbox.kit.faults import Fault


def _issued(sdk: stripe.StripeClient, amount: int = 10000) -> stripe.Invoice:
    customer = sdk.v1.customers.create({"name": "Acme", "metadata": {"accord_id": "CUS-1"}})
    rate = sdk.v1.tax_rates.create({"display_name": "USt", "percentage": 19.0, "inclusive": False, "country": "DE"})
    draft = sdk.v1.invoices.create(
        {
            "customer": customer.id,
            "currency": "eur",
            "collection_method": "send_invoice",
            "days_until_due": 30,
        }
    )
    sdk.v1.invoices.add_lines(
        draft.id, {"lines": [{"amount": amount, "description": "Milestone", "tax_rates": [rate.id]}]}
    )
    return sdk.v1.invoices.finalize_invoice(draft.id)


def test_an_invoice_through_the_sdk(sdk: stripe.StripeClient, caller: Any) -> None:
    invoice = _issued(sdk)
    assert isinstance(invoice, stripe.Invoice)
    assert (invoice.status, invoice.total, invoice.total_taxes[0].amount) == ("open", 11900, 1900)
    caller.simulator.admin("pay_invoice", {"invoice": invoice.id, "amount": 1900})
    again = sdk.v1.invoices.retrieve(invoice.id, {"expand": ["payments.data.payment.payment_intent", "customer"]})
    assert (again.amount_paid, again.amount_remaining) == (1900, 10000)
    assert again.customer.metadata["accord_id"] == "CUS-1"
    assert {type(each) for each in again.payments.data} == {stripe.InvoicePayment}
    assert sdk.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"}).status == "paid"


def test_a_declined_card_is_a_card_error(sdk: stripe.StripeClient) -> None:
    invoice = _issued(sdk)
    with pytest.raises(stripe.CardError) as raised:
        sdk.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_chargeDeclined"})
    assert raised.value.error.payment_intent.status == "requires_payment_method"


def test_a_schedule_through_the_sdk(sdk: stripe.StripeClient, caller: Any) -> None:
    customer = sdk.v1.customers.create({"name": "Acme"})
    product = sdk.v1.products.create(
        {
            "id": "SUB-1",
            "name": "Managed service",
            "default_price_data": {
                "currency": "jpy",
                "unit_amount_decimal": Decimal(500000),
                "recurring": {"interval": "month"},
            },
        }
    )
    schedule = sdk.v1.subscription_schedules.create(
        {
            "customer": customer.id,
            "start_date": "now",
            "end_behavior": "cancel",
            "phases": [
                {
                    "items": [{"price": str(product.default_price), "quantity": 1}],
                    "duration": {"interval": "month", "interval_count": 12},
                    "collection_method": "send_invoice",
                    "invoice_settings": {"days_until_due": 30},
                    "metadata": {"accord_id": "SUB-1"},
                }
            ],
        }
    )
    assert schedule.status == "active"
    caller.shift(days=31)
    subscription = sdk.v1.subscriptions.retrieve(str(schedule.subscription), {"expand": ["latest_invoice"]})
    assert subscription.latest_invoice.parent.subscription_details.subscription == subscription.id
    assert subscription["items"].data[0].price.unit_amount_decimal == Decimal(500000)
    assert [each.billing_reason for each in sdk.v1.invoices.list({"subscription": subscription.id}).data] == [
        "subscription_cycle",
        "subscription_create",
    ]


def test_the_sdk_pages_through_everything(sdk: stripe.StripeClient) -> None:
    made = [sdk.v1.customers.create({"name": f"C{number}"}).id for number in range(23)]
    assert [each.id for each in sdk.v1.customers.list({"limit": 10}).auto_paging_iter()] == made[::-1]
    behind = sdk.v1.customers.list({"limit": 5, "ending_before": made[3]})
    assert [each.id for each in behind.auto_paging_iter()] == made[4:]


def test_the_sdk_searches(sdk: stripe.StripeClient, caller: Any) -> None:
    made = {sdk.v1.customers.create({"name": "Acme", "metadata": {"a": "1"}}).id for _ in range(12)}
    caller.wall.at = caller.wall.at.replace(minute=1)
    found = sdk.v1.customers.search({"query": "metadata['a']:'1'", "limit": 5})
    assert {each.id for each in found.auto_paging_iter()} == made


def test_errors_are_the_sdks_own_classes(sdk: stripe.StripeClient, caller: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as missing:
        sdk.v1.invoices.retrieve("in_none")
    assert (missing.value.code, missing.value.http_status) == ("resource_missing", 404)
    sdk.v1.customers.create({"name": "A"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError):
        sdk.v1.customers.create({"name": "B"}, {"idempotency_key": "k"})
    caller.simulator.admin("set_rate_limit", {"per_endpoint_per_second": 0})
    with pytest.raises(stripe.RateLimitError):
        sdk.v1.customers.list()
    caller.simulator.admin("set_rate_limit", {"per_endpoint_per_second": 25})
    caller.simulator.faults.add(Fault("expire_tokens"))
    with pytest.raises(stripe.AuthenticationError):
        sdk.v1.customers.list()


def test_a_retry_of_the_sdk_after_a_lost_answer_makes_one_object(
    sdk: stripe.StripeClient, caller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe.HTTPClient, "_sleep_time_seconds", lambda *_: 0)
    caller.simulator.faults.add(Fault("lose_answer", method="POST", path="customers"))
    made = sdk.v1.customers.create({"name": "A"}, {"max_network_retries": 2})
    assert [row["id"] for row in caller.simulator.dump()["customer"]] == [made.id]


def test_credit_notes_refunds_and_disputes_through_the_sdk(sdk: stripe.StripeClient, caller: Any) -> None:
    invoice = _issued(sdk)
    note = sdk.v1.credit_notes.create(
        {
            "invoice": invoice.id,
            "lines": [{"type": "invoice_line_item", "invoice_line_item": invoice.lines.data[0].id, "amount": 1000}],
        }
    )
    assert (note.total, note.status) == (1190, "issued")
    caller.simulator.admin("pay_invoice", {"invoice": invoice.id, "method": "card"})
    dispute = caller.simulator.admin("dispute_invoice", {"invoice": invoice.id})
    assert sdk.v1.disputes.retrieve(dispute["id"]).status == "needs_response"
    assert sdk.v1.disputes.close(dispute["id"]).status == "lost"


def _deviations(value: Any, path: str) -> list[str]:
    """Fields of our objects that the SDK's typed classes do not have (+), and those it always expects (-)."""
    if isinstance(value, list):
        return [each for item in value for each in _deviations(item, path)]
    if not isinstance(value, stripe.StripeObject):
        return []
    shown = set(value.to_dict())
    found: list[str] = []
    if type(value) is not stripe.StripeObject:
        known = _annotations(type(value))
        found += [f"+{path}.{key}" for key in shown - known.keys() - {"object"}]
        found += [f"-{path}.{key}" for key, hint in known.items() if key not in shown and _always(hint)]
    return found + [each for key in shown for each in _deviations(value[key], f"{path}.{key}")]


def _annotations(cls: type) -> dict[str, str]:
    fields: dict[str, str] = {}
    for each in cls.__mro__:
        fields |= {key: str(hint) for key, hint in vars(each).get("__annotations__", {}).items() if key[0] != "_"}
    return fields


def _always(hint: str) -> bool:
    return not any(word in hint for word in ("Optional", "None", "ClassVar"))


def test_our_objects_have_the_fields_of_the_typed_classes(sdk: stripe.StripeClient, caller: Any) -> None:
    invoice = _issued(sdk)
    caller.simulator.admin("pay_invoice", {"invoice": invoice.id, "method": "card"})
    caller.simulator.admin("dispute_invoice", {"invoice": invoice.id, "amount": 5})
    product = sdk.v1.products.create(
        {
            "name": "P",
            "default_price_data": {"currency": "eur", "unit_amount": 5, "recurring": {"interval": "month"}},
        }
    )
    phase: Any = {"items": [{"price": str(product.default_price)}], "duration": {"interval": "month"}}
    sdk.v1.subscription_schedules.create({"customer": str(invoice.customer), "start_date": "now", "phases": [phase]})
    second = _issued(sdk)
    sdk.v1.credit_notes.create({"invoice": second.id, "amount": 5})
    charge = sdk.v1.charges.list().data[0]
    assert charge.disputed
    lists: list[Any] = [
        sdk.v1.customers.list(), sdk.v1.products.list(), sdk.v1.prices.list(), sdk.v1.tax_rates.list(),
        sdk.v1.invoices.list({"expand": ["data.payments"]}),
        sdk.v1.invoice_items.list(), sdk.v1.invoice_payments.list(),
        sdk.v1.subscriptions.list(), sdk.v1.subscription_schedules.list(), sdk.v1.credit_notes.list(),
        sdk.v1.payment_intents.list(), sdk.v1.charges.list(),
        sdk.v1.disputes.list(), sdk.v1.events.list({"limit": 100}),
    ]  # fmt: skip
    assert all(each.data for each in lists)
    deviations = {each for page in lists for each in _deviations(page.data, page.data[0].object)}
    assert not sorted(deviations)
