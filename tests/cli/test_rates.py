"""`accord rates` and `accord terms release` by the command line."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from accord.db.pool import open_pool
from accord.model.terms import Cap, CapLevel
from tests.ledger.worked import TERMS, agree, entry, usd, work

from .conftest import Accord


def test_rates_are_loaded_once_and_used_by_a_policy(accord: Accord, tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_text("date,base,quote,rate\n2026-11-02,EUR,USD,1.0912\n2026-11-03,EUR,USD,1.0950\n")
    load = ("rates", "load", str(file), "--source", "ECB", "--by", "fatima")
    assert [accord(*load).out, accord(*load).out] == ["2 of 2 rates are new\n", "0 of 2 rates are new\n"]
    assert accord("rates", "use", "ECB", "--by", "fatima").out == "version 1 of the policy counts from now on\n"
    assert accord("rates", "use", "ECB", "--date", "invoice_date", "--by", "fatima").code == 2
    file.write_text("date,base,quote,rate\n2026-11-02,EUR,USD,1.1\n")
    assert "is 1.0912" in accord(*load).sentence
    file.write_text("date,base,quote,rate\n2026-11-02,EUR,USD,dear\n")
    assert "line 2" in accord(*load).sentence


def test_what_a_person_chose_is_set_free(accord: Accord, database_url: str) -> None:
    async def waiting() -> None:
        pool = await open_pool(database_url, max_size=2)
        try:
            await agree(pool, replace(TERMS, caps=(Cap("PO", CapLevel.CONTRACT, usd("800")),)))
            await work(pool, entry(2), entry(3), entry(4))
            raised = (Cap("PO", CapLevel.CONTRACT, usd("1600")),)
            await agree(pool, replace(TERMS, caps=raised, released_in="chosen"))
        finally:
            await pool.close()

    asyncio.run(waiting())
    release = ("terms", "release", "DEA-1", "US", "--by", "petra")
    assert accord(*release, "--item", "BIL-4-1").out == "1 parts with 800.00 are billable now\n"
    assert accord(*release, "--item", "BIL-4-1").code == 2
    assert accord("terms", "release", "DEA-9", "US", "--by", "petra").code == 4
