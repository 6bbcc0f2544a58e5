"""Every page in a real Chromium: without script, without an axe violation, at 320 pixels, by keyboard, live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from accord.db.pool import Pool, transaction
from accord.web.sign_in import one_time_address
from tests.seeding import DEAL, Seeded, event, money, seed
from tests.serving import served

WIDE = {"width": 1280, "height": 900}


@pytest.fixture
async def seeded(pool: Pool) -> Seeded:
    async with transaction(pool) as db:
        return await seed(db, datetime.now(UTC))


@pytest.fixture
async def site(pool: Pool, seeded: Seeded, tmp_path: Path) -> AsyncIterator[str]:
    async with served(pool, tmp_path) as (_, address):
        yield address


async def signed_in(browser: Browser, site: str, pool: Pool, **options: Any) -> Page:
    """A page that is signed in by a one-time address, and fails the test on any error in its console."""
    context = await browser.new_context(**{"viewport": WIDE, **options})
    page = await context.new_page()
    page.set_default_timeout(10_000)
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda said: page.errors.append(said.text) if said.type == "error" else None)
    await page.goto(await one_time_address(pool, site, datetime.now(UTC)))
    assert page.url == f"{site}/"
    return page


def paths(seeded: Seeded) -> list[str]:
    return [
        "/", "/engagements", f"/engagements/{seeded.deal}", f"/engagements/{seeded.held}", "/cases",
        "/cases?state=resolved",
        f"/cases/{seeded.gate_case}", f"/cases/{seeded.refused_case}", f"/cases/{seeded.question_case}", "/processes",
        f"/processes/{seeded.parked}", "/billing?stage=invoiced", "/billing?stage=milestone+approved", "/sign-in",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 700}}],
    ids=["light", "dark", "narrow"],
)
async def test_no_page_breaks_a_rule_of_accessibility_or_runs_over_the_edge(
    browser: Browser, site: str, pool: Pool, seeded: Seeded, options: dict[str, Any]
) -> None:
    page = await signed_in(browser, site, pool, **options)
    wrong = []
    for path in paths(seeded):
        answer = await page.goto(site + path)
        assert answer is not None
        assert answer.status == 200, path
        for details in await page.locator("details").all():
            await details.evaluate("each => each.open = true")
        found = await Axe().run(page)
        wrong += [
            (path, each["id"], [node["target"] for node in each["nodes"]]) for each in found.response["violations"]
        ]
        over = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        wrong += [(path, "wider than the page by", over)] if over > 0 else []
    assert wrong == []
    assert page.errors == []


async def test_without_script_every_page_reads_and_every_form_works(
    browser: Browser, site: str, pool: Pool, seeded: Seeded
) -> None:
    page = await signed_in(browser, site, pool, java_script_enabled=False)
    assert await page.locator("h1").inner_text() == (
        "netsuite is stopped. 8\u00a0cases hold back 84,000.00\u00a0EUR, 12,500,000\u00a0JPY and 624,006.00\u00a0USD; "
        "the oldest is 30\u00a0h old."
    )
    await page.goto(f"{site}/cases/{seeded.gate_case}")
    await page.get_by_label("Country (two letters, such as DE)").fill("PH")
    await page.get_by_role("button", name="Correct and retry").first.click()
    assert "“Philipines” means “PH” now" in await page.get_by_role("status").first.inner_text()
    async with pool.connection() as db:
        row = await (await db.execute("SELECT meaning FROM reference WHERE given = 'Philipines'")).fetchone()
    assert row == ("PH",)


async def test_a_decision_is_answered_and_its_case_closed(
    browser: Browser, site: str, pool: Pool, seeded: Seeded
) -> None:
    page = await signed_in(browser, site, pool)
    await page.goto(f"{site}/cases/{seeded.question_case}")
    await page.get_by_label("bill on").check()
    await page.get_by_role("button", name="Answer").click()
    assert "Answered: bill on." in await page.locator(".done").inner_text()
    assert "answered: bill on" in await page.locator("#head").inner_text()


async def test_cancelling_shows_what_it_takes_back_before_it_happens(
    browser: Browser, site: str, pool: Pool, seeded: Seeded
) -> None:
    async with transaction(pool) as db:
        await db.execute("UPDATE effect SET process_id = 103 WHERE id IN (501, 503)")
    page = await signed_in(browser, site, pool)
    await page.goto(f"{site}/cases/{seeded.refused_case}")
    await page.get_by_text("Cancel the process").click()
    taken = await page.locator("form[action$='/cancel'] ol li").all_inner_texts()
    assert taken == ["Schedule Managed platform service", "Create project P-0061-US"]


async def test_each_number_of_the_flow_leads_to_its_rows(
    browser: Browser, site: str, pool: Pool, seeded: Seeded
) -> None:
    page = await signed_in(browser, site, pool)
    boxes = page.locator("svg.flow.wide a")
    assert await boxes.count() == 8
    await boxes.filter(has_text="Disputed").click()
    await page.wait_for_url("**/billing?stage=disputed")
    assert await page.locator("tbody tr").count() == 1


async def test_the_picture_of_the_story_leads_to_its_rows(
    browser: Browser, site: str, pool: Pool, seeded: Seeded
) -> None:
    page = await signed_in(browser, site, pool)
    await page.goto(f"{site}/engagements/{DEAL}")
    lanes = await page.locator(".story .lane-name").all_text_contents()
    assert lanes == ["CRM", "Accord", "ERP", "Billing"]
    mark = page.locator(".story a.mark").filter(has_text="Won").first
    target = await mark.get_attribute("href")
    assert "Opportunity won" in await page.locator(f"{target}").inner_text()
    assert await page.locator("tr.gap").count() >= 3
    await page.emulate_media(media="print")
    assert not await page.locator("nav[aria-label=Main]").is_visible()


async def test_rows_are_walked_by_keyboard(browser: Browser, site: str, pool: Pool, seeded: Seeded) -> None:
    page = await signed_in(browser, site, pool)
    await page.goto(f"{site}/cases")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
    for _ in range(2):
        await page.keyboard.press("j")
    await page.keyboard.press("k")
    focused = await page.evaluate("document.activeElement.textContent")
    assert "Post invoice ACC-0003" in focused
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/cases/{seeded.refused_case}")
    await page.keyboard.press("/")
    assert await page.evaluate("document.activeElement.id") == "find"
    await page.keyboard.type("0061")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/engagements/{DEAL}")


async def test_what_happens_appears_by_itself_and_focus_stays_where_it_was(
    browser: Browser, site: str, pool: Pool, seeded: Seeded
) -> None:
    page = await signed_in(browser, site, pool)
    await page.goto(f"{site}/engagements/{DEAL}")
    await page.get_by_text("● Live.").wait_for()
    link = page.locator("#steps a").first
    await link.focus()
    await link.evaluate("each => { window.kept = each; each.dataset.mine = 'yes'; }")
    async with pool.connection() as db, db.transaction():
        payload = {"reason": "card_declined", "amount": money("7500.00", "USD")}
        await event(db, datetime.now(UTC), "payment.failed", "PAY-9", payload)
    await page.get_by_role("cell", name="Payment failed: card_declined").wait_for()
    assert await page.evaluate("document.activeElement === window.kept"), "the same element still has the focus"
    assert page.errors == []


async def test_only_what_touches_its_engagement_stirs_a_page(
    browser: Browser, site: str, pool: Pool, seeded: Seeded
) -> None:
    page = await signed_in(browser, site, pool)
    await page.goto(f"{site}/engagements/{seeded.held}")
    await page.get_by_text("● Live.").wait_for()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if request.resource_type == "fetch" else None)
    async with pool.connection() as db, db.transaction():
        await event(db, datetime.now(UTC), "payment.failed", "PAY-9", {"reason": "of another"})
    await page.wait_for_timeout(3500)
    assert fetched == []
    async with pool.connection() as db, db.transaction():
        await event(db, datetime.now(UTC), "payment.failed", "PAY-9", {"reason": "of this"}, correlation=seeded.held)
    await page.get_by_role("cell", name="Payment failed: of this").wait_for()


async def test_what_happened_while_a_page_was_on_its_way_is_not_missed(
    browser: Browser, site: str, pool: Pool, seeded: Seeded
) -> None:
    """A transaction that began before the page was read and commits after it has an older number than what is shown."""
    page = await signed_in(browser, site, pool)
    async with pool.connection() as slow, slow.transaction():
        await event(slow, datetime.now(UTC), "payment.failed", "PAY-9", {"reason": "late"})
        async with pool.connection() as quick, quick.transaction():
            await event(quick, datetime.now(UTC), "payment.failed", "PAY-8", {"reason": "soon"})
        await page.goto(f"{site}/engagements/{DEAL}")
        await page.get_by_text("● Live.").wait_for()
        await page.get_by_role("cell", name="Payment failed: soon").wait_for()
        await page.wait_for_timeout(1500)
        assert await page.get_by_role("cell", name="Payment failed: late").count() == 0
    await page.get_by_role("cell", name="Payment failed: late").wait_for()
