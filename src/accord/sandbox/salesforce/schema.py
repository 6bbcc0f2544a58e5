"""The objects of the org and their fields: data that the admin may change while the simulator runs (schema drift).

Standard fields as in vendors.md 1.8, custom ones as the demo firm has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from accord.sandbox.salesforce.fields import Field
from accord.sandbox.salesforce.refusals import Refused

Row = dict[str, Any]


@dataclass(slots=True)
class SObject:
    """One object: its key prefix, its fields by name, and the child lists other objects give it."""

    name: str
    prefix: str
    label: str
    plural: str
    fields: dict[str, Field] = field(default_factory=dict)
    parents: dict[str, Field] = field(default_factory=dict)  # relationship name, lower case -> reference field
    children: dict[str, tuple[str, str]] = field(default_factory=dict)  # list name, lower case -> (object, field)
    readonly: bool = False
    _lower: dict[str, Field] = field(default_factory=dict)

    def add(self, new: Field) -> None:
        new = new if new.label else replace(new, label=_label(new))
        self.fields[new.name] = new
        self._lower[new.name.lower()] = new
        if new.relationship:
            self.parents[new.relationship.lower()] = new

    def drop(self, name: str) -> Field:
        gone = self.fields.pop(name)
        del self._lower[name.lower()]
        if gone.relationship:
            del self.parents[gone.relationship.lower()]
        return gone

    def find(self, name: str) -> Field | None:
        """Field names are not case-sensitive."""
        return self.fields.get(name) or self._lower.get(name.lower())

    @property
    def required(self) -> list[Field]:
        return [each for each in self.fields.values() if each.required]


class Schema:
    """Every object by name and by key prefix."""

    def __init__(self, objects: Iterable[SObject]) -> None:
        self.objects: dict[str, SObject] = {}
        self._lower: dict[str, SObject] = {}
        self.by_prefix: dict[str, SObject] = {}
        for each in objects:
            self.objects[each.name] = each
            self._lower[each.name.lower()] = each
            self.by_prefix[each.prefix] = each
        for each in self.objects.values():
            for one in each.fields.values():
                self._adopt(each, one)

    def find(self, name: str) -> SObject | None:
        return self.objects.get(name) or self._lower.get(name.lower())

    def resource(self, name: str) -> SObject:
        """The object a path names. Raises Refused: 404."""
        found = self.find(name)
        if found is None:
            raise Refused("NOT_FOUND", "The requested resource does not exist", status=404)
        return found

    def add_field(self, object_name: str, new: Field) -> None:
        """Raises ValueError for an object that is not there or a field that is."""
        sobject = self._known(object_name)
        if sobject.find(new.name):
            raise ValueError(f"{object_name} has a field {new.name} already")
        sobject.add(new)
        self._adopt(sobject, sobject.fields[new.name])

    def rename_field(self, object_name: str, old: str, new: str) -> None:
        """Raises ValueError for a field that is not there or a name that is taken."""
        sobject = self._known(object_name)
        if sobject.find(old) is None or sobject.find(new) is not None:
            raise ValueError(f"{object_name}.{old} cannot be renamed to {new}")
        order = list(sobject.fields)
        sobject.add(replace(sobject.drop(old), name=new))
        sobject.fields = {name: sobject.fields[name] for name in (new if n == old else n for n in order)}
        for each in self.objects.values():
            for child, (owner, name) in each.children.items():
                if (owner, name) == (object_name, old):
                    each.children[child] = (owner, new)

    def _known(self, name: str) -> SObject:
        found = self.find(name)
        if found is None:
            raise ValueError(f"there is no object {name!r}")
        return found

    def _adopt(self, child: SObject, reference: Field) -> None:
        if reference.children:
            for parent in reference.refers_to:
                self.objects[parent].children[reference.children.lower()] = (child.name, reference.name)


def _label(new: Field) -> str:
    name = new.name.removesuffix("__c").replace("_", " ")
    return name.removesuffix("Id") + " ID" if name.endswith("Id") and len(name) > 2 else name


_READ: Mapping[str, Any] = {"createable": False, "updateable": False}


def _system(*, owned: bool) -> list[Field]:
    """The fields every object has."""
    user = {"refers_to": ("User",), **_READ}
    owner = [Field("OwnerId", "reference", refers_to=("User",), relationship="Owner")] if owned else []
    return [
        *owner,
        Field("IsDeleted", "boolean", default=False, **_READ),
        Field("CreatedDate", "datetime", **_READ),
        Field("CreatedById", "reference", relationship="CreatedBy", **user),
        Field("LastModifiedDate", "datetime", **_READ),
        Field("LastModifiedById", "reference", relationship="LastModifiedBy", **user),
        Field("SystemModstamp", "datetime", **_READ),
    ]


def _object(
    name: str, prefix: str, *fields: Field, plural: str = "", owned: bool = True, readonly: bool = False
) -> SObject:
    label = name.removesuffix("__c").replace("_", " ")
    made = SObject(name, prefix, label, plural or f"{label}s", readonly=readonly)
    for each in (Field("Id", "id", label=f"{label} ID", **_READ), *fields, *_system(owned=owned)):
        made.add(each)
    return made


def _name(*, required: bool = True, length: int = 80, **more: Any) -> Field:
    return Field("Name", "string", required=required, length=length, **more)


def _key(name: str) -> Field:
    return Field(name, "string", length=80, external_id=True, unique=True)


def _lookup(name: str, to: str, relationship: str, children: str | None = None, **more: Any) -> Field:
    return Field(name, "reference", refers_to=(to,), relationship=relationship, children=children, **more)


def _money(name: str) -> Field:
    return Field(name, "currency")


_CURRENCIES = ("USD", "EUR", "JPY", "GBP", "CHF", "CAD", "AUD", "KWD")
_CURRENCY = Field("CurrencyIsoCode", "picklist", length=3, values=_CURRENCIES, restricted=True, default="USD")
_ENTITY = Field("Legal_Entity__c", "string", length=40)


def _account() -> SObject:
    address = [
        Field(f"{kind}{part}", "string", length=size)
        for kind in ("Billing", "Shipping")
        for part, size in (("Street", 255), ("City", 40), ("State", 80), ("PostalCode", 20), ("Country", 80))
    ]
    return _object(
        "Account", "001",
        _name(length=255, indexed=True),
        _lookup("ParentId", "Account", "Parent", "ChildAccounts"),
        _lookup("MasterRecordId", "Account", "MasterRecord", **_READ),
        Field("Type", "picklist", values=("Prospect", "Customer - Direct", "Customer - Channel", "Other")),
        Field("Industry", "picklist", values=("Technology", "Finance", "Healthcare", "Retail", "Other")),
        *address,
        Field("BillingCountryCode", "picklist", length=10),
        Field("Phone", "phone", length=40),
        Field("Website", "url"),
        Field("AnnualRevenue", "currency", scale=0),
        Field("NumberOfEmployees", "int", precision=8),
        Field("Description", "textarea", length=32000),
        _CURRENCY,
        _key("Accord_Customer__c"),
        _key("Legacy_Id__c"),
        Field("Tax_Registration__c", "string", length=40),
        Field("Payment_Terms_Days__c", "double", precision=5, scale=0),
        _money("AR_Balance__c"),
        Field("Payment_Status__c", "string", length=40),
        Field("Accord_Status__c", "string", length=80),
    )  # fmt: skip


def _contract() -> SObject:
    return _object(
        "Contract", "800",
        _lookup("AccountId", "Account", "Account", "Contracts", required=True, cascade=True),
        Field("Status", "picklist", values=("Draft", "In Approval Process", "Activated"), restricted=True,
              default="Draft"),
        Field("StatusCode", "picklist", values=("Draft", "InApproval", "Activated"), **_READ),
        Field("StartDate", "date"),
        Field("EndDate", "date"),
        Field("ContractTerm", "int", precision=4),
        Field("ContractNumber", "string", length=30, unique=True, **_READ),
        _lookup("CustomerSignedId", "Contact", "CustomerSigned"),
        Field("CustomerSignedDate", "date"),
        Field("ActivatedDate", "datetime", **_READ),
        _lookup("ActivatedById", "User", "ActivatedBy", **_READ),
        Field("SpecialTerms", "textarea", length=4000),
        Field("Description", "textarea", length=32000),
        _CURRENCY,
        _key("Legacy_Id__c"),
        Field("Billing_Terms__c", "string", length=40),
        Field("Approval_Status__c", "picklist", values=("Approved", "Pending", "Rejected"), restricted=True),
        _money("Cap_Amount__c"),
    )  # fmt: skip


def _opportunity() -> SObject:
    regions = ("AMER", "EMEA", "APAC")
    kinds = ("fixed_fee", "managed_service", "mixed", "time_material")
    return _object(
        "Opportunity", "006",
        _name(length=120),
        _lookup("AccountId", "Account", "Account", "Opportunities", cascade=True),
        _lookup("ContractId", "Contract", "Contract", "Opportunities"),
        Field("StageName", "picklist", required=True),
        Field("CloseDate", "date", required=True),
        Field("Amount", "currency"),
        Field("Probability", "percent", precision=3, scale=0),
        Field("IsClosed", "boolean", default=False, **_READ),
        Field("IsWon", "boolean", default=False, **_READ),
        Field("Type", "picklist", values=("Existing Business", "New Business")),
        Field("LeadSource", "picklist", values=("Web", "Phone Inquiry", "Partner", "Other")),
        Field("NextStep", "string"),
        Field("ForecastCategory", "picklist", **_READ),
        Field("ForecastCategoryName", "picklist"),
        Field("Description", "textarea", length=32000),
        _CURRENCY,
        _key("Accord_Engagement__c"),
        _key("Legacy_Id__c"),
        Field("Contract_Type__c", "picklist", values=kinds, restricted=True),
        Field("Delivery_Region__c", "picklist", values=regions, restricted=True),
        _ENTITY,
        Field("Product_Name__c", "string"),
        Field("Project_Number__c", "string", length=40),
        Field("Project_Status__c", "string", length=40),
        Field("Payment_Status__c", "string", length=40),
        _money("Billed_Amount__c"),
        _money("Paid_Amount__c"),
        Field("Accord_Status__c", "string", length=80),
        plural="Opportunities",
    )  # fmt: skip


def _statement_of_work() -> list[SObject]:
    def deal(children: str) -> Field:
        return _lookup("Opportunity__c", "Opportunity", "Opportunity__r", children, required=True, cascade=True)

    phase = _object(
        "SOW_Phase__c", "a00",
        _name(required=False),
        deal("SOW_Phases__r"),
        Field("Sequence__c", "double", precision=4, scale=0),
        Field("Country_Code__c", "string", length=2),
        _ENTITY,
        Field("Start_Date__c", "date"),
        Field("End_Date__c", "date"),
        _CURRENCY,
    )  # fmt: skip
    milestone = _object(
        "SOW_Milestone__c", "a01",
        _name(required=False),
        deal("SOW_Milestones__r"),
        _lookup("Phase__c", "SOW_Phase__c", "Phase__r", "SOW_Milestones__r"),
        _money("Amount__c"),
        _CURRENCY,
        Field("Planned_Date__c", "date"),
        _ENTITY,
        Field("Change_Order__c", "string", length=80),
        Field("Change_Order_Signed__c", "date"),
    )  # fmt: skip
    service = _object(
        "Managed_Service__c", "a02",
        _name(required=False),
        deal("Managed_Services__r"),
        _money("Monthly_Amount__c"),
        _CURRENCY,
        Field("Start_Date__c", "date"),
        Field("Months__c", "double", precision=3, scale=0),
        _ENTITY,
        Field("Change_Order__c", "string", length=80),
        Field("Change_Order_Signed__c", "date"),
        Field("Change_Order_From__c", "date"),
    )  # fmt: skip
    return [phase, milestone, service]


def _written_back() -> list[SObject]:
    invoice = _object(
        "Invoice__c", "a03",
        _name(required=False),
        _key("Accord_Invoice__c"),
        _lookup("Opportunity__c", "Opportunity", "Opportunity__r", "Invoices__r"),
        _lookup("Account__c", "Account", "Account__r", "Invoices__r"),
        Field("Number__c", "string", length=80),
        _ENTITY,
        _CURRENCY,
        _money("Net__c"),
        _money("Tax__c"),
        _money("Gross__c"),
        _money("Paid__c"),
        Field("Status__c", "string", length=40),
        Field("Due_Date__c", "date"),
        Field("Disputed__c", "boolean", default=False),
    )  # fmt: skip
    task = _object(
        "Task", "00T",
        _key("Accord_Notice__c"),
        Field("WhatId", "reference", refers_to=("Account", "Opportunity", "Contract"), relationship="What",
              children="Tasks"),
        _lookup("WhoId", "Contact", "Who", "Tasks"),
        Field("Subject", "string"),
        Field("Description", "textarea", length=32000),
        Field("Priority", "picklist", values=("High", "Normal", "Low"), default="Normal"),
        Field("Status", "picklist", default="Not Started",
              values=("Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred")),
        Field("ActivityDate", "date"),
        Field("IsClosed", "boolean", default=False, **_READ),
    )  # fmt: skip
    return [invoice, task]


def _work() -> list[SObject]:
    """Time and expenses as a firm keeps them in custom objects of its own."""

    def shared(children: str) -> list[Field]:
        return [
            _name(required=False),
            _lookup("Opportunity__c", "Opportunity", "Opportunity__r", children),
            _ENTITY,
            Field("Project__c", "string", length=80),
            _lookup("Worker__c", "User", "Worker__r"),
            Field("Worker_Entity__c", "string", length=40),
            Field("Task__c", "string", length=80),
            Field("Work_Date__c", "date"),
            Field("Billable__c", "boolean", default=True),
            Field("Status__c", "picklist", restricted=True, default="Draft",
                  values=("Draft", "Submitted", "Approved", "Rejected", "Recalled")),
            Field("Submitted_At__c", "datetime"),
            _lookup("Approved_By__c", "User", "Approved_By__r"),
            Field("Approved_At__c", "datetime"),
            Field("Notes__c", "textarea", length=4000),
        ]  # fmt: skip

    time = _object(
        "Time_Entry__c", "a04", *shared("Time_Entries__r"),
        Field("Role__c", "string", length=80),
        Field("Hours__c", "double", precision=8, scale=2),
        plural="Time Entries",
    )  # fmt: skip
    expense = _object(
        "Expense__c", "a05", *shared("Expenses__r"),
        Field("Category__c", "string", length=80),
        _money("Amount__c"),
        _money("Tax_Included__c"),
        _CURRENCY,
        Field("Receipt__c", "url"),
    )  # fmt: skip
    return [time, expense]


def _people() -> list[SObject]:
    contact = _object(
        "Contact", "003",
        _lookup("AccountId", "Account", "Account", "Contacts", cascade=True),
        Field("FirstName", "string", length=40),
        Field("LastName", "string", length=80, required=True),
        Field("Name", "string", length=121, **_READ),
        Field("Email", "email", length=80, indexed=True),
        Field("Phone", "phone", length=40),
        Field("Title", "string", length=128),
        _CURRENCY,
    )  # fmt: skip
    user = _object(
        "User", "005",
        Field("Username", "string", length=80, required=True, unique=True),
        Field("FirstName", "string", length=40),
        Field("LastName", "string", length=80, required=True),
        Field("Name", "string", length=121, indexed=True, **_READ),
        Field("Alias", "string", length=8),
        Field("Email", "email", length=80, required=True),
        Field("IsActive", "boolean", default=True),
        Field("UserType", "picklist", default="Standard", **_READ),
        Field("Division", "string", length=80),
        _lookup("ManagerId", "User", "Manager"),
        owned=False,
    )  # fmt: skip
    return [contact, user]


def _settings() -> list[SObject]:
    organization = _object(
        "Organization", "00D",
        _name(),
        Field("IsSandbox", "boolean", default=True, **_READ),
        Field("InstanceName", "string", **_READ),
        Field("OrganizationType", "picklist", **_READ),
        owned=False, readonly=True,
    )  # fmt: skip
    stage = _object(
        "OpportunityStage", "01J",
        Field("MasterLabel", "string"),
        Field("ApiName", "string", indexed=True),
        Field("IsActive", "boolean", default=True),
        Field("SortOrder", "int"),
        Field("IsClosed", "boolean", default=False),
        Field("IsWon", "boolean", default=False),
        Field("ForecastCategory", "picklist"),
        Field("ForecastCategoryName", "picklist"),
        Field("DefaultProbability", "percent", precision=3, scale=0),
        owned=False, readonly=True,
    )  # fmt: skip
    currency = _object(
        "CurrencyType", "01L",
        Field("IsoCode", "string", length=3, indexed=True),
        Field("ConversionRate", "double", scale=6),
        Field("DecimalPlaces", "int"),
        Field("IsActive", "boolean", default=True),
        Field("IsCorporate", "boolean", default=False),
        owned=False, readonly=True,
    )  # fmt: skip
    return [organization, stage, currency]


def standard_schema() -> Schema:
    """A fresh schema of the demo firm's org, to be changed freely."""
    sales = [_account(), _contract(), _opportunity()]
    return Schema([*_settings(), *_people(), *sales, *_statement_of_work(), *_written_back(), *_work()])
