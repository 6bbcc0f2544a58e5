"""The pages of contract changes in a real Chromium: looked at, proposed, applied by another person, taken back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from accord.db.pool import Pool
from accord.model.plain import to_plain
from tests.ledger.changes.test_plan import order, rated
from tests.ledger.worked import agree, entry, lies, work
from tests.serving import served
from tests.web.test_close_pages import problems, signed_in

ORDER = json.dumps(to_plain(order(rated("200", "1500"), why="more <b>room</b>")))


@pytest.fixture
async def site(pool: Pool, tmp_path: Path) -> AsyncIterator[str]:
    await agree(pool, rated("200", "1000"))
    await work(pool, entry(2), entry(3))
    async with served(pool, tmp_path) as (_, address):
        yield address


async def test_a_change_is_proposed_applied_and_taken_back_without_script(
    browser: Browser, site: str, pool: Pool
) -> None:
    petra, fatima = [await signed_in(browser, site, pool, java_script_enabled=False) for _ in range(2)]
    await petra.goto(f"{site}/changes")
    await petra.get_by_label("As JSON").fill("no JSON")
    await petra.get_by_role("button", name="Look at the impact").click()
    assert "this is no JSON" in await petra.get_by_role("alert").inner_text()
    await petra.get_by_label("As JSON").fill(ORDER)
    await petra.get_by_role("button", name="Look at the impact").click()
    assert "-500.00\u00a0USD" in await petra.get_by_role("region", name="Impact").inner_text()
    await petra.get_by_role("button", name="Propose").click()
    assert await petra.locator("h1").inner_text() == "more <b>room</b>"
    assert await petra.get_by_role("button", name="Apply").is_disabled()
    await fatima.goto(f"{site}/changes/CO-1")
    await fatima.get_by_role("button", name="Apply").click()
    assert "500.00 USD set free" in await fatima.locator("#steps").inner_text()
    assert await lies(pool) == {"wip": "1500.00", "over_cap": "100.00"}
    await petra.goto(f"{site}/changes/CO-1")
    await petra.get_by_role("button", name="Take back").click()
    assert "The change is taken back." in await petra.locator(".done").inner_text()
    assert await lies(pool) == {"wip": "1000.00", "over_cap": "600.00"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_pages_of_changes_are_accessible(browser: Browser, site: str, pool: Pool, scheme: Any) -> None:
    page = await signed_in(browser, site, pool, color_scheme=scheme)
    await page.goto(f"{site}/changes")
    await page.get_by_label("As JSON").fill(ORDER)
    await page.get_by_role("button", name="Look at the impact").click()
    found = await problems(page)
    await page.get_by_role("button", name="Propose").click()
    assert [*found, *await problems(page)] == []
