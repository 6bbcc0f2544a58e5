"""One table, both directions: every problem of a record at once, nothing lost, nothing raised."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from accord.connect import laws
from accord.connect.mapping import (
    Mapping,
    MappingHistory,
    MappingInvalid,
    Row,
    Unfit,
    choice,
    coded,
    const,
    day,
    decimal,
    flag,
    instant,
    key,
    link,
    money,
    nested,
    number,
    own,
    text,
    version,
)
from accord.connect.observation import observed
from accord.model.customer import Customer
from accord.model.plain import to_plain


def to_net(terms: Any) -> str:
    if terms not in (0, 30, 60):
        raise Unfit(f"{terms} days are no terms of ours")
    return f"NET{terms}"


INVOICE = Mapping(
    "toy.invoice",
    "invoice",
    "Bill",
    rows=(
        key("Id"),
        version("Changed"),
        own("Ref"),
        link("customer_id", "customer.id", "customer"),
        text("number", "Number", max_length=12),
        text("memo", "Memo", max_length=5, cut=True),
        choice("currency", "ccy.id", {"1": "USD", "2": "EUR", "3": "JPY"}, required=True),
        money("net", "Net", currency_from="currency"),
        money("tax", "Tax", currency_from="currency", as_text=True),
        money("fee", "Fee.Amount", currency_at="Fee.Currency", minor=True, lower=True),
        day("due_on", "Due"),
        day("issued_on", "Issued", form="unix", zone="Asia/Tokyo"),
        day("sent_on", "Sent", form="%m/%d/%Y"),
        day("seen_on", "Seen", form="instant"),
        instant("paid_at", "PaidAt"),
        instant("closed_at", "ClosedAt", form="unix"),
        flag("disputed", "Disputed", style="T/F"),
        flag("final", "Final", style="true/false"),
        number("months", "Months", minimum=0, maximum=120, as_text=True),
        decimal("percentage", "Pct"),
        coded("terms_days", "Terms", lambda value: int(value.removeprefix("NET")), to_net, examples=(0, 30, 60)),
        const("Type", "standard"),
        nested(
            "lines",
            "item.items",
            (
                text("text", "Description", required=True),
                money("net", "Amount", currency_from="currency"),
                link("item_id", "item.id", "item"),
            ),
            many=True,
        ),
        nested("tax_registration", "", (text("country", "TaxCountry", required=True), text("number", "TaxNumber"))),
    ),
)
BODY = {
    "id": "INV-AAAAAAAAAAAAAAAA",
    "customer_id": "CUS-A",
    "number": "R-1",
    "currency": "EUR",
    "net": {"amount": "0.00", "currency": "EUR"},
    "tax": {"amount": "12.50", "currency": "EUR"},
    "fee": {"amount": "3", "currency": "JPY"},
    "due_on": "2026-02-28",
    "issued_on": "2026-01-01",
    "sent_on": "2026-01-02",
    "seen_on": "2026-01-03",
    "paid_at": "2026-01-04T05:06:07+00:00",
    "closed_at": "2026-01-04T05:06:07+00:00",
    "disputed": False,
    "final": True,
    "months": 0,
    "percentage": "7.7",
    "terms_days": 30,
    "lines": [{"text": "one", "net": {"amount": "1.00", "currency": "EUR"}, "item_id": "ITM-1"}],
    "tax_registration": {"country": "DE", "number": "DE1"},
}
IDS = {"CUS-A": "17", "ITM-1": "900"}
RECORD = {
    "Ref": "INV-AAAAAAAAAAAAAAAA",
    "customer": {"id": "17"},
    "Number": "R-1",
    "ccy": {"id": "2"},
    "Net": Decimal("0.00"),
    "Tax": "12.50",
    "Fee": {"Amount": 3, "Currency": "jpy"},
    "Due": "2026-02-28",
    "Issued": 1767193200,  # midnight of 1 January in Tokyo
    "Sent": "01/02/2026",
    "Seen": "2026-01-03T00:00:00Z",
    "PaidAt": "2026-01-04T05:06:07Z",
    "ClosedAt": 1767503167,
    "Disputed": "F",
    "Final": "true",
    "Months": "0",
    "Pct": Decimal("7.7"),
    "Terms": "NET30",
    "Type": "standard",
    "item": {"items": [{"Description": "one", "Amount": Decimal("1.00"), "item": {"id": "900"}}]},
    "TaxCountry": "DE",
    "TaxNumber": "DE1",
}


def one(row: Row, **options: Any) -> Mapping:
    return Mapping("toy.thing", "thing", "Thing", rows=(row,), **options)


def read(row: Row, **record: Any) -> tuple[Any, list[str]]:
    body, _, problems = one(row).read(record)
    return body.get(row.field), [problem.reason for problem in problems]


def written(row: Row, value: Any) -> tuple[Any, list[str]]:
    fields, problems = one(row).write({row.field: value})
    return fields.get(row.vendor), [problem.reason for problem in problems]


def test_a_body_is_written_as_the_vendor_wants_it() -> None:
    fields, problems = INVOICE.write(BODY, IDS)
    assert not problems
    assert fields == RECORD


def test_a_record_is_read_as_it_was_written() -> None:
    record = {**RECORD, "Id": 55, "Changed": "2026-01-01", "Memo": None}
    body, links, problems = INVOICE.read(record)
    assert not problems
    assert links == {"customer_id": ("customer", "17"), "lines[0].item_id": ("item", "900")}
    expected = {name: value for name, value in BODY.items() if name not in ("id", "customer_id")}
    assert body == {**expected, "lines": [{"text": "one", "net": {"amount": "1.00", "currency": "EUR"}}]}
    assert (INVOICE.vendor_id(record), INVOICE.version_of(record)) == ("55", "2026-01-01")
    assert INVOICE.canonical_id(record) == "INV-AAAAAAAAAAAAAAAA"


def test_the_law_holds() -> None:
    laws.hold(INVOICE)


def test_every_problem_of_a_record_is_reported_at_once() -> None:
    """With the canonical and the vendor's name of each field, and the values that can be read kept."""
    wrong = {
        **RECORD, "Id": "1", "Changed": "1", "Memo": None, "Net": "12,50", "Tax": Decimal("1.005"), "Due": "2026-02-30",
        "Fee": {"Amount": 1, "Currency": "xxz"}, "Disputed": "maybe", "Months": 121, "PaidAt": "2026-01-04T05:06:07",
        "Terms": None, "Pct": "7.77777",
        "item": {"items": [{"Description": None, "Amount": 1.5, "item": {"id": True}}]},
    }  # fmt: skip
    body, _, problems = INVOICE.read(wrong)
    assert {str(problem) for problem in problems} == {
        "net / Net: '12,50' is not a number",
        "tax / Tax: 1.005 EUR has more than 2 decimals",
        "fee / Fee.Amount: 'XXZ' is not an ISO 4217 currency code",
        "due_on / Due: '2026-02-30' is not a day in the calendar",
        "disputed / Disputed: 'maybe' is neither true nor false",
        "months / Months: 121 is more than 120",
        "paid_at / PaidAt: '2026-01-04T05:06:07' is not a moment with its offset",
        "percentage / Pct: '7.77777' has more than 4 decimals",
        "lines[0].text / item.items[0].Description: is missing",
        "lines[0].net / item.items[0].Amount: 1.5 is not an exact number",
        "lines[0].item_id / item.items[0].item.id: True is not an id",
    }
    assert body["number"] == "R-1"
    assert "net" not in body


def test_every_problem_of_a_body_is_reported_at_once() -> None:
    wrong = {
        **BODY, "number": "R-12345678901234", "currency": "CHF", "net": {"amount": "1", "currency": "USD"},
        "due_on": "soon",
        "customer_id": "CUS-B", "months": -1, "terms_days": 14, "disputed": "yes", "lines": [{"net": 5}],
        "fee": {"amount": "0.5", "currency": "JPY"}, "issued_on": date(2026, 1, 1), "tax_registration": "DE",
    }  # fmt: skip
    writing = INVOICE.write(wrong, IDS)
    assert {str(problem) for problem in writing.problems} == {
        "number / Number: is 16 characters long, at most 12 fit",
        "currency / ccy.id: 'CHF' is none of USD, EUR, JPY",
        "net / Net: is in USD, but this record is in CHF",
        "tax / Tax: is in EUR, but this record is in CHF",
        "due_on / Due: 'soon' is not a day (iso)",
        "issued_on / Issued: 2026-01-01 is not a day (iso)",
        "customer_id / customer.id: customer 'CUS-B' is not known in this system yet",
        "months / Months: -1 is less than 0",
        "terms_days / Terms: 14 days are no terms of ours",
        "disputed / Disputed: 'yes' is neither true nor false",
        "fee / Fee.Amount: 0.5 JPY has more than 0 decimals",
        "lines[0].text / item.items[0].Description: is missing",
        "lines[0].net / item.items[0].Amount: is not an amount with a currency",
        "tax_registration: is not an object",
    }
    rejected = writing.rejected()
    assert rejected is not None
    assert rejected.code == "not_writable"
    assert {"number", "lines[0].text"} <= set(rejected.fields)


@pytest.mark.parametrize("zero", [0, Decimal(0), Decimal("0.00"), "0", "0.0"])
def test_an_amount_of_zero_survives(zero: Any) -> None:
    row = money("net", "Net", currency="EUR")
    assert read(row, Net=zero) == ({"amount": "0.00", "currency": "EUR"}, [])
    assert written(row, {"amount": "0", "currency": "EUR"}) == (Decimal("0.00"), [])


def test_no_amount_is_no_amount() -> None:
    assert read(money("net", "Net", currency="EUR"), Net=None) == (None, [])
    assert read(money("net", "Net", currency="EUR"), Net="") == (None, [])


def test_an_amount_without_currency_is_a_problem() -> None:
    row = money("net", "Net", currency_at="Ccy")
    assert read(row, Net=5, Ccy=None) == (None, ["has an amount but no currency"])
    assert read(row, Net=5, Ccy=7) == (None, ["7 is not a currency"])


def test_the_minor_unit_is_the_currencys_own() -> None:
    """vendors.md 4: Stripe counts cents, yen and thousandths of a dinar; ISK it takes with two decimals."""
    row = money("net", "amount", currency_at="currency", minor=True, lower=True, minor_decimals={"ISK": 2})
    for amount, currency, minor in (
        ("10.50", "USD", 1050),
        ("1050", "JPY", 1050),
        ("1.050", "KWD", 1050),
        ("9", "ISK", 900),
    ):
        assert one(row).write({"net": {"amount": amount, "currency": currency}}).fields["amount"] == minor
        assert read(row, amount=minor, currency=currency.lower()) == ({"amount": amount, "currency": currency}, [])
    assert read(row, amount=Decimal("10.5"), currency="usd")[1] == ["10.5 is not a whole number of the minor unit"]
    assert read(row, amount=905, currency="isk")[1] == ["9.05 ISK has more than 0 decimals"]


def test_two_amounts_that_share_a_currency_field_must_agree() -> None:
    both = Mapping("toy.x", "x", "X", rows=(money("a", "A", currency_at="C"), money("b", "B", currency_at="C")))
    writing = both.write({"a": {"amount": "1", "currency": "USD"}, "b": {"amount": "1", "currency": "EUR"}})
    assert [str(problem) for problem in writing.problems] == ["b / B: is in EUR, but this record is in USD"]


@pytest.mark.parametrize("value", [True, 5, ["x"], {"a": 1}, "nul\x00", "half \ud83d"])
def test_what_is_no_text_is_a_problem(value: Any) -> None:
    assert read(text("name", "Name"), Name=value)[1]
    assert written(text("name", "Name"), value)[1]


def test_long_text_is_a_problem_or_cut_with_a_sign() -> None:
    assert written(text("name", "Name", max_length=4), "abcde")[1] == ["is 5 characters long, at most 4 fit"]
    assert written(text("name", "Name", max_length=4, cut=True), "abcde") == ("abc…", [])
    assert written(text("name", "Name", max_length=4, cut=True), "abcd") == ("abcd", [])


@pytest.mark.parametrize(
    ("written_so", "moment"),
    [
        ("2026-11-01T10:20:30.000+0000", "2026-11-01T10:20:30+00:00"),
        ("2026-11-01T10:20:30Z", "2026-11-01T10:20:30+00:00"),
        ("2026-11-01T12:20:30+02:00", "2026-11-01T10:20:30+00:00"),
    ],
)
def test_a_moment_is_read_however_it_is_written(written_so: str, moment: str) -> None:
    """The first form is Salesforce's (vendors.md 1.4)."""
    assert read(instant("at", "At"), At=written_so) == (moment, [])


def test_a_moment_without_offset_is_in_the_zone_of_the_account() -> None:
    assert (
        read(instant("at", "At", zone="America/New_York"), At="2026-07-01T00:00:00")[0] == "2026-07-01T04:00:00+00:00"
    )


@pytest.mark.parametrize(
    "value", [10**18, -(10**18), "soon", True, 1.5, Decimal("NaN"), "2026-13-01", "2026 0101", ["2026-01-01"]]
)
@pytest.mark.parametrize("form", ["iso", "unix", "instant", "%d.%m.%Y"])
def test_what_is_no_day_is_a_problem(form: str, value: Any) -> None:
    assert read(day("on", "On", form=form), On=value)[1]


@pytest.mark.parametrize(("value", "reads"), [("T", True), ("F", False), (True, True), ("false", False)])
def test_a_flag_is_read_in_any_style(value: Any, *, reads: bool) -> None:
    for style in ("json", "T/F", "true/false"):
        assert read(flag("on", "On", style=style), On=value) == (reads, [])


def test_an_unknown_choice_is_a_problem_unless_there_is_another_word_for_it() -> None:
    choices = {"Open": "open", "Reopened": "open", "Closed": "closed"}
    assert read(choice("s", "S", choices), S="Lost") == (None, ["'Lost' is none of Open, Reopened, Closed"])
    assert read(choice("s", "S", choices), S=Decimal("sNaN")) == (None, ["sNaN is none of Open, Reopened, Closed"])
    assert read(choice("s", "S", choices, otherwise="closed"), S="Lost") == ("closed", [])
    assert written(choice("s", "S", choices), "open") == ("Open", [])


def test_a_default_stands_for_an_empty_value_but_not_for_a_vanished_field() -> None:
    row = flag("hold", "Hold", default=False)
    assert read(row, Hold=None) == (False, [])
    assert read(row) == (None, ["is not in the record; was it renamed or removed?"])


def test_a_vanished_field_is_a_problem_once_and_an_empty_one_none() -> None:
    assert read(text("name", "Name", required=True)) == (None, ["is not in the record; was it renamed or removed?"])
    assert read(text("name", "Name", required=True), Name="") == (None, ["is missing"])
    assert read(text("name", "Name"), Name=None) == (None, [])
    assert read(text("name", "Parent.Name"), Parent=None) == (None, [])
    assert read(text("name", "Parent.Name"), Parent={}) == (None, ["is not in the record; was it renamed or removed?"])
    assert read(nested("lines", "Lines", (text("a", "A"),), many=True))[0] is None


def test_a_vendor_that_leaves_empty_fields_out_is_not_drifting() -> None:
    """SuiteQL omits NULL columns (vendors.md 2.3)."""
    sparse = replace(INVOICE, sparse=True)
    assert [str(problem) for problem in sparse.read({"Id": 1, "Changed": "x"}).problems] == [
        "currency / ccy.id: is missing"
    ]


def test_what_a_body_does_not_say_is_left_alone_and_none_empties() -> None:
    row = text("name", "Name")
    assert one(row).write({}).fields == {}
    assert one(row).write({"name": None}).fields == {"Name": None}
    assert one(row, null="").write({"name": None}).fields == {"Name": ""}
    assert one(text("name", "Name", clears=True)).write({}).fields == {"Name": None}
    assert one(money("net", "Net", currency="EUR", clears=True)).write({}).fields == {"Net": None}


def test_rows_go_one_way_when_they_are_told_to() -> None:
    both = Mapping("toy.x", "x", "X", rows=(text("a", "A", access="read"), text("b", "B", access="write"), key("Id")))
    assert both.read({"A": "1", "B": "2", "Id": "3"}).body == {"a": "1"}
    assert both.write({"a": "1", "b": "2"}).fields == {"B": "2"}
    assert (both.fields(), both.written_fields()) == (("A", "Id"), ("B",))


def test_a_checked_constant_tells_records_apart() -> None:
    assert read(const("Type", "Invoice", checked=True), Type="Credit")[1] == ["is not 'Invoice'"]
    assert read(const("Type", "Invoice", checked=True), Type="Invoice")[1] == []


def test_a_deal_without_contract_has_none() -> None:
    contract = nested("contract", "Contract", (text("number", "ContractNumber"), day("signed_on", "SignedDate")))
    assert read(contract, Contract=None) == (None, [])
    assert read(contract, Contract={"ContractNumber": None, "SignedDate": None}) == (None, [])
    assert read(contract, Contract={"ContractNumber": "7", "SignedDate": None}) == ({"number": "7"}, [])
    assert read(contract, Contract="x")[1] == ["'x' is not an object"]
    assert one(contract).fields() == ("Contract.ContractNumber", "Contract.SignedDate")


def test_the_fields_to_ask_for_are_each_named_once() -> None:
    assert INVOICE.fields()[:6] == ("Id", "Changed", "Ref", "customer.id", "Number", "Memo")
    assert INVOICE.fields().count("Fee.Currency") == 1
    assert "Type" not in INVOICE.fields()


def test_the_data_dictionary_has_every_row() -> None:
    lines = {line.field: line for line in INVOICE.dictionary()}
    assert lines["lines[].net"].vendor_field == "item.items[].Amount"
    assert lines["currency"].detail == "1 = USD, 2 = EUR, 3 = JPY"
    assert lines["=Type"].direction == "write"
    assert lines["@key"].direction == "read"
    assert lines["currency"].required


def test_a_firm_names_its_own_fields() -> None:
    ours = INVOICE.with_names(
        {
            "number": "Nr__c",
            "fee.currency": "FeeCcy",
            "lines.text": "Words",
            "tax_registration.number": "Vat",
            "id": "Ext__c",
        },
        version=2,
        valid_from=date(2026, 6, 1),
    )
    assert {"Nr__c", "FeeCcy", "item.items.Words", "Vat", "Ext__c"} <= set(ours.fields())
    assert (ours.identity.version, ours.identity.valid_from) == (2, date(2026, 6, 1))
    assert ours.identity.content_hash != INVOICE.identity.content_hash
    laws.hold(ours, examples=20)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"nmber": "X"}, "no field nmber"),
        ({"number": "Memo"}, "written vendor field Memo is there twice"),
        ({"number": "customer"}, "customer is written, and so is customer.id"),
        ({"number": "a..b"}, "not a dotted path"),
        ({"number": ""}, "not a dotted path"),
    ],
)
def test_an_override_that_cannot_be_is_refused(names: dict[str, str], says: str) -> None:
    with pytest.raises(MappingInvalid, match=says):
        INVOICE.with_names(names)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ((), "no rows"),
        ((text("a", "A"), text("a", "B")), "field a is there twice"),
        ((text("", "A"),), "no canonical field"),
        ((money("a", "A"),), "give one of currency_at"),
        ((money("a", "A", currency="ZZZ"),), "not an ISO 4217"),
        ((choice("a", "A", {}),), "no choices"),
        ((day("a", "A", form="julian"),), "not a form of a day"),
        ((day("a", "A", form="unix", zone="Mars/Olympus"),), "not a time zone"),
        ((link("a", "A", ""),), "kind of the linked object"),
        ((nested("a", "", (text("b", "B"),), many=True),), "a list needs a vendor path"),
        ((nested("a", "A", ()),), "nothing is nested"),
        ((coded("a", "A", str, str, ()),), "no examples"),
        ((key("a..b"), own("")), "not a dotted path"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused_when_it_is_made(rows: tuple[Row, ...], says: str) -> None:
    with pytest.raises(MappingInvalid, match=says):
        Mapping("toy.x", "x", "X", rows=rows)


def test_names_are_checked_against_the_canonical_class() -> None:
    Mapping("toy.customer", "customer", "Account", rows=(text("legal_name", "Name"),), of=Customer)
    with pytest.raises(MappingInvalid, match="Customer has no field name"):
        Mapping("toy.customer", "customer", "Account", rows=(text("name", "Name"),), of=Customer)


def test_a_mapping_reads_what_the_model_writes() -> None:
    mapping = Mapping(
        "toy.customer", "customer", "Account", of=Customer,
        rows=(own("Ref"), text("legal_name", "Name"), number("payment_terms_days", "Terms")),
    )  # fmt: skip
    plain = to_plain(Customer(id="CUS-1", legal_name="Ada", payment_terms_days=0))
    assert mapping.write(plain).fields == {"Ref": "CUS-1", "Name": "Ada", "Terms": 0}


def test_equal_tables_have_equal_hashes_in_every_process() -> None:
    """Functions are told by name: an address would differ from worker to worker."""
    hash_now = INVOICE.identity.content_hash
    assert replace(INVOICE).identity.content_hash == hash_now
    assert INVOICE.without("memo").identity.content_hash != hash_now
    assert INVOICE.with_rows(money("fee", "Fee", currency="USD")).identity.content_hash != hash_now
    code = "from tests.connect.test_mapping import INVOICE; print(INVOICE.identity.content_hash)"
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert elsewhere.stdout.strip() == hash_now


def test_the_mapping_of_a_day_is_the_last_that_had_begun() -> None:
    old = one(text("a", "A"))
    new = old.with_names({"a": "B"}, version=2, valid_from=date(2026, 4, 1))
    history = MappingHistory(new, old)
    assert history.on(date(2026, 3, 31)) is old
    assert history.on(date(2026, 4, 1)) is new
    with pytest.raises(MappingInvalid):
        MappingHistory(old, old)
    with pytest.raises(MappingInvalid, match="not valid on"):
        MappingHistory(new).on(date(2026, 1, 1))


def test_an_observation_carries_every_problem() -> None:
    seen = observed(INVOICE, {**RECORD, "Id": 5, "Changed": "7", "Memo": None, "Due": "x"})
    assert (seen.vendor_id, seen.version, seen.canonical_id) == ("5", "7", "INV-AAAAAAAAAAAAAAAA")
    assert seen.problems == ("due_on / Due: 'x' is not a day (iso)",)
    with pytest.raises(KeyError):
        observed(INVOICE, {})


def test_owners_are_told_by_field() -> None:
    assert one(text("a", "A", owner="crm")).owners() == {"a": "crm"}
