"""Invoices: issued in three calls that are one effect, and voided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from accord.connect.failures import Refused
from accord.connect.session import Session
from accord.connectors.stripe.calls import Json, Spent, Steps, listed, ours, read
from accord.connectors.stripe.minor_units import money_of, units_of
from accord.engine.outcomes import Absent, Committed, Outcome, Rejected, Write
from accord.model.money import Money
from accord.model.plain import from_plain, to_plain

MAX_LINES_A_CALL = 250  # docs.stripe.com api/invoices/add_lines
LABELS = ("engagement_id", "customer_id", "deal_id", "project_id", "legal_entity", "origin")
LINE_LABELS = ("item_id", "tax_rate_id", "service_from", "service_to")
FINAL = ("open", "paid", "uncollectible", "void")


async def issue(steps: Steps) -> Outcome:
    """Draft, lines, final, and sent if the connection says so. Repeating finds the draft or the invoice itself.

    The draft does not advance by itself, so a half-made one is never issued; one whose total is not what was
    approved is removed before it becomes a legal document.
    """
    write = steps.write
    missing = _missing(write)
    if missing:
        return Rejected("not_writable", f"not known in Stripe yet: {', '.join(missing)}", tuple(missing))
    found = await find(steps.session, write) if write.attempt > 1 else None
    if found is not None and found["status"] in FINAL:
        return issued(found)
    invoice = found or await steps.post("create", "invoices", _draft(write))
    invoice = await _add_lines(steps, invoice, await _lines_on(steps.session, found))
    difference = _difference(write, invoice)
    if difference is not None:
        await _drop(steps, invoice)
        return difference
    return await _finish(steps, str(invoice["id"]))


def _missing(write: Write) -> list[str]:
    wanted = {"customer_id": write.body["customer_id"]}
    for number, line in enumerate(write.body["lines"]):
        if line.get("tax_rate_id"):
            wanted[f"lines[{number}].tax_rate_id"] = line["tax_rate_id"]
    return [field for field, canonical in wanted.items() if canonical not in write.vendor_ids]


def _draft(write: Write) -> dict[str, Any]:
    body = write.body
    metadata = {name: body[name] for name in LABELS if body.get(name)}
    return {
        "customer": write.vendor_ids[body["customer_id"]],
        "currency": body["currency"].lower(),
        "collection_method": "send_invoice",
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        "metadata": {"accord_id": write.canonical_id, **metadata},
        **_due(body),
    }


def _due(body: Mapping[str, Any]) -> dict[str, int]:
    if body.get("due_on") and body.get("terms_days") is None:
        due = date.fromisoformat(body["due_on"])
        return {"due_date": int(datetime(due.year, due.month, due.day, 12, tzinfo=UTC).timestamp())}
    return {"days_until_due": body.get("terms_days") or 0}


async def _lines_on(session: Session, draft: Json | None) -> set[str]:
    """Which lines a draft found again has already, by the number each carries."""
    if draft is None:
        return set()
    return {str(line["metadata"].get("line")) async for line in listed(session, f"invoices/{draft['id']}/lines", {})}


async def _add_lines(steps: Steps, invoice: Json, there: set[str]) -> Json:
    lines = [_line(number, line, steps.write) for number, line in enumerate(steps.write.body["lines"])]
    rest = [line for line in lines if line["metadata"]["line"] not in there]
    for start in range(0, len(rest), MAX_LINES_A_CALL):
        part = rest[start : start + MAX_LINES_A_CALL]
        step = f"lines-{part[0]['metadata']['line']}"
        try:
            invoice = await steps.post(step, f"invoices/{invoice['id']}/add_lines", {"lines": part})
        except Refused as refused:
            if _is_gone(refused.outcome):
                raise Spent from None
            raise
    return invoice


def _is_gone(outcome: Outcome) -> bool:
    """The key gave us a draft that has been removed since: that generation of it is over."""
    return isinstance(outcome, Rejected) and outcome.code == "resource_missing" and outcome.fields in ((), ("id",))


def _line(number: int, line: Mapping[str, Any], write: Write) -> dict[str, Any]:
    net = from_plain(Money, line["net"])
    rate = line.get("tax_rate_id")
    labels = {name: line[name] for name in LINE_LABELS if line.get(name)}
    return {
        "amount": units_of(net),
        "description": line["text"],
        "tax_rates": [write.vendor_ids[rate]] if rate else None,
        "metadata": {"line": str(number), **labels},
    }


def _difference(write: Write, invoice: Json) -> Rejected | None:
    """What Stripe adds up must be what was approved, to the minor unit."""
    approved, computed = (
        from_plain(Money, write.body["gross"]),
        money_of(invoice["total"], invoice["currency"]),
    )
    if approved == computed:
        return None
    return Rejected("amounts_differ", f"Stripe computes {computed}, {approved} was approved.", ("gross",))


async def _drop(steps: Steps, draft: Json) -> None:
    path = f"v1/invoices/{draft['id']}"
    await steps.session.expect(steps.session.call("DELETE", path, endpoint="DELETE invoices"))


async def _finish(steps: Steps, invoice_id: str) -> Outcome:
    try:
        invoice = await steps.post("finalize", f"invoices/{invoice_id}/finalize")
    except Refused as refused:
        if _is_gone(refused.outcome):
            raise Spent from None
        invoice = await read(steps.session, f"invoices/{invoice_id}")
        if invoice["status"] not in FINAL:
            raise
    if steps.session.config.get("send_invoices") and invoice["status"] == "open":
        invoice = await steps.post("send", f"invoices/{invoice_id}/send")
    return issued(invoice)


def issued(invoice: Json) -> Outcome:
    """What the process needs of an issued invoice: number, dates, amounts as Stripe computed them. A draft is
    not issued."""
    if invoice["status"] not in FINAL:
        return Absent("only a draft so far")
    at = invoice["status_transitions"]["finalized_at"] or invoice["created"]
    net = money_of(invoice["total_excluding_tax"], invoice["currency"])
    gross = money_of(invoice["total"], invoice["currency"])
    details = {
        "number": invoice["number"],
        "billing_ref": invoice["id"],
        "status": invoice["status"],
        "issued_on": day_of(at),
        "due_on": day_of(invoice["due_date"] or at),
        "net": to_plain(net),
        "tax": to_plain(gross - net),
        "gross": to_plain(gross),
    }
    return Committed(str(invoice["id"]), details)


def day_of(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


async def find(session: Session, write: Write) -> Json | None:
    """The invoice, by its id or among those of its customer."""
    if write.vendor_id is not None:
        return await read(session, f"invoices/{write.vendor_id}")
    customer = write.vendor_ids.get(write.body["customer_id"])
    return await ours(session, "invoices", {"customer": customer}, write.canonical_id) if customer else None


async def void(steps: Steps) -> Outcome:
    """Void an open invoice; a draft is removed, a paid one has to be credited instead."""
    invoice = await find(steps.session, steps.write)
    if invoice is None:
        return Committed(None, {"note": "never issued"})
    vendor_id = str(invoice["id"])
    if invoice["status"] == "draft":
        await _drop(steps, invoice)
    elif invoice["status"] != "void":
        await steps.post("void", f"invoices/{vendor_id}/void")
    return Committed(vendor_id, {"status": "void"})


async def write_off(steps: Steps) -> Outcome:
    """Mark an invoice as uncollectible: Stripe asks for nothing any more. One that is paid stays so."""
    invoice = await find(steps.session, steps.write)
    if invoice is None:
        return Rejected("not_writable", "the invoice is not known in Stripe yet", ("id",))
    if invoice["status"] == "open":
        invoice = await steps.post("uncollectible", f"invoices/{invoice['id']}/mark_uncollectible")
    return Committed(str(invoice["id"]), {"status": invoice["status"]})


def given_up(invoice: Json) -> Outcome:
    if invoice["status"] == "open":
        return Absent("the invoice is open")
    return Committed(str(invoice["id"]))


def voided(invoice: Json) -> Outcome:
    return (
        Committed(str(invoice["id"])) if invoice["status"] == "void" else Absent(f"the invoice is {invoice['status']}")
    )
