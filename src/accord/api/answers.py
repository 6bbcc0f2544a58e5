"""From what the rooms below give to what the API says."""

from __future__ import annotations

from accord.api import models
from accord.insight import engagements, processes
from accord.insight.timeline import Entry, Timeline
from accord.workbench import cases


def process(story: processes.Story) -> models.ProcessStory:
    line = models.Process.model_validate(story.line)
    return models.ProcessStory(
        **line.model_dump(),
        trigger=story.trigger,
        result=story.result,
        effects=[models.Effect.model_validate(each) for each in story.effects],
        cases=list(story.cases),
    )


def engagement(found: engagements.Overview) -> models.Engagement:
    return models.Engagement.model_validate(found)


def timeline(engagement: str, found: Timeline) -> models.Timeline:
    return models.Timeline(
        engagement=engagement,
        entries=[_entry(each) for each in found.entries],
        open=[_entry(each) for each in found.open],
        cut=found.cut,
    )


def _entry(entry: Entry) -> models.TimelineEntry:
    return models.TimelineEntry.model_validate(entry)


def case(found: cases.Case) -> models.Case:
    return models.Case.model_validate(found)


def case_file(found: cases.CaseFile) -> models.CaseFile:
    return models.CaseFile.model_validate(found)
