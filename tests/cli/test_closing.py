"""`accord close`: the calendar, the gate, four eyes and late work by the command line."""

from __future__ import annotations

from accord.reconcile.matches import MATCHES

from .conftest import Accord


def test_a_period_is_closed_by_the_command_line(accord: Accord) -> None:
    assert accord("close", "status", "--json").json == []
    told = accord("close", "calendar", "US", "--starts-on", "2026-11-01", "--months", "2", "--by", "fatima").out
    assert told == "2 of 2 periods are new or changed, 2026-11 to 2026-12\n"
    looked = accord("close", "status", "US", "2026-11")
    assert looked.code == 1
    assert f"{len(MATCHES)} not reconciled" in looked.err
    assert "time to ledger: was never run" in looked.out
    november = ("US", "2026-11")
    assert accord("close", "close", *november, "--by", "fatima").sentence == (
        f"2026-11 of US stays open: {len(MATCHES)} not reconciled; `accord close status` shows more"
    )
    reason = ("--reason", "no other systems", "--by", "fatima")
    assert accord("close", "override", *november, "not_reconciled", *reason).code == 0
    assert accord("close", "agree", *november, "not_reconciled", "--by", "fatima").code == 5
    assert accord("close", "agree", *november, "not_reconciled", "--by", "carla").code == 0
    assert accord("close", "close", *november, "--by", "fatima").out == "2026-11 of US is closed\n"
    states = {each["period"]: each["state"] for each in accord("close", "status", "US", "--json").json}
    assert states == {"2026-11": "closed", "2026-12": "open"}
    assert accord("close", "late", "US", "--json").json == []
    assert "close agree US 2026-11 reopen" in accord("close", "reopen", *november, *reason).out
    assert accord("close", "agree", *november, "reopen", "--by", "carla").out == "agreed; 2026-11 of US is open\n"


def test_fiscal_weeks_and_wrong_policies(accord: Accord) -> None:
    weeks = ("--weeks", "FY26", "--starts-on", "2026-01-05", "--by", "fatima")
    assert "FY26-P01 to FY26-P12" in accord("close", "calendar", "DE", *weeks).out
    wrong = accord("close", "calendar", "DE", *weeks, "--late-work", "ignore")
    assert (wrong.code, "'ignore' was given" in wrong.sentence) == (2, True)
