"""The how-to page on adding a vendor is true: its code, run as it stands, passes the conformance suite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from accord.connect.conformance import CHECKS, Bench, Check, NotApplicable
from tests.connect.rolodex_bench import PAGE, connector_of_the_page, rolodex_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with rolodex_bench(connector_of_the_page(), tmp_path) as (ready, _):
        yield ready


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_conforms(check: Check, bench: Bench) -> None:
    try:
        await check(bench)
    except NotApplicable as why:
        pytest.skip(str(why))


def test_the_page_names_every_row_there_is() -> None:
    """A kind of row that the page does not mention cannot be found by a newcomer."""
    from accord.connect import mapping

    rows = [name for name in mapping.__all__ if name.islower() and name != "drift"]
    missing = [name for name in rows if f"`{name}`" not in PAGE.read_text()]
    assert not missing
