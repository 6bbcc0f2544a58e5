"""The documentation says what the code does: commands, settings, errors, measures, links, and the example runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from accord import errors
from accord.cli.commands import app
from accord.db.pool import Pool
from accord.engine.story import Effect, Process
from accord.insight.metrics import exposition
from accord.model import events
from accord.model.engagement import Engagement
from accord.model.events import Fact
from accord.model.money import Money
from accord.settings import Settings
from tests.processes.telling import NOW, tell

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = ROOT / "docs" / "reference"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
OF_TYPER = ("help",)


def commands(command: Any, path: tuple[str, ...] = ("accord",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", [path for path in ALL if not hasattr(ALL[path], "commands")], ids=" ".join)
def test_every_command_and_option_is_described(path: tuple[str, ...]) -> None:
    sections = (REFERENCE / "commands.md").read_text().split("\n## ")
    [section] = [each for each in sections if re.match(rf"`{' '.join(path)}[ `]", each)]
    assert " ".join(ALL[path].help.split()) in section
    for each in ALL[path].params:
        if each.name in OF_TYPER:
            continue
        shown = each.opts[0] if each.param_type_name == "option" else each.name.upper()
        line = next((line for line in section.splitlines() if re.match(rf"- `{shown}[ `]", line)), "")
        assert each.help in line, f"{' '.join(path)} {shown}"


def test_no_command_is_described_that_is_not_there() -> None:
    described = re.findall(r"^## `(accord[^`]*)`", (REFERENCE / "commands.md").read_text(), re.MULTILINE)
    assert [each for each in described if not known(each)] == []


def test_options_of_all_commands_are_described() -> None:
    text = (REFERENCE / "commands.md").read_text()
    shown = [each.opts[0] for each in ALL["accord",].params if each.name not in OF_TYPER]
    assert shown
    assert [option for option in shown if option not in text] == []


def test_every_setting_is_described() -> None:
    rows = dict(re.findall(r"^\| `(ACCORD_\w+)` \| (.*) \|$", (REFERENCE / "settings.md").read_text(), re.MULTILINE))
    assert set(rows) == {f"ACCORD_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        default, _, text = rows[f"ACCORD_{name.upper()}"].partition(" | ")
        assert text == field.description
        if field.default_factory is None:
            wanted = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
            assert default == ("none" if field.default is None else f"`{wanted}`")


def test_every_error_is_described() -> None:
    text = (REFERENCE / "errors.md").read_text()
    found = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.AccordError)]
    assert len(found) >= 7
    for each in found:
        if each is not errors.AccordError:
            assert f"| `{each.__name__}` | {each.exit_code} | {each.http_status} |" in text


async def test_every_measure_is_described(pool: Pool) -> None:
    async with pool.connection() as db:
        told = (await exposition(db)).decode()
    names = set(re.findall(r"^# TYPE (accord_\w+)", told, re.MULTILINE))
    assert len(names) > 10
    text = (REFERENCE / "errors.md").read_text()
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", FENCE.sub("", page.read_text()))
    gone = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert gone == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_shows_exists(page: Path) -> None:
    text = page.read_text()
    inline = re.findall(r"`((?:accord|make) [^`\n]+)`", FENCE.sub("", text))
    blocks = [line for _, block in FENCE.findall(text) for line in block.splitlines()]
    shown = [*inline, *(line for line in blocks if re.match(r"(accord|make) [a-z-]", line))]
    assert [line for line in shown if not known(line)] == []


def known(line: str) -> bool:
    """Whether a command line names a command there is, with options it has."""
    words = line.partition("#")[0].split()
    if words[0] == "make":
        return f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
    path = ("accord",)
    while len(path) < len(words) and (*path, words[len(path)]) in ALL:
        path = (*path, words[len(path)])
    command = ALL[path]
    below = getattr(command, "commands", {})
    rest = words[len(path) :]
    if below and rest and not rest[0].startswith("-") and rest[0] != "COMMAND":
        # A group where one of its commands belongs; `accord --home HOME COMMAND` shows an option of all of them.
        return False
    options = {name for each in command.params for name in each.opts} | {"--help"}
    return all(word in options for word in rest if word.startswith("--"))


def test_the_process_of_the_guide_runs() -> None:
    text = (ROOT / "docs" / "how-to" / "add-a-process.md").read_text()
    [code] = [block for language, block in FENCE.findall(text) if language == "python"]
    made: dict[str, Any] = {"__name__": "accord.processes.welcome"}
    exec(compile(code, "add-a-process.md", "exec"), made)
    welcome = made["welcome"]
    assert isinstance(welcome, Process)
    fact = Fact(events.PROJECT_ACTIVATED, "DEA-1", NOW, "accord", {}, "DEA-1")
    engagement = Engagement(
        "DEA-1", "NW-1", "Northwind", "CUS-1", (), 30, (Money.of("1.00", "USD"),), "active", policy_version=1
    )
    done = tell(welcome, fact, {"read:engagement:DEA-1": engagement}, {})
    [written] = [each for each in done if isinstance(each, Effect)]
    assert (written.role, written.verb, written.kind) == ("crm", "put", "notice")
