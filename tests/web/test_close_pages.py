"""The pages of closing in a real Chromium: what stops a period is read there, agreed to by two, and it is closed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from accord.db.pool import Pool, transaction
from accord.reconcile.calendar import LateWork, declare_calendar
from accord.rules.periods import months
from accord.web.sign_in import one_time_address
from tests.ledger.worked import agree, entry, work
from tests.serving import served


@pytest.fixture
async def site(pool: Pool, tmp_path: Path) -> AsyncIterator[str]:
    await agree(pool)
    await work(pool, entry(2), entry(3, engagement_id="DEA-2"))
    async with transaction(pool) as db:
        await declare_calendar(db, "US", months(date(2026, 11, 1), 2), LateWork.NEXT_PERIOD, by="fatima")
        await db.execute("SET LOCAL session_replication_role = replica")
        await db.execute("DELETE FROM item_part WHERE item_id = 'BIL-2-1'")
    async with served(pool, tmp_path) as (_, address):
        yield address


async def signed_in(browser: Browser, site: str, pool: Pool, **options: Any) -> Page:
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    page = await context.new_page()
    page.set_default_timeout(10_000)
    await page.goto(await one_time_address(pool, site, datetime.now(UTC)))
    return page


async def problems(page: Page) -> list[Any]:
    """What axe finds with everything open, and by how much the page is too wide at 320 pixels."""
    for details in await page.locator("details").all():
        await details.evaluate("each => each.open = true")
    found = await Axe().run(page)
    wrong: list[Any] = [(each["id"], each["nodes"][0]["target"]) for each in found.response["violations"]]
    await page.set_viewport_size({"width": 320, "height": 700})
    over = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    await page.set_viewport_size({"width": 1280, "height": 900})
    return [*wrong, *([("too wide by", over)] if over > 0 else [])]


async def test_two_people_close_a_period_over_what_stops_it(browser: Browser, site: str, pool: Pool) -> None:
    """Without script: every form works by itself."""
    fatima, carla = [await signed_in(browser, site, pool, java_script_enabled=False) for _ in range(2)]
    address = f"{site}/finance/close/US/2026-11"
    await fatima.goto(f"{site}/finance/close")
    await fatima.get_by_role("link", name="2026-11").click()
    assert await fatima.locator("h1").inner_text() == "Nobody has looked at 2026-11 of US yet."
    await fatima.get_by_role("button", name="Look").click()
    told = await fatima.locator("h1").inner_text()
    assert "1\u00a0unexplained (800.00\u00a0USD)" in told
    assert "1\u00a0unpriced" in told
    await fatima.get_by_role("button", name="Close", exact=True).click()
    assert "It stays open: 1 unexplained (800.00 USD)" in await fatima.locator(".done").inner_text()
    for line in ("unexplained", "not_reconciled", "unpriced"):
        section = fatima.locator(f"#{line}")
        await section.locator("summary").click()
        await section.get_by_label("Reason").fill("known, and cured next week")
        await section.get_by_role("button", name="Ask for it").click()
        assert await fatima.get_by_role("button", name="Agree").first.is_disabled()
        await carla.goto(address)
        await carla.get_by_role("button", name="Agree").click()
    await fatima.goto(address)
    await fatima.get_by_role("button", name="Close", exact=True).click()
    assert await fatima.locator("h1").inner_text() == "2026-11 of US is closed."


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_pages_of_closing_are_accessible(browser: Browser, site: str, pool: Pool, scheme: Any) -> None:
    page = await signed_in(browser, site, pool, color_scheme=scheme)
    await page.goto(f"{site}/finance/close")
    found = await problems(page)
    await page.goto(f"{site}/finance/close/US/2026-11")
    await page.get_by_role("button", name="Look").click()
    assert [*found, *await problems(page)] == []


async def test_an_entity_without_periods_has_no_page(browser: Browser, site: str, pool: Pool) -> None:
    page = await signed_in(browser, site, pool)
    answer = await page.goto(f"{site}/finance/close/DE/2026-11")
    assert answer is not None
    assert answer.status == 404
