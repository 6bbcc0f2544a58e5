"""The milestones of an applied contract change reach billing and the ERP, unless one was billed meanwhile."""

from __future__ import annotations

from dataclasses import replace

from accord.engine.story import Effect, Keep, Require
from accord.model import events
from accord.model.engagement import Engagement, EngagementProject
from accord.model.events import Fact
from accord.model.money import Money
from accord.model.plain import to_plain
from accord.processes import PROCESSES
from tests.processes.scenarios import CHANGED, HYPERCARE
from tests.processes.telling import NOW, tell

ENGAGEMENT = Engagement(
    "DEA-1", "NW-1", "Northwind", "CUS-1", (EngagementProject("US", "PRJ-1", "P1"),), 30, (Money.of("1", "USD"),),
    "active", policy_version=1,
)  # fmt: skip
FACT = Fact(
    events.CONTRACT_PLAN_APPLIED, "DEA-1", NOW, "t",
    {"plan": "CO-1", "milestones": [to_plain(each) for each in CHANGED]}, "DEA-1",
)  # fmt: skip


def test_each_milestone_is_written_to_erp_and_billing_and_kept() -> None:
    done = tell(PROCESSES["contract_plan"], FACT, {"read:engagement:DEA-1": ENGAGEMENT}, {})
    written = [(each.role, each.kind, each.entity) for each in done if isinstance(each, Effect)]
    assert written == [("erp", "task", "US"), ("billing", "scheduled_milestone", "US")] * 2
    [kept] = [each for each in done if isinstance(each, Keep)]
    assert [id for _, id, _ in kept.objects] == [each.id for each in CHANGED]
    [asked] = [each for each in done if isinstance(each, Require)]
    assert asked.problems == ()


def test_one_that_was_billed_meanwhile_is_a_case() -> None:
    billed = {f"read:scheduled_milestone:{HYPERCARE.id}": replace(HYPERCARE, status="billed")}
    done = tell(PROCESSES["contract_plan"], FACT, {"read:engagement:DEA-1": ENGAGEMENT, **billed}, {})
    [asked] = [each for each in done if isinstance(each, Require)]
    assert [each.message for each in asked.problems] == ["Hypercare was billed meanwhile."]


def test_an_engagement_that_is_not_active_is_a_case() -> None:
    """Nothing is known: the story reads the engagement and both milestones, and asks."""
    story = PROCESSES["contract_plan"].story(FACT)
    asked = [story.send(None) for _ in range(4)][-1]
    story.close()
    assert isinstance(asked, Require)
    assert [each.code for each in asked.problems] == ["engagement_not_active"]
