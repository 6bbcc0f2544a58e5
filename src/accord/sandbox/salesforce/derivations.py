"""What the platform sets by itself: the state of an opportunity from its stage, names, numbers, activation."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from accord.sandbox.salesforce.org import Org
from accord.sandbox.salesforce.refusals import Refused
from accord.sandbox.salesforce.schema import Row, SObject

# Standard stages of a new org: name, closed, won, forecast category, probability.
STAGES = (
    ("Prospecting", False, False, "Pipeline", 10),
    ("Qualification", False, False, "Pipeline", 10),
    ("Needs Analysis", False, False, "Pipeline", 20),
    ("Value Proposition", False, False, "Pipeline", 50),
    ("Id. Decision Makers", False, False, "Pipeline", 60),
    ("Perception Analysis", False, False, "Pipeline", 70),
    ("Proposal/Price Quote", False, False, "Pipeline", 75),
    ("Negotiation/Review", False, False, "Pipeline", 90),
    ("Closed Won", True, True, "Closed", 100),
    ("Closed Lost", True, False, "Omitted", 0),
)
_STATUS_CODES = {"Draft": "Draft", "In Approval Process": "InApproval", "Activated": "Activated"}


def derive(org: Org, sobject: SObject, changes: Row, row: Row) -> Row:
    """The further changes that follow from `changes` to `row` (empty for a new record). Raises Refused."""
    rule = _RULES.get(sobject.name)
    return rule(org, changes, row) if rule else {}


def _opportunity(org: Org, changes: Row, row: Row) -> Row:
    """IsClosed, IsWon, forecast and (unless given) probability come from the stage; a stage nobody set up is open."""
    if "StageName" not in changes:
        return {}
    stage = next(iter(org.table("OpportunityStage").by("ApiName", changes["StageName"])), None)
    if stage is None:
        return {"IsClosed": False, "IsWon": False}
    derived = {name: stage[name] for name in ("IsClosed", "IsWon", "ForecastCategory", "ForecastCategoryName")}
    if "Probability" not in changes:
        derived["Probability"] = Decimal(stage["DefaultProbability"])
    return {name: value for name, value in derived.items() if row.get(name) != value}


def _contract(org: Org, changes: Row, row: Row) -> Row:
    """A contract is made as a draft, activated once, and never goes back."""
    derived: Row = {}
    if not row:
        derived["ContractNumber"] = f"{len(org.table('Contract').rows) + 100:08d}"
    code = _STATUS_CODES[changes.get("Status") or row.get("Status") or "Draft"]
    if code == row.get("StatusCode"):
        return derived
    if code == "Activated":
        if not row:
            words = "Choose a valid contract status and save your changes. Ask your admin for details."
            raise Refused("FAILED_ACTIVATION", words, ["Status"])
        derived |= {"ActivatedDate": org.moment()}
    elif row.get("StatusCode") == "Activated":
        raise Refused("FIELD_INTEGRITY_EXCEPTION", "An activated contract cannot go back to a draft", ["Status"])
    return {**derived, "StatusCode": code}


def _person(_org: Org, changes: Row, row: Row) -> Row:
    if not changes.keys() & {"FirstName", "LastName"}:
        return {}
    both = {**row, **changes}
    return {"Name": " ".join(filter(None, (both.get("FirstName"), both.get("LastName"))))}


def _task(_org: Org, changes: Row, row: Row) -> Row:
    closed = (changes.get("Status") or row.get("Status")) == "Completed"
    return {"IsClosed": closed} if closed != row.get("IsClosed") else {}


def _named_by_number(_org: Org, changes: Row, row: Row) -> Row:
    """A custom object without a name is called by its number, as an auto-number name would."""
    if row or changes.get("Name"):
        return {}
    return {"Name": f"#{_org.random.randrange(10**6):06d}"}


_RULES: dict[str, Callable[[Org, Row, Row], Row]] = {
    "Opportunity": _opportunity,
    "Contract": _contract,
    "Contact": _person,
    "User": _person,
    "Task": _task,
    **dict.fromkeys(("SOW_Phase__c", "SOW_Milestone__c", "Managed_Service__c", "Invoice__c"), _named_by_number),
    **dict.fromkeys(("Time_Entry__c", "Expense__c"), _named_by_number),
}
