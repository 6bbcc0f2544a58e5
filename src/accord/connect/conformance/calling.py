"""What every call must do: renew a token once for all, stay within the budget, and never show a secret."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

from accord.connect.conformance.bench import Bench, NotApplicable
from accord.connect.conformance.watch import WatchedSlots
from accord.connect.failures import CallFailed, outcome_of
from accord.connect.redaction import secret_values
from accord.connect.session import Session
from accord.engine.outcomes import Misconfigured


async def an_expired_token_is_renewed_once(bench: Bench) -> None:
    """Twenty calls meet an expired token together: one new one is bought and all twenty succeed."""
    if not bench.token_path:
        raise NotApplicable("it has no tokens")
    async with bench.session() as session:
        await bench.connector.check(session)
        bought = bench.token_calls()
        bench.inject("expire_tokens")
        said = await asyncio.gather(*(bench.connector.check(session) for _ in range(20)))
    assert all(said), "a call did not survive the renewal"
    assert bench.token_calls() == bought + 1, f"{bench.token_calls() - bought} tokens were bought for one expiry"


async def refused_credentials_do_not_loop(bench: Bench) -> None:
    """A vendor that refuses every call: the connection is misconfigured, and few tokens are bought to find out."""
    async with bench.session() as session:
        await bench.connector.check(session)
        bought, before = bench.token_calls(), len(bench.calls())
        bench.inject("status", path=bench.not_the_token(), status=401, times=1_000)
        outcomes = [await _checked(bench, session) for _ in range(5)]
    assert all(isinstance(each, Misconfigured) for each in outcomes), f"refused credentials were called {outcomes[0]}"
    assert bench.token_calls() - bought <= 1, f"{bench.token_calls() - bought} tokens were bought in vain"
    assert len(bench.calls()) - before <= 15, "refused calls were repeated"


async def the_budget_is_never_exceeded(bench: Bench) -> None:
    """Fifty calls together with a budget of three: every call holds a slot, never more than three do."""
    slots = WatchedSlots(limit=3)
    async with bench.session(slots) as session:
        await bench.connector.check(session)
        before = len(bench.calls()) - bench.token_calls()
        taken = slots.taken
        await asyncio.gather(*(bench.connector.check(session) for _ in range(50)))
        seen = len(bench.calls()) - bench.token_calls() - before
    assert slots.highest <= 3
    assert slots.taken - taken == seen, f"{seen} calls were made with {slots.taken - taken} slots"
    if bench.peak is not None:
        assert bench.peak() <= 3, f"the vendor saw {bench.peak()} calls at once"


async def an_expired_lease_sends_nothing(bench: Bench) -> None:
    """A worker that lost its lease makes no call at all."""
    async with bench.session() as session:
        await bench.connector.check(session)
        before = len(bench.calls())
        session.may_send = lambda: False
        try:
            await bench.connector.check(session)
        except CallFailed:
            pass
        else:
            raise AssertionError("a call was made without a lease")
    assert len(bench.calls()) == before


async def secrets_are_never_shown(bench: Bench) -> None:
    """Good and bad credentials, lost answers, refusals: nothing logged, raised, traced or printed has one."""
    hidden = {each.name for each in bench.connector.credentials if not each.secret}
    stored = {name: value for name, value in bench.connection.credentials.items() if name not in hidden}
    secrets = [each for each in [*secret_values(stored), *bench.secrets] if len(each) >= 6]
    if not secrets:
        raise NotApplicable("it has no secrets")
    wrong = {name: _spoiled(value) for name, value in stored.items() if isinstance(value, str)}
    with _everything_shown() as shown:
        bought = await _misadventures(bench, shown)
        spoiled = replace(bench.connection, credentials={**bench.connection.credentials, **wrong})
        bought |= await _misadventures(replace(bench, connection=spoiled), shown)
    text = shown.getvalue()
    every = [piece for each in [*secrets, *wrong.values(), *bought] for piece in _pieces(each)]
    found = [f"{each[:3]}…" for each in every if each in text or quote(each, safe="") in text]
    assert not found, f"shown: {', '.join(found)}"


async def _misadventures(bench: Bench, shown: io.StringIO) -> set[str]:
    """Whatever can go wrong with a call, written down with everything a log could hold of it; the tokens bought."""
    async with bench.session() as session:
        for fault in ({"status": 500}, {"status": 401}, {"status": 429}, {}):
            if fault:
                bench.inject("status", path=bench.not_the_token(), **fault)
            shown.write(f"\n{await _checked(bench, session, shown)!r} {session!r} {vars(session)!r}")
        bench.inject("lose_answer", path=bench.not_the_token())
        shown.write(f"\n{await _checked(bench, session, shown)!r}")
        for case in bench.writing:
            if case.refused is not None:
                shown.write(f"\n{await bench.action(case).send(session, [case.refused()])!r}")
        shown.write(f"\n{bench.connection!r} {bench.connector!r}")
        return set(session.secrets())


async def _checked(bench: Bench, session: Session, shown: io.StringIO | None = None) -> object:
    try:
        return await bench.connector.check(session)
    except CallFailed as error:
        if shown is not None:
            shown.write("".join(traceback.TracebackException.from_exception(error, capture_locals=False).format()))
        return outcome_of(error)


@contextlib.contextmanager
def _everything_shown() -> Iterator[io.StringIO]:
    """Every log at DEBUG, standard output and error, in one text."""
    shown = io.StringIO()
    handler = logging.StreamHandler(shown)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            yield shown
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def _spoiled(secret: str) -> str:
    """Another secret of the same looks: refused by the vendor, and no less secret."""
    if "PRIVATE KEY" in secret:
        return secret  # another key needs another certificate; the vendor's answer to a wrong one is tested elsewhere
    return f"{secret[:-4]}{secret[-4:][::-1]}x"


def _pieces(secret: str) -> list[str]:
    return [line for line in secret.splitlines() if len(line) >= 6 and not line.startswith("-----")]
