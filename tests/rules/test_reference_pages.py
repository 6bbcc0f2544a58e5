"""The pages on measures and revenue show what the rules really give."""

import doctest
import re
from pathlib import Path

import pytest

from accord.rules.measures.catalogue import DEFINITIONS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
FENCE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["measures.md", "revenue.md"])
def test_every_worked_value_of_a_page_is_what_the_rules_give(page: str) -> None:
    """The blocks of a page are one session, from its top to its end."""
    blocks = "\n\n".join(FENCE.findall((REFERENCE / page).read_text()))
    session = doctest.DocTestParser().get_doctest(blocks, {}, page, page, 0)
    said: list[str] = []
    found = doctest.DocTestRunner().run(session, out=said.append)
    assert found.attempted > 20
    assert found.failed == 0, "".join(said)


def test_every_definition_is_on_the_page_as_it_is() -> None:
    rows = re.findall(
        r"^\| `([\w.@]+)` \| (.*) \| (\S+) \| (.*?) ?\|$", (REFERENCE / "measures.md").read_text(), re.MULTILINE
    )
    assert {id: (formula, unit, note) for id, formula, unit, note in rows} == {
        each.id: (each.formula, each.unit.value.replace("_", "-"), each.note) for each in DEFINITIONS.values()
    }
