"""Time and expense reports: what the account completes and refuses, and what their words for an approval come to."""

from __future__ import annotations

from decimal import Decimal

from accord.sandbox.netsuite.account import Account
from accord.sandbox.netsuite.fields import Row
from accord.sandbox.netsuite.refusals import broken_rule, missing

# The status of a report -> its approvalStatus, which is numbered otherwise than that of time (vendors.md 2.6).
EXPENSE_APPROVAL = {
    **dict.fromkeys("ABCV", "1"), **dict.fromkeys("FGIJ", "2"), **dict.fromkeys("DEH", "3"),
}  # fmt: skip


def settle_time(account: Account, row: Row) -> None:
    """Complete one entry of time. Raises Refused (USER_ERROR)."""
    employee = account.find("employee", row["employee"])
    row["tranDate"] = row.get("tranDate") or account.today().isoformat()
    row["subsidiary"] = row.get("subsidiary") or employee.get("subsidiary")
    row["approvalStatus"] = row.get("approvalStatus") or "1"
    row["timeType"] = row.get("timeType") or "A"
    row["supervisorApproval"] = row["approvalStatus"] == "3"
    row["isBillable"] = bool(row.get("isBillable"))
    _refuse_strange_task(account, row.get("customer"), row.get("caseTaskEvent"), "caseTaskEvent")


def settle_report(account: Account, row: Row) -> None:
    """Complete one report: numbers, currencies, amounts and total. Raises Refused (USER_ERROR)."""
    employee = account.find("employee", row["entity"])
    row["tranDate"] = row.get("tranDate") or account.today().isoformat()
    row["subsidiary"] = row.get("subsidiary") or employee.get("subsidiary")
    subsidiary = account.table("subsidiary").get(row["subsidiary"] or "") or {}
    row["expenseReportCurrency"] = row.get("expenseReportCurrency") or subsidiary.get("currency")
    row["tranId"] = row.get("tranId") or f"EXP{row['id']}"
    row["status"] = row.get("status") or "A"
    row["approvalStatus"] = EXPENSE_APPROVAL[row["status"]]
    for number, line in enumerate(row.get("expense") or []):
        _settle_line(account, row, line, f"expense.items[{number}]")
    row["total"] = sum((line["amount"] for line in row.get("expense") or []), Decimal(0))


def _settle_line(account: Account, report: Row, line: Row, path: str) -> None:
    if line.get("foreignAmount") is None and line.get("amount") is None:
        raise missing(f"{path}.foreignAmount")
    line["currency"] = line.get("currency") or report["expenseReportCurrency"]
    line["expenseDate"] = line.get("expenseDate") or report["tranDate"]
    line["isBillable"], line["receipt"] = bool(line.get("isBillable")), bool(line.get("receipt"))
    if line.get("exchangeRate") is None:
        line["exchangeRate"] = _rate(account, line["currency"], report["expenseReportCurrency"])
    if line.get("foreignAmount") is None:
        line["foreignAmount"] = account.rounded(line["amount"] / line["exchangeRate"], line["currency"])
    line["foreignAmount"] = account.rounded(line["foreignAmount"], line["currency"])
    line["amount"] = account.rounded(line["foreignAmount"] * line["exchangeRate"], report["expenseReportCurrency"])
    _refuse_strange_task(account, line.get("customer"), line.get("projectTask"), f"{path}.projectTask")


def _rate(account: Account, currency: str, into: str) -> Decimal:
    rates = [Decimal((account.table("currency").get(each) or {}).get("exchangeRate") or 1) for each in (currency, into)]
    return (rates[0] / rates[1]).quantize(Decimal("0.00000001"))


def _refuse_strange_task(account: Account, project: str | None, task: str | None, path: str) -> None:
    if task is not None and account.find("projectTask", task)["project"] != project:
        raise broken_rule("The task belongs to another project.", path)
