"""Finance's pages in a real Chromium: no axe violation, nothing over the edge, by keyboard, without script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

from accord.db.pool import Pool
from accord.web.sign_in import one_time_address
from tests.finance_firm import FinanceFirm
from tests.seeding import HELD
from tests.serving import served


@pytest.fixture
async def browser(chromium_executable: str | None) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_executable, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def site(firm_pool: Pool, tmp_path: Path) -> AsyncIterator[str]:
    async with served(firm_pool, tmp_path) as (_, address):
        yield address


async def signed_in(browser: Browser, site: str, pool: Pool, **options: Any) -> Page:
    """A page that is signed in by a one-time address, and fails the test on any error in its console."""
    context = await browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    page = await context.new_page()
    page.set_default_timeout(10_000)
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda said: page.errors.append(said.text) if said.type == "error" else None)
    await page.goto(await one_time_address(pool, site, datetime.now(UTC)))
    return page


def paths(firm: FinanceFirm) -> list[str]:
    return [
        "/finance", "/finance/unexplained", "/finance/unbilled?where=held", "/finance/latency",
        f"/finance/items?engagement={HELD}&entity=DE&currency=EUR&where=held", "/finance/items/BIL-408-1",
        "/finance/receivables", "/finance/unsent", "/finance/breaks", "/finance/latency/whole?currency=USD",
        "/finance/proposals", f"/finance/proposals/{firm.draft}", f"/finance/proposals/{firm.draft}/lines/1",
        f"/finance/proposals/{firm.draft}/write-down?amount=100.01&line=1&reason=goodwill",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "asked"),
    [({"color_scheme": "dark"}, 14), ({"viewport": {"width": 320, "height": 700}}, 2)],
    ids=["dark", "narrow"],
)
async def test_no_finance_page_breaks_a_rule_of_accessibility_or_runs_over_the_edge(
    browser: Browser,
    site: str,
    firm_pool: Pool,
    told_firm: tuple[str, FinanceFirm],
    options: dict[str, Any],
    asked: int,
) -> None:
    """All rules on all pages in the dark, where contrast is hardest to keep; at 320 pixels on the first `asked`."""
    page = await signed_in(browser, site, firm_pool, **options)
    wrong = []
    for nth, path in enumerate(paths(told_firm[1])):
        answer = await page.goto(site + path)
        assert answer is not None
        assert answer.status == 200, path
        await page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        if nth < asked:
            found = await Axe().run(page)
            wrong += [
                (path, each["id"], [node["target"] for node in each["nodes"]]) for each in found.response["violations"]
            ]
        over = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        wrong += [(path, "wider than the page by", over)] if over > 0 else []
    assert wrong == []
    assert page.errors == []


async def test_without_script_a_write_down_is_looked_at_done_and_not_approved_by_the_same_eyes(
    browser: Browser, site: str, firm_pool: Pool, told_firm: tuple[str, FinanceFirm]
) -> None:
    page = await signed_in(browser, site, firm_pool, java_script_enabled=False)
    await page.goto(f"{site}/finance")
    first = await page.locator("h1").inner_text()
    assert first.startswith("1,680.00\u00a0USD cannot be explained: 1\u00a0thing")
    await page.get_by_role("link", name="Northwind global transformation", exact=True).click()
    await page.get_by_label("Amount in USD").fill("100.01")
    await page.get_by_label("Line (empty: over all lines)").fill("1")
    await page.locator("#wd_reason").fill("goodwill")
    await page.get_by_role("button", name="Show the effect").click()
    assert await page.locator("tbody tr").all_inner_texts() == [
        "1\tanna\t12,960.00\u00a0USD\t12,859.99\u00a0USD\t100.01\u00a0USD"
    ]
    await page.get_by_role("button", name="Write 100.01").click()
    assert "somebody else than you must approve" in await page.get_by_role("status").first.inner_text()
    assert await page.get_by_role("button", name="Approve").count() == 0
    assert "proposal written down: 100.01" in await page.locator("#history").inner_text()


async def test_finance_is_walked_by_keyboard_from_the_number_to_its_row(
    browser: Browser, site: str, firm_pool: Pool, told_firm: tuple[str, FinanceFirm]
) -> None:
    page = await signed_in(browser, site, firm_pool)
    await page.goto(f"{site}/finance")
    await page.locator("main").focus()
    for _ in range(40):
        await page.keyboard.press("Tab")
        if str(await page.evaluate("document.activeElement.getAttribute('aria-label')")).startswith("0-30"):
            break
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/finance/unbilled?currency=*&age=0-30")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/finance/items?engagement=*")
    await page.keyboard.press("j")
    assert await page.evaluate("document.activeElement.closest('tr') !== null")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/finance/items/BIL-*")
    assert await page.locator(".state.good", has_text="equal").count() == 1
    assert page.errors == []
