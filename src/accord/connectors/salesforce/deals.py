"""Opportunities as deals: one aggregate with its contract and statement of work, read by one query with child lists.

One statement sees the opportunity and its children at one moment, so a deal is never seen without milestones it has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from accord.connect.connector import Observed, Page, Watermark
from accord.connect.mapping import Mapping, choice, day, flag, key, link, money, nested, number, text, version
from accord.connect.mapping.relations import Nested
from accord.connect.observation import observed
from accord.connect.session import Session
from accord.connectors.salesforce.customers import is_true, modified_by
from accord.connectors.salesforce.flat import later
from accord.connectors.salesforce.naming import named
from accord.connectors.salesforce.soql import (
    Record,
    among,
    before,
    chunks,
    found_by,
    moment,
    opened,
    paged,
    rest_of,
    together,
)
from accord.model.deal import Deal
from accord.model.identity import canonical_id

_CONTRACT = (
    text("id", "Id", required=True),
    text("number", "ContractNumber"),
    choice("status", "Status", {"Draft": "draft", "In Approval Process": "in_approval", "Activated": "activated"}),
    choice("approval", "Approval_Status__c", {"Approved": "approved", "Pending": "pending", "Rejected": "rejected"}),
    day("signed_on", "CustomerSignedDate"),
    day("starts_on", "StartDate"),
    day("ends_on", "EndDate"),
    text("billing_terms", "Billing_Terms__c"),
)
_PHASE = (
    text("id", "Id", required=True),
    text("name", "Name", required=True),
    number("sequence", "Sequence__c", default=0),
    text("legal_entity", "Legal_Entity__c"),
    text("country", "Country_Code__c"),
    day("starts_on", "Start_Date__c"),
    day("ends_on", "End_Date__c"),
)
_MILESTONE = (
    text("id", "Id", required=True),
    text("name", "Name", required=True),
    money("amount", "Amount__c", currency_at="CurrencyIsoCode", required=True),
    day("planned_on", "Planned_Date__c"),
    text("legal_entity", "Legal_Entity__c"),
    text("phase_id", "Phase__c"),
    text("change_order", "Change_Order__c"),
    day("change_order_signed_on", "Change_Order_Signed__c"),
)
_SERVICE = (
    text("id", "Id", required=True),
    text("name", "Name", required=True),
    money("monthly", "Monthly_Amount__c", currency_at="CurrencyIsoCode", required=True),
    day("starts_on", "Start_Date__c", required=True),
    number("months", "Months__c", minimum=1, required=True),
    text("legal_entity", "Legal_Entity__c"),
    text("change_order", "Change_Order__c"),
    day("change_order_signed_on", "Change_Order_Signed__c"),
    day("change_order_from", "Change_Order_From__c"),
)
DEAL = Mapping(
    "salesforce.deal",
    "deal",
    "Opportunity",
    of=Deal,
    rows=(
        key("Id"),
        version("SystemModstamp"),
        text("number", "Legacy_Id__c"),
        text("name", "Name", required=True),
        text("stage", "StageName", required=True),
        flag("is_won", "IsWon", required=True),
        flag("is_closed", "IsClosed", required=True),
        link("customer_id", "AccountId", kind="customer"),
        money("amount", "Amount", currency_from="currency"),
        text("currency", "CurrencyIsoCode"),
        day("closes_on", "CloseDate"),
        nested("contract", "Contract", _CONTRACT),
        text("contract_type", "Contract_Type__c"),
        text("delivery_region", "Delivery_Region__c"),
        text("legal_entity", "Legal_Entity__c"),
        text("product_as_given", "Product_Name__c"),
        nested("phases", "SOW_Phases__r.records", _PHASE, many=True),
        nested("milestones", "SOW_Milestones__r.records", _MILESTONE, many=True),
        nested("services", "Managed_Services__r.records", _SERVICE, many=True),
        text("owner", "Owner.Name"),
    ),
)
_NEEDED = {
    "phases": ("name",),
    "milestones": ("name", "amount"),
    "services": ("name", "monthly", "starts_on", "months"),
}
_KINDS = {"phases": "phase", "milestones": "milestone", "services": "service"}
# Where children live, by their list on the opportunity; a firm's own names go into the settings (`children`).
CHILDREN = {
    "SOW_Phases__r": "SOW_Phase__c",
    "SOW_Milestones__r": "SOW_Milestone__c",
    "Managed_Services__r": "Managed_Service__c",
}
PARENT = "Opportunity__c"


def _children(session: Session) -> dict[str, str]:
    return {**CHILDREN, **(session.config.get("children") or {})}


def _select(session: Session) -> str:
    rows = named(session, DEAL).rows
    plain = [path for row in rows if not _is_list(row) for path in row.read_paths()]
    lists = [
        f"(SELECT {', '.join(dict.fromkeys((*_inside(row), 'SystemModstamp', 'IsDeleted')))} FROM {_list_name(row)})"
        for row in rows
        if isinstance(row, Nested) and row.many
    ]
    more = ("Contract.SystemModstamp", "IsDeleted", "LastModifiedBy.Name")
    return f"SELECT {', '.join(dict.fromkeys((*plain, *more)))}, {', '.join(lists)} FROM Opportunity"


def _is_list(row: Any) -> bool:
    return isinstance(row, Nested) and row.many


def _inside(row: Nested) -> list[str]:
    return [path for each in row.rows for path in each.read_paths()]


def _list_name(row: Any) -> str:
    return str(row.vendor.split(".")[0])


async def get(session: Session, ids: Sequence[str]) -> Sequence[Observed]:
    """Deals by opportunity id, deleted ones as tombstones; also by `Contract/<id>` and `<child object>/<id>`, as
    outbound messages name them. Ids nobody has are left out. Raises CallFailed."""
    by_object: dict[str, list[str]] = {}
    for each in ids:
        name, slash, vendor_id = each.rpartition("/")
        by_object.setdefault(name if slash else "Opportunity", []).append(vendor_id)
    which = [_which(name, part) for name, some in by_object.items() for part in chunks(some)]
    records = await found_by(session, [f"{_select(session)} WHERE {each}" for each in which])
    unique = {str(record["Id"]): record for record in records}
    return [await _read(session, record) for record in unique.values()]


def _which(name: str, ids: Sequence[str]) -> str:
    if name == "Opportunity":
        return among("Id", ids)
    if name == "Contract":
        return among("ContractId", ids)
    return f"Id IN (SELECT {PARENT} FROM {name} WHERE {among('Id', ids)})"


async def changed(session: Session, since: Watermark | None) -> AsyncIterator[Page]:
    """Deals whose opportunity, contract or statement of work changed since the watermark. Raises CallFailed.

    A poll is one call: opportunities, three child objects and contracts are asked for together. What only changed in
    its parts comes first and without a watermark, so that a poll that is cut short loses none of it.
    """
    if since is None:
        async for page in _pages(session, paged(session, _changed(session, None), deleted=True), None):
            yield page
        return
    start = before(since.at)
    main, *parts = await together(session, [_changed(session, start), *_touched(session, start)])
    latest = since
    lagging: list[str] = []
    for part in parts:
        async for records in rest_of(session, part):
            for record in records:
                latest = _part_seen(record, start, latest, lagging)
    if lagging:
        yield Page(tuple(await get(session, lagging)), None)
    async for page in _pages(session, rest_of(session, main), since):
        yield page
        since = page.watermark or since
    if latest.at > since.at:
        yield Page((), latest)


def _changed(session: Session, start: str | None) -> str:
    where = f" WHERE SystemModstamp >= {start}" if start else ""
    return f"{_select(session)}{where} ORDER BY SystemModstamp, Id"


def _touched(session: Session, start: str) -> list[str]:
    """Which opportunities have changed parts: child rows, deleted ones too, and contracts."""
    parent = f"{PARENT.removesuffix('__c')}__r.SystemModstamp"
    asked = [
        f"SELECT {PARENT}, {parent}, SystemModstamp FROM {name} WHERE SystemModstamp >= {start}"
        for name in _children(session).values()
    ]
    contracts = "SELECT Id, SystemModstamp, Contract.SystemModstamp FROM Opportunity"
    return [*asked, f"{contracts} WHERE Contract.SystemModstamp >= {start} AND SystemModstamp < {start}"]


def _part_seen(record: Record, start: str, latest: Watermark, lagging: list[str]) -> Watermark:
    """Note the opportunity of a changed part, unless the main query gives it anyway; the watermark it moves."""
    above = record.get(f"{PARENT.removesuffix('__c')}__r") or record.get("Contract") or {}
    is_contract = "Contract" in record
    opportunity = str(record["Id"] if is_contract else record[PARENT])
    at = moment(str(above["SystemModstamp"] if is_contract else record["SystemModstamp"]))
    parent_at = moment(str(record["SystemModstamp"] if is_contract else above.get("SystemModstamp") or ""))
    if parent_at < start:
        lagging.append(opportunity)
    return Watermark(at, opportunity) if at > latest.at else latest


async def _pages(
    session: Session, source: AsyncIterator[Sequence[Record]], mark: Watermark | None
) -> AsyncIterator[Page]:
    async for records in source:
        if records:
            mark = later(mark, records[-1])
        yield Page(tuple([await _read(session, record) for record in records]), mark)


async def _read(session: Session, record: Record) -> Observed:
    """One deal with its parts. Its version is the latest change of any part, deleted ones included."""
    whole = dict(record)
    stamps = [str(record["SystemModstamp"]), str((record.get("Contract") or {}).get("SystemModstamp") or "")]
    for name in _children(session):
        rows = await _all_children(session, record.get(name))
        stamps += [str(row["SystemModstamp"]) for row in rows]
        whole[name] = {"records": [row for row in rows if not row.get("IsDeleted")]} if name in record else None
    seen = observed(named(session, DEAL), whole, version=max(map(moment, stamps)))
    body = _body(session, seen)
    return replace(seen, body=body, deleted=is_true(record.get("IsDeleted")), modified_by=modified_by(record))


async def _all_children(session: Session, listed: Any) -> list[Record]:
    """The rows of a child list; a long one has pages of its own."""
    if not listed:
        return []
    if opened(listed)[1] is None:
        return list(listed["records"])
    return [row async for page in rest_of(session, listed) for row in page]


def _body(session: Session, seen: Observed) -> dict[str, Any]:
    """The canonical body: parts under our ids, parts that lack what they need left out and listed as unreadable."""
    body = {"number": seen.vendor_id, **seen.body}
    contract = body.get("contract")
    if contract is not None:
        body["contract"] = {**contract, "id": canonical_id("contract", session.connection, contract["id"])}
    for name, needed in _NEEDED.items():
        rows = [row for row in body.get(name, ()) if all(row.get(each) is not None for each in needed)]
        body[name] = [_with_our_ids(session, _KINDS[name], row) for row in rows]
    body["phases"] = sorted(body["phases"], key=lambda row: (row["sequence"], row["name"]))
    if seen.problems:
        body["unreadable"] = list(seen.problems)
    return body


def _with_our_ids(session: Session, kind: str, row: Any) -> dict[str, Any]:
    ours = {**row, "id": canonical_id(kind, session.connection, row["id"])}
    if row.get("phase_id"):
        ours["phase_id"] = canonical_id("phase", session.connection, row["phase_id"])
    return ours
