"""The record types of the account, as data: fields, sublists, how they are named and where SuiteQL keeps them.

Names follow the REST record browser 2026.1 (vendors.md 2.6); the `cust...` fields are the firm's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from accord.sandbox.netsuite.fields import Field, choice, day, duration, flag, money, number, ref, text, whole


@dataclass(frozen=True, slots=True)
class Sublist:
    """Lines of a record. `key` names the field lines are matched by; a sublist without one only ever grows by PATCH."""

    fields: Mapping[str, Field]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class RecordType:
    """One record type. `family` shares a counter of ids; `title` is the field shown as refName; `unique` must not occur
    twice in the family; `indexes` are fields looked up by value; `code` is the transaction type in SuiteQL."""

    name: str
    label: str
    fields: Mapping[str, Field]
    title: str
    sublists: Mapping[str, Sublist] = field(default_factory=dict)
    family: str = ""
    unique: str = ""
    indexes: tuple[str, ...] = ()
    table: str = ""
    code: str = ""


_NAMED = {"isInactive": flag()}
_TRANSACTION = {
    "tranId": text(), "tranDate": day(), "subsidiary": ref("subsidiary", column="-"), "currency": ref("currency"),
    "exchangeRate": number(), "postingPeriod": ref("accountingPeriod"), "memo": text(), "otherRefNum": text(),
    "custbody_accord_billing_id": text(),
}  # fmt: skip
_LINES = Sublist(
    {
        "line": whole(), "item": ref("serviceSaleItem", required=True), "description": text(), "quantity": number(),
        "rate": money(), "amount": money(), "taxAmount": money(), "custcol_accord_item": text(),
        "custcol_service_from": day(), "custcol_service_to": day(),
    },
    key="line",
)  # fmt: skip
_APPLY = Sublist({"doc": ref("invoice", required=True), "apply": flag(), "amount": money()}, key="doc")

CUSTOMER = RecordType(
    "customer", "Customer",
    {
        "entityId": text(), "companyName": text(), "isPerson": flag(), "firstName": text(), "lastName": text(),
        "email": text(), "phone": text(), "subsidiary": ref("subsidiary", required=True), "currency": ref("currency"),
        "terms": ref("term"), "parent": ref("customer"), "salesRep": ref("employee"), "category": text(),
        "comments": text(), "defaultTaxReg": text(), "vatRegNumber": text(), "creditLimit": money(),
        "creditHoldOverride": choice(AUTO="Auto", ON="On", OFF="Off"),
        "balance": money(computed=True), "overdueBalance": money(computed=True), **_NAMED,
    },
    title="entityId", family="entity", unique="entityId", table="customer",
    sublists={
        "addressBook": Sublist({"label": text(), "defaultBilling": flag(), "addr1": text(), "city": text(),
                                "country": text()}),
        "taxRegistration": Sublist({"nexusCountry": text(), "taxRegistrationNumber": text()}),
        "currencyList": Sublist({"currency": ref("currency", required=True)}, key="currency"),
    },
)  # fmt: skip
RELATIONSHIP = RecordType(
    "customerSubsidiaryRelationship", "Customer-Subsidiary Relationship",
    {"entity": ref("customer", required=True), "subsidiary": ref("subsidiary", required=True),
     "isPrimarySub": flag(), "primaryCurrency": ref("currency"), **_NAMED},
    title="id", indexes=("entity",), table="customersubsidiaryrelationship",
)  # fmt: skip
JOB = RecordType(
    "job", "Project",
    {
        "entityId": text(), "companyName": text(required=True), "parent": ref("customer", required=True),
        "subsidiary": ref("subsidiary"), "currency": ref("currency"), "startDate": day(), "projectedEndDate": day(),
        "endDate": day(), "comments": text(), "projectManager": ref("employee"), "jobPrice": money(),
        "entityStatus": choice(**{"1": "Closed", "2": "In Progress", "3": "Not Awarded", "4": "Pending",
                                  "5": "Awarded"}),
        "jobBillingType": choice(**{"1": "Time and Materials", "2": "Fixed Bid, Interval",
                                    "3": "Fixed Bid, Milestone", "4": "Charge-Based", "5": "Not Billed"}),
        "custentity_accord_engagement": text(), "custentity_delivery_region": text(), **_NAMED,
    },
    title="entityId", family="entity", unique="entityId", indexes=("parent",), table="job",
)  # fmt: skip
PROJECT_TASK = RecordType(
    "projectTask", "Project Task",
    {
        "project": ref("job", required=True), "parent": ref("projectTask"), "title": text(required=True),
        "status": choice(NOTSTART="Not Started", PROGRESS="In Progress", COMPLETE="Completed"),
        "startDateTime": Field("instant"), "startDate": day(), "endDate": day(), "estimatedWork": number(),
        "nonBillableTask": flag(), "message": text(),
        "constraintType": choice(ASAP="As Soon As Possible", FIXEDSTART="Fixed Start"),
        "custevent_accord_milestone": text(), "custevent_milestone_amount": money(),
        "custevent_milestone_currency": text(), "custevent_milestone_approved": flag(),
        "custevent_milestone_approved_on": day(), "custevent_milestone_approved_by": text(), **_NAMED,
    },
    title="title", indexes=("project", "custevent_accord_milestone"), table="projecttask",
    sublists={"assignee": Sublist({"resource": ref("employee", required=True), "estimatedWork": number(),
                                   "unitPrice": money()}, key="resource")},
)  # fmt: skip
INVOICE = RecordType(
    "invoice", "Invoice",
    {
        **_TRANSACTION, "entity": ref("customer", required=True), "job": ref("job"), "terms": ref("term"),
        "dueDate": day(),
        "status": choice(open="Open", paidInFull="Paid In Full"), "total": money(column="foreigntotal"),
        "subtotal": money(computed=True), "taxTotal": money(column="taxtotal"),
        "amountPaid": money(column="foreignamountpaid"), "amountRemaining": money(column="foreignamountunpaid"),
        "custbody_accord_hold": flag(), "custbody_accord_hold_reason": text(),
        "custbody_accord_disputed": money(),
    },
    title="tranId", family="transaction", indexes=("entity",), table="transaction", code="CustInvc",
    sublists={"item": _LINES},
)  # fmt: skip
CUSTOMER_PAYMENT = RecordType(
    "customerPayment", "Payment",
    {
        **_TRANSACTION, "customer": ref("customer", required=True, column="entity"),
        "payment": money(column="foreigntotal"), "checkNumber": text(), "autoApply": flag(),
        "status": choice(deposited="Deposited", unapproved="Unapproved"), "applied": money(computed=True),
        "unapplied": money(computed=True), "total": money(computed=True), "custbody_accord_bank_fee": money(),
    },
    title="tranId", family="transaction", indexes=("customer",), table="transaction", code="CustPymt",
    sublists={"apply": _APPLY},
)  # fmt: skip
CREDIT_MEMO = RecordType(
    "creditMemo", "Credit Memo",
    {
        **_TRANSACTION, "entity": ref("customer", required=True), "job": ref("job"),
        "status": choice(open="Open", fullyApplied="Fully Applied"), "total": money(column="foreigntotal"),
        "applied": money(computed=True), "unapplied": money(computed=True), "taxTotal": money(column="taxtotal"),
        "subtotal": money(computed=True),
    },
    title="tranId", family="transaction", indexes=("entity",), table="transaction", code="CustCred",
    sublists={"item": _LINES, "apply": _APPLY},
)  # fmt: skip
_REFUNDED = Sublist(
    {"doc": ref("customerPayment|creditMemo", required=True), "apply": flag(), "amount": money()}, key="doc"
)
CUSTOMER_REFUND = RecordType(
    "customerRefund", "Customer Refund",
    {
        **_TRANSACTION, "customer": ref("customer", required=True, column="entity"),
        "total": money(column="foreigntotal"), "paymentMethod": text(), "status": choice(paid="Paid"),
    },
    title="tranId", family="transaction", indexes=("customer",), table="transaction", code="CustRfnd",
    sublists={"apply": _REFUNDED},
)  # fmt: skip
SERVICE_ITEM = RecordType(
    "serviceSaleItem", "Service Item",
    {"itemId": text(required=True), "displayName": text(), "description": text(), **_NAMED},
    title="itemId", unique="itemId", family="item", table="item",
)  # fmt: skip
SUBSIDIARY = RecordType(
    "subsidiary", "Subsidiary",
    {"name": text(required=True), "legalName": text(), "country": text(), "currency": ref("currency"),
     "parent": ref("subsidiary"), "isElimination": flag(), **_NAMED},
    title="name", table="subsidiary",
)  # fmt: skip
CURRENCY = RecordType(
    "currency", "Currency",
    {"name": text(required=True), "symbol": text(), "currencyPrecision": whole(), "exchangeRate": number(), **_NAMED},
    title="name", indexes=("symbol",), table="currency",
)  # fmt: skip
TERM = RecordType(
    "term", "Term", {"name": text(required=True), "daysUntilNetDue": whole(), **_NAMED}, title="name", table="term",
)  # fmt: skip
PERIOD = RecordType(
    "accountingPeriod", "Accounting Period",
    {"periodName": text(), "startDate": day(), "endDate": day(), "closed": flag(), "arLocked": flag()},
    title="periodName", table="accountingperiod", indexes=("startDate",),
)  # fmt: skip
EMPLOYEE = RecordType(
    "employee", "Employee",
    {"entityId": text(), "firstName": text(), "lastName": text(), "email": text(), "subsidiary": ref("subsidiary"),
     "supervisor": ref("employee"), **_NAMED},
    title="entityId", family="entity", unique="entityId", table="employee",
)  # fmt: skip
BILLING_CLASS = RecordType(
    "billingClass", "Billing Class", {"name": text(required=True), **_NAMED}, title="name", table="billingclass",
)  # fmt: skip
EXPENSE_CATEGORY = RecordType(
    "expenseCategory", "Expense Category", {"name": text(required=True), "description": text(), **_NAMED},
    title="name", table="expensecategory",
)  # fmt: skip
# The customer of time is the customer, or rather the project; how the approver is kept is the firm's own.
TIME_BILL = RecordType(
    "timeBill", "Time",
    {
        "employee": ref("employee", required=True), "customer": ref("job|customer"),
        "caseTaskEvent": ref("projectTask"), "item": ref("serviceSaleItem"), "billingClass": ref("billingClass"),
        "tranDate": day(), "hours": duration(required=True), "rate": money(), "isBillable": flag(),
        "isProductive": flag(), "isUtilized": flag(), "supervisorApproval": flag(), "rejectionNote": text(),
        "approvalStatus": choice(**{"1": "Open", "2": "Pending Approval", "3": "Approved", "4": "Rejected"}),
        "posted": flag(), "timeType": choice(A="Actual Time", P="Planned Time", B="Allocated Time"), "memo": text(),
        "subsidiary": ref("subsidiary"), "custcol_accord_approved_by": text(),
        "custcol_accord_approved_at": Field("instant"),
    },
    title="id", indexes=("employee",), table="timebill",
)  # fmt: skip
EXPENSE_REPORT = RecordType(
    "expenseReport", "Expense Report",
    {
        "tranId": text(), "entity": ref("employee", required=True), "tranDate": day(), "memo": text(),
        "subsidiary": ref("subsidiary", column="-"), "expenseReportCurrency": ref("currency", column="currency"),
        "approvalStatus": choice(**{"1": "Pending Approval", "2": "Approved", "3": "Rejected"}),
        "status": choice(
            A="In Progress", B="Pending Supervisor Approval", C="Pending Accounting Approval",
            D="Rejected by Supervisor", E="Rejected by Accounting", F="Approved by Accounting",
            G="Approved (Overridden) by Accounting", H="Rejected (Overridden) by Accounting", I="Paid In Full",
            J="Payment In-Transit", V="Voided",
        ),
        "nextApprover": ref("employee"), "total": money(column="foreigntotal"),
        "custbody_accord_approved_by": text(), "custbody_accord_approved_at": Field("instant"),
    },
    title="tranId", family="transaction", indexes=("entity",), table="transaction", code="ExpRept",
    sublists={
        "expense": Sublist(
            {
                "line": whole(), "category": ref("expenseCategory"), "customer": ref("job|customer"),
                "projectTask": ref("projectTask"), "expenseDate": day(), "foreignAmount": money(),
                "currency": ref("currency"), "exchangeRate": number(), "amount": money(), "taxAmount": money(),
                "isBillable": flag(), "receipt": flag(), "taxCode": text(), "memo": text(),
            },
            key="line",
        ),
    },
)  # fmt: skip

TYPES: Mapping[str, RecordType] = {
    each.name: each
    for each in (
        SUBSIDIARY, CURRENCY, TERM, PERIOD, BILLING_CLASS, EXPENSE_CATEGORY, EMPLOYEE, SERVICE_ITEM, CUSTOMER,
        RELATIONSHIP, JOB, PROJECT_TASK, TIME_BILL, EXPENSE_REPORT, INVOICE, CUSTOMER_PAYMENT, CREDIT_MEMO,
        CUSTOMER_REFUND,
    )
}  # fmt: skip
SETUP = frozenset({"subsidiary", "currency", "term", "accountingPeriod"})  # the integration's role may only view them
POSTING = frozenset({"invoice", "customerPayment", "creditMemo", "customerRefund"})
