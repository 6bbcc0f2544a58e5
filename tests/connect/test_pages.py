"""Pages are walked to the end, in order, and never in a circle."""

from __future__ import annotations

import pytest

from accord.connect.capability import as_markdown, capability_matrix
from accord.connect.pages import PageRepeated, pages
from accord.connect.paths import path_template
from tests.connect.rolodex_bench import connector_of_the_page


async def test_all_pages_come_in_order() -> None:
    book = {None: ("a", 1), 1: ("b", 2), 2: ("c", None)}

    async def fetch(token: int | None) -> tuple[str, int | None]:
        return book[token]

    assert [page async for page in pages(fetch)] == ["a", "b", "c"]


@pytest.mark.parametrize("book", [{None: ("a", 1), 1: ("b", 1)}, {None: ("a", 1), 1: ("b", 2), 2: ("c", 1)}])
async def test_a_page_named_before_ends_it(book: dict[int | None, tuple[str, int]]) -> None:
    async def fetch(token: int | None) -> tuple[str, int | None]:
        return book[token]

    walk = pages(fetch)
    assert [await anext(walk) for _ in book] == [page for page, _ in book.values()]
    with pytest.raises(PageRepeated):
        await anext(walk)


@pytest.mark.parametrize(
    ("url", "template"),
    [
        ("https://x.example/v1/invoices/in_1PaQ2?limit=3", "/v1/invoices/{id}"),
        ("https://x.example/v1/subscription_schedules", "/v1/subscription_schedules"),
        ("/services/data/v67.0/sobjects/Opportunity/0065g00000ABCDE", "/services/data/v67.0/sobjects/Opportunity/{id}"),
        ("/services/rest/record/v1/customer/eid%3ACUS-ABC", "/services/rest/record/v1/customer/{id}"),
        ("/services/rest/record/v1/customer/eid:CUS-ABC", "/services/rest/record/v1/customer/{id}"),
        ("/services/rest/auth/oauth2/v1/token", "/services/rest/auth/oauth2/v1/token"),
        ("/api/data/v9.2/accounts(guid-7)", "/api/data/v9.2/{id}"),
        ("https://x.example", "/"),
    ],
)
def test_a_path_is_told_without_ids(url: str, template: str) -> None:
    assert path_template(url) == template


def test_the_capability_matrix_says_what_makes_a_write_safe() -> None:
    (row,) = capability_matrix([connector_of_the_page()])
    assert (row.vendor, row.kind, row.verb, row.reads, row.batch) == (
        "rolodex",
        "customer",
        "put",
        "changes, by id",
        "5",
    )
    assert (row.safe_by, row.key_life) == ("the vendor's upsert on our id", "for ever")
    assert as_markdown([row]).splitlines()[0].startswith("| vendor | kind | label |")
