"""Disputes: a payer takes a charge back; it is won, lost, or given up."""

from __future__ import annotations

from accord.sandbox.stripe.account import Account
from accord.sandbox.stripe.call import Call, Routes, by, equal, listed
from accord.sandbox.stripe.refusals import refused
from accord.sandbox.stripe.shelf import Json

OPEN = ("warning_needs_response", "needs_response", "under_review", "warning_under_review")
OUTCOMES = ("won", "lost", "warning_closed", "prevented")
EVIDENCE_SECONDS = 9 * 86_400
EVIDENCE = (
    "access_activity_log", "billing_address", "customer_email_address", "customer_name",
    "product_description",
    "service_date", "service_documentation", "uncategorized_text",
)  # fmt: skip


def open_dispute(account: Account, charge: Json, amount: int, reason: str) -> Json:
    """The payer disputes a charge: the money is withdrawn at once."""
    dispute = account.create(
        {
            "id": account.new_id("dispute"),
            "object": "dispute",
            "amount": amount,
            "balance_transactions": [],
            "charge": charge["id"],
            "created": account.now(),
            "currency": charge["currency"],
            "enhanced_eligibility_types": [],
            "evidence": {**dict.fromkeys(EVIDENCE), "enhanced_evidence": {}},
            "evidence_details": {
                "due_by": account.now() + EVIDENCE_SECONDS,
                "enhanced_eligibility": {},
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
                "submission_method": "manual",
            },
            "is_charge_refundable": False,
            "livemode": False,
            "metadata": {},
            "network_reason_code": None,
            "payment_intent": charge["payment_intent"],
            "payment_method_details": {
                "card": {
                    "brand": "visa",
                    "case_type": "chargeback",
                    "network": "visa",
                    "network_reason_code": None,
                },
                "type": "card",
            },
            "reason": reason,
            "status": "needs_response",
        }
    )
    account.change(charge, {"disputed": True})
    account.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(account: Account, dispute: Json, outcome: str) -> Json:
    """The bank has decided; money of a dispute that is won comes back."""
    if dispute["status"] not in OPEN:
        raise refused(f"This dispute is already closed ({dispute['status']}).", "dispute_already_closed")
    account.change(dispute, {"status": outcome}, "charge.dispute.updated", "charge.dispute.closed")
    if outcome != "lost":
        account.emit("charge.dispute.funds_reinstated", dispute)
    return dispute


def update(call: Call) -> Json:
    form, account = call.form, call.account
    dispute = account.find("dispute", call.ids[0])
    changes: Json = {"metadata": form.metadata(dispute["metadata"])}
    evidence = form.inside("evidence")
    submit = form.boolean("submit")
    if evidence is not None:
        given = {key: evidence.text(key) for key in EVIDENCE if evidence.given(key)}
        changes["evidence"] = {**dispute["evidence"], **given}
        changes["evidence_details"] = _submitted(dispute, submit=submit is not False)
        if submit is not False:
            changes["status"] = "under_review"
    form.set_aside("intended_submission_method")
    form.close()
    if evidence is not None and dispute["status"] not in OPEN:
        raise refused("This dispute is already closed", "dispute_already_closed")
    return account.change(dispute, changes, "charge.dispute.updated")


def _submitted(dispute: Json, *, submit: bool) -> Json:
    details = dispute["evidence_details"]
    count = details["submission_count"] + (1 if submit else 0)
    return {**details, "has_evidence": True, "submission_count": count}


def close(call: Call) -> Json:
    """Accept the dispute as lost."""
    call.form.close()
    return close_dispute(call.account, call.account.find("dispute", call.ids[0]), "lost")


def list_disputes(call: Call) -> Json:
    intent = equal(call.form, "payment_intent")
    return listed(call, "dispute", intent, index=by(call.form, "charge"))


ROUTES: Routes = {
    ("GET", "disputes"): list_disputes,
    ("GET", "disputes/*"): lambda call: call.found("dispute"),
    ("POST", "disputes/*"): update,
    ("POST", "disputes/*/close"): close,
}
