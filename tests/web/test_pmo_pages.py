"""The pages of the PMO: what needs doing first, every number leads to its rows, and who may see what."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from accord.db.pool import Pool, transaction
from accord.governance.keys import create_key
from accord.ledger import people
from accord.model.people import Staffing
from accord.web.sign_in import one_time_address
from tests.seeding import ATTACK
from tests.serving import client_of, served, state_for
from tests.staffing import DEAL, NOW, firm, firm_database, own_firm, person

__all__ = ["firm", "firm_database", "own_firm"]

PATHS = (
    "/pmo", "/pmo/missing-time", "/pmo/missing-time?manager=petra", "/pmo/person?worker=anna", "/pmo/utilization",
    "/pmo/utilization?practice=Cloud", "/pmo/caps", "/pmo/engagements", "/pmo/activation",
)  # fmt: skip
# What the other pages are made of too: bars, tables, formulas.
LIKE_ALL = ("/pmo", "/pmo/utilization", "/pmo/engagements")
MODES: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 320, "height": 700}},
}


@pytest.fixture
async def site(firm: Pool, tmp_path: Path) -> AsyncIterator[str]:
    async with served(firm, tmp_path, clock=lambda: NOW) as (_, address):
        yield address


async def signed_in(browser: Browser, site: str, pool: Pool, **options: Any) -> Page:
    page = await (await browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})).new_page()
    page.set_default_timeout(10_000)
    await page.goto(await one_time_address(pool, site, NOW, ("read", "costs")))
    return page


async def test_no_page_breaks_a_rule_of_accessibility_or_runs_over_the_edge(
    browser: Browser, site: str, firm: Pool
) -> None:
    wrong: list[Any] = []

    def hear(said: Any) -> None:
        if said.type == "error":
            wrong.append(said.text)

    for mode, options in MODES.items():
        page = await signed_in(browser, site, firm, **options)
        page.on("console", hear)
        for path in PATHS if mode == "light" else LIKE_ALL:
            answer = await page.goto(site + path)
            assert answer is not None
            assert answer.status == 200, path
            await page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            found = await Axe().run(page)
            wrong += [
                (mode, path, each["id"], [node["target"] for node in each["nodes"]])
                for each in found.response["violations"]
            ]
            over = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            wrong += [(mode, path, "wider than the page by", over)] if over > 0 else []
    assert wrong == []


async def test_what_needs_doing_stands_first_and_every_number_leads_to_its_rows(
    browser: Browser, site: str, firm: Pool
) -> None:
    page = await signed_in(browser, site, firm, java_script_enabled=False)
    await page.goto(f"{site}/pmo")
    assert (await page.locator("h1").inner_text()).replace("\u00a0", " ") == (
        "2 people have not submitted 148 h and 40 h of 1 person wait for approval: 25,400.00 USD at stake."
        " 1 cap near its end has 15,800.00 USD left."
    )
    bar = page.locator("svg.bars.wide a").filter(has_text="Cloud")
    assert "73.1" in (await bar.text_content() or "")
    await bar.click()
    await page.wait_for_url("**/pmo/utilization?weeks=4&practice=Cloud")
    assert await page.locator("#people tbody tr").count() == 2
    await page.goto(f"{site}/pmo")
    row = page.locator("#measures tr").filter(has_text="WIP days").first
    await row.locator("summary").click()
    assert "WIP ÷ value earned in the period" in await row.inner_text()
    assert "newest fact" in await row.inner_text()
    await page.locator("#missing a").filter(has_text="Petra").click()
    await page.get_by_role("link", name="Anna").click()
    await page.wait_for_url("**/pmo/person?worker=anna&weeks=4")
    assert await page.locator("#entries tbody tr").count() == 6


async def reading(
    pool: Pool, home: Path, *paths: str, roles: tuple[str, ...], entities: tuple[str, ...] = ()
) -> list[str]:
    """The pages as one key sees them; an error is its status."""
    state = state_for(pool, home, clock=lambda: NOW)
    async with transaction(pool) as db:
        key = await create_key(db, "reader", roles, entities, NOW)
    async with client_of(state) as client:
        await client.post("/sign-in", data={"key": key})
        return [_text(await client.get(path)) for path in paths]


def _text(answer: httpx2.Response) -> str:
    return answer.text.replace("\u00a0", " ") if answer.status_code == 200 else str(answer.status_code)


async def test_cost_and_margin_are_shown_to_those_alone_who_may_see_costs(firm: Pool, tmp_path: Path) -> None:
    paths = ("/pmo/engagements", "/pmo", "/pmo/utilization", f"/engagements/{DEAL}")
    with_costs = await reading(firm, tmp_path, *paths, roles=("read", "costs"))
    assert "89.8 %" in with_costs[0]
    for role in ("read", "operate", "admin"):
        seen = await reading(firm, tmp_path, *paths, roles=(role,))
        assert not [text for text in seen if re.search(r"[Mm]argin|16,680|80\.00 USD", text)], role


async def test_a_key_of_one_legal_entity_sees_its_people_and_money_alone(firm: Pool, tmp_path: Path) -> None:
    paths = ("/pmo/utilization", "/pmo/caps", "/pmo/missing-time", "/pmo/person?worker=anna", "/pmo")
    german = await reading(firm, tmp_path, *paths, roles=("read", "costs"), entities=("DE",))
    assert "Clara" in german[0]
    assert [text for text in german if re.search(r"Anna|Petra|60,000", text)] == []
    assert german[3] == "404"
    american = await reading(firm, tmp_path, *paths, roles=("read",), entities=("US",))
    assert "Anna" in american[0]
    assert "60,000.00 USD" in american[1]
    assert [text for text in american if "Clara" in text] == []
    assert "Time of anna" in american[3]


async def test_names_of_people_and_practices_are_text(own_firm: Pool, tmp_path: Path) -> None:
    evil = person("eve", name=ATTACK, manager=ATTACK, practice=ATTACK, role=ATTACK)
    async with transaction(own_firm) as db:
        await people.declare(db, Staffing(people=(evil,)), by="hana")
    paths = ("/pmo", "/pmo/missing-time", "/pmo/utilization")
    for text in await reading(own_firm, tmp_path, *paths, roles=("read",)):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


async def test_an_empty_house_says_what_to_do_next(pool: Pool, tmp_path: Path) -> None:
    found = await reading(pool, tmp_path, *PATHS[:2], *PATHS[4:], roles=("read", "costs"))
    assert "Nothing waits for the PMO" in found[0]
    assert "accord people declare" in found[2]
    assert "accord terms declare" in found[4]
    assert [text for text in found if len(text) < 5] == []
