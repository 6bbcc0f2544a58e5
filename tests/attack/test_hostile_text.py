"""Every page with hostile text in every field a vendor or a person can write: it is shown as text, and does nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx2
import psycopg
import pytest

from tests.attack.conftest import Standing

EVIL = "\"><xss onfocus=alert(1)>'`</title></textarea></script><!--{{7*7}}${7*7} javascript:alert(1)"
FREE = {
    "name", "legal_name", "text", "label", "title", "message", "cure", "what", "reference", "reason", "number", "stage",
    "country_as_given", "product_as_given", "delivery_region", "contract_type", "field", "code", "actor", "by",
    "customer",
}  # fmt: skip
# Text columns that hold words of vendors and people, and JSON columns that hold more of them.
WORDS = (
    ("business_case", "title"), ("business_case", "owner"), ("business_case", "note"), ("effect", "label"),
    ("effect", "vendor_id"), ("effect_attempt", "reason"), ("connection", "state_reason"), ("poll", "last_error"),
    ("event", "actor"),
)  # fmt: skip
PARAMETERS = ("q", "owner", "reason", "signature", "engagement", "state", "status", "stage", "done", "next", "cursor")
DOCUMENTS = (("record", "body"), ("event", "payload"), ("business_case", "problems"), ("process", "trigger"))


def _poisoned(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _poisoned(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_poisoned(item, key) for item in value]
    return f"{value}{EVIL}" if isinstance(value, str) and key in FREE else value


@pytest.fixture(scope="module")
def poisoned(standing: Standing) -> int:
    """How many values of the seeded firm are hostile now."""
    count = 0
    with psycopg.connect(standing.database) as db:
        db.execute("SET session_replication_role = replica")  # facts are append-only to everybody else
        for table, column in WORDS:
            count += db.execute(
                f"UPDATE {table} SET {column} = {column} || %s WHERE {column} IS NOT NULL", [EVIL]
            ).rowcount
        for table, column in DOCUMENTS:
            rows = db.execute(f"SELECT ctid, {column} FROM {table}").fetchall()
            for place, document in rows:
                text = json.dumps(_poisoned(document), default=str)
                count += EVIL[:10] in json.loads(json.dumps(text)) or "xss" in text
                db.execute(f"UPDATE {table} SET {column} = %s WHERE ctid = %s", [text, place])
    return count


@pytest.fixture(scope="module")
def browser(standing: Standing, poisoned: int) -> Iterator[httpx2.Client]:
    assert poisoned > 50
    with httpx2.Client(base_url=standing.url, timeout=20, follow_redirects=True) as client:
        key = standing.key("operate")["Authorization"].removeprefix("Bearer ")
        client.post("/sign-in", data={"key": key})
        yield client


class Seen(HTMLParser):
    """What a browser would make of a page: names of elements and attributes, addresses, text inside scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: set[str] = set()
        self.comments: list[str] = []
        self.inline = ""
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._script = tag in ("script", "style")
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src", "action", "formaction", "data-events"):
                self.addresses.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        if self._script:
            self.inline += data


def _paths(standing: Standing) -> list[str]:
    it = standing.seeded
    cases = (it.gate_case, it.refused_case, it.question_case, it.paused_case, 1000)
    return [
        "/finance", "/finance/unexplained", "/finance/unbilled?where=billed", "/finance/receivables", "/finance/unsent",
        "/finance/breaks", "/finance/proposals", "/finance/latency/posted?currency=USD",
        f"/finance/items?engagement={it.deal}&entity=DE&currency=EUR&where=billed", "/finance/items/BIL-DE1",
        "/", "/billing", "/billing?stage=milestone+approved", "/billing?stage=paid", "/engagements", "/cases",
        "/pmo", "/pmo/engagements", "/pmo/activation", "/processes", "/cases?state=resolved",
        f"/engagements/{it.deal}?everything=1", f"/engagements/{it.held}",
        *(f"/cases/{each}" for each in cases), f"/processes/{it.process}", f"/processes/{it.parked}",
    ]  # fmt: skip


def _harmless(answer: httpx2.Response, where: str) -> None:
    seen = Seen()
    seen.feed(answer.text)
    assert "xss" not in seen.tags, where
    assert not [name for name in seen.attributes if name.startswith("on") or name == "style"], where
    assert not seen.comments, where
    assert not seen.inline.strip(), where
    for address in seen.addresses:
        assert address.startswith(("/", "?", "#")), (where, address)
        assert not address.startswith("//"), (where, address)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_hostile_text_is_text_on_every_page(browser: httpx2.Client, standing: Standing) -> None:
    shown = 0
    for path in _paths(standing):
        answer = browser.get(path)
        assert answer.status_code == 200, path
        shown += "&lt;xss" in answer.text
        _harmless(answer, path)
    assert shown >= 10, "a page that shows no hostile text tests nothing"


def test_what_an_address_says_is_text_too(browser: httpx2.Client, standing: Standing) -> None:
    for path in ("/", "/engagements", "/cases", "/processes", "/billing", "/nowhere", "/sign-in", "/pmo/missing-time",
                 "/pmo/utilization", "/pmo/person", "/pmo/engagements", "/finance/unbilled", "/finance/proposals",
                 "/finance/breaks", f"/cases/{standing.seeded.gate_case}"):  # fmt: skip
        for name in (
            "q",
            "owner",
            "reason",
            "signature",
            "engagement",
            "state",
            "status",
            "stage",
            "done",
            "next",
            "cursor",
            "manager",
            "practice",
            "worker",
            "currency",
        ):
            answer = browser.get(path, params={name: EVIL})
            assert answer.status_code < 500, (path, name)
            if answer.headers["content-type"].startswith("text/html"):
                _harmless(answer, f"{path} {name}")


def test_json_of_the_api_is_never_taken_for_a_page(browser: httpx2.Client, standing: Standing) -> None:
    header = standing.key("read")
    for path in ("cases", "engagements", "processes", f"engagements/{standing.seeded.deal}/timeline", f"cases/{EVIL}"):
        answer = browser.get(f"/api/process/v1/{path}", headers=header)
        assert re.match(r"application/(problem\+)?json", answer.headers["content-type"])
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name",
    ["../pages.py", "..%2f..%2fsettings.py", "%2e%2e/accord.css", "....//accord.css", "/etc/passwd", "accord.css%00.js",
     "..\\accord.css", "", ".", "%2fetc%2fpasswd", "templates/layout.html"],
)  # fmt: skip
def test_no_name_of_a_file_leads_out_of_the_folder(standing: Standing, name: str) -> None:
    with httpx2.Client(base_url=standing.url) as client:
        for digest in ("x", "..", "%2e%2e", "..%2f.."):
            answer = client.get(f"/static/{digest}/{name}")
            # A path that a client shortens by itself ends elsewhere; a file of ours it is never.
            assert answer.status_code in (303, 307, 400, 404), (digest, name)
            assert "root:" not in answer.text
            assert "import annotations" not in answer.text
