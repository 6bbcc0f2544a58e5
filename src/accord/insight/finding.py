"""From what a person has in hand (an id, a number, a name) to the engagement it belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from accord.engine.shell import Connection
from accord.errors import Conflict, NotFound

# Each question is answered by an index; the first that has an answer decides.
BY_ID = """
SELECT d.id, d.body ->> 'number', d.body ->> 'name' FROM record d
WHERE d.kind = 'deal' AND d.id = coalesce((SELECT correlation FROM record r WHERE r.id = %(text)s
    AND r.kind = ANY('{deal,engagement,project,invoice,scheduled_milestone,recurring_schedule,payment,dispute}')
    AND r.correlation IS NOT NULL LIMIT 1), %(text)s)
  AND (%(entities)s::text[] IS NULL OR of_entities(d.body, %(entities)s))
"""
BY_NUMBER = """
SELECT DISTINCT d.id, d.body ->> 'number', d.body ->> 'name' FROM record r
JOIN record d ON d.kind = 'deal' AND d.id = CASE r.kind WHEN 'deal' THEN r.id ELSE r.correlation END
WHERE r.kind IN ('deal', 'project', 'invoice') AND r.body ->> 'number' = %(text)s
  AND (%(entities)s::text[] IS NULL OR of_entities(d.body, %(entities)s)) LIMIT 6
"""
BY_NAME = """
SELECT d.id, d.body ->> 'number', d.body ->> 'name' FROM record d
WHERE d.kind = 'deal' AND lower(d.body ->> 'name') = lower(%(text)s)
  AND (%(entities)s::text[] IS NULL OR of_entities(d.body, %(entities)s)) LIMIT 6
"""
BY_WORDS = """
SELECT d.id, d.body ->> 'number', d.body ->> 'name' FROM record d
WHERE d.kind = 'deal'
  AND to_tsvector('simple', coalesce(d.body ->> 'name', d.body ->> 'legal_name')) @@ to_tsquery('simple', %(words)s)
  AND (%(entities)s::text[] IS NULL OR of_entities(d.body, %(entities)s)) LIMIT 6
"""


class NoSuchEngagement(NotFound):
    """Nothing is known by that id, number or name."""

    title = "No such engagement"


class SeveralEngagements(Conflict):
    """The name fits several engagements; use the number."""

    title = "Several engagements"


@dataclass(frozen=True, slots=True)
class Found:
    """An engagement, by what people call it. `id` is the deal's canonical id."""

    id: str
    number: str | None
    name: str | None


async def find_engagement(db: Connection, text: str, entities: Sequence[str] | None = None) -> Found:
    """The engagement of a deal id, deal number, project or invoice number, name, or words of the name.

    Raises NoSuchEngagement, SeveralEngagements.
    """
    wanted = text.strip()
    about = {"text": wanted, "words": words(wanted), "entities": None if entities is None else list(entities)}
    for query in (BY_ID, BY_NUMBER, BY_NAME, BY_WORDS):
        if query is BY_WORDS and not about["words"]:
            break
        rows = await (await db.execute(query, about)).fetchall()
        if len(rows) == 1:
            return Found(*rows[0])
        if rows:
            numbers = ", ".join(str(row[1] or row[0]) for row in rows[:5])
            raise SeveralEngagements(f"{wanted!r} fits several engagements ({numbers}...); use a number or id")
    raise NoSuchEngagement(
        f"no engagement has the id, number or name {wanted!r}; the list of engagements shows what there is"
    )


def words(text: str) -> str:
    """A text-search query for all words of a text, each as a beginning: `north:* & trans:*`. Empty when it has none."""
    return " & ".join(f"{word}:*" for word in re.findall(r"\w+", text.lower())[:8])
