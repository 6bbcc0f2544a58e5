"""What the door must do: let in what is genuine, each event once, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from accord.connect.conformance.bench import Bench, NotApplicable, PushCase, each_of
from accord.connect.connector import Arrival, Refusal, Webhook
from accord.connect.intake import Accepted, receive

_OLD = timedelta(hours=1)
_LARGEST_LIMIT = 25_000_000


async def a_genuine_push_is_let_in(bench: Bench) -> None:
    """It is accepted, and what it is translated to carries the ids read at the door."""
    webhook = _webhook(bench)
    for case in each_of(bench.pushing, "it pushes nothing"):
        headers, body = case.make(bench.now())
        accepted = _let_in(webhook, case, headers, body, bench)
        arrivals = webhook.translate(headers, body)
        assert all(isinstance(each, Arrival) for each in arrivals)
        assert {each.event_id for each in arrivals} == set(accepted.event_ids), f"{case.name}: ids differ"
        assert all(each.items or each.ignored for each in arrivals), f"{case.name}: an event without items or reason"


async def a_duplicate_push_has_the_same_ids(bench: Bench) -> None:
    """Sent again later, signed anew, the events keep their ids: the inbox sees that it knows them."""
    webhook = _webhook(bench)
    for case in each_of(bench.pushing, "it pushes nothing"):
        headers, body = case.make(bench.now())
        again, same = case.make(bench.now())
        first = _let_in(webhook, case, headers, body, bench)
        second = _let_in(webhook, case, again, same, bench)
        assert first.event_ids == second.event_ids, f"{case.name}: a duplicate has other ids"


async def a_forged_push_is_refused(bench: Bench) -> None:
    """Another secret, no signature, a changed body, an empty one, a strange one: 4xx, and no secret in the reason."""
    webhook = _webhook(bench)
    for case in each_of(bench.pushing, "it pushes nothing"):
        headers, body = case.make(bench.now())
        _let_in(webhook, case, headers, body, bench)
        others = {name: f"{value}x" for name, value in case.secrets.items() if isinstance(value, str)}
        _is_refused(case, receive(webhook, headers, body, others, bench.now()), "another secret")
        _is_refused(case, receive(webhook, headers, body, {}, bench.now()), "no secret")
        _is_refused(case, receive(webhook, {}, body, case.secrets, bench.now()), "no headers")
        for changed in (body + b" ", body[:-1], b"", b"\xff\x00", body.replace(b"1", b"2", 1)):
            if changed != body:
                _is_refused(case, receive(webhook, headers, changed, case.secrets, bench.now()), "a changed body")


async def an_old_push_is_refused(bench: Bench) -> None:
    """A push recorded an hour ago and sent again is refused, where the signature says when it was made."""
    webhook = _webhook(bench)
    cases = [case for case in bench.pushing if case.signs_time]
    for case in each_of(cases, "its signature says nothing of the time"):
        headers, body = case.make(bench.now() - _OLD)
        _is_refused(case, receive(webhook, headers, body, case.secrets, bench.now()), "an old signature")


async def a_huge_push_is_refused_unread(bench: Bench) -> None:
    """Size is looked at before anything else, and the limit is one a server can hold many of."""
    webhook = _webhook(bench)
    assert webhook.max_body <= _LARGEST_LIMIT, f"pushes of {webhook.max_body} bytes are let in"
    refusal = receive(webhook, {}, b"x" * (webhook.max_body + 1), {}, bench.now())
    assert isinstance(refusal, Refusal), "a huge push was let in"
    assert refusal.status == 413, f"a huge push was answered {refusal.status}"


def _webhook(bench: Bench) -> Webhook:
    if bench.connector.webhook is None:
        raise NotApplicable("it pushes nothing")
    return bench.connector.webhook


def _let_in(webhook: Webhook, case: PushCase, headers: Mapping[str, str], body: bytes, bench: Bench) -> Accepted:
    taken = receive(webhook, headers, body, case.secrets, bench.now())
    assert isinstance(taken, Accepted), f"{case.name}: a genuine push was refused: {taken}"
    return taken


def _is_refused(case: PushCase, taken: Accepted | Refusal, why: str) -> None:
    assert isinstance(taken, Refusal), f"{case.name}: {why} was let in"
    assert 400 <= taken.status < 500, f"{case.name}: {why} was answered {taken.status}"
    shown = [each for each in case.secrets.values() if isinstance(each, str) and each in taken.reason]
    assert not shown, f"{case.name}: the reason shows a secret"
