"""The conformance suite finds what it is there to find: one defect at a time, each met by the check that names it."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from accord.connect.auth import TokenGrant, client_credentials
from accord.connect.conformance import CHECKS, Check
from accord.connect.connector import Action, Connector, Observed, Page, Watermark, Webhook
from accord.connect.failures import CallFailed
from accord.connect.mapping import Mapping, coded, key, version
from accord.connect.observation import observed
from accord.connect.session import Session
from accord.engine.outcomes import Absent, Committed, Outcome, Rejected, Transient, Write
from tests.connect.rolodex_bench import connector_of_the_page, rolodex_bench

Defect = Callable[[Connector], Connector]
GOOD = connector_of_the_page()
CUSTOMERS = GOOD.resources["customer"]
PUT = CUSTOMERS.actions["put"]


def with_resource(**changed: Any) -> Connector:
    return replace(GOOD, resources={"customer": replace(CUSTOMERS, **changed)})


def with_put(**changed: Any) -> Connector:
    return with_resource(actions={"put": replace(PUT, **changed)})


def with_webhook(**changed: Any) -> Connector:
    assert GOOD.webhook is not None
    webhook: Webhook = replace(GOOD.webhook, **changed)
    return replace(GOOD, webhook=webhook)


async def one_page(session: Session, since: Watermark | None) -> AsyncIterator[Page]:
    assert CUSTOMERS.changed is not None
    async for page in CUSTOMERS.changed(session, since):
        yield page
        return


async def follows_for_ever(session: Session, since: Watermark | None) -> AsyncIterator[Page]:
    query: dict[str, Any] | None = {"limit": 10, "since": since.at if since else "", "after": since.id if since else ""}
    while query:
        answer = (await session.call("GET", "/customers", query=query)).json()
        cards = tuple(observed(CUSTOMERS.mapping, card) for card in answer["customers"])
        yield Page(cards, Watermark(cards[-1].version) if cards else None)
        query = {"limit": 10, **answer["next"]} if answer["next"] else None


async def backwards(session: Session, since: Watermark | None) -> AsyncIterator[Page]:
    assert CUSTOMERS.changed is not None
    async for page in CUSTOMERS.changed(session, since):
        yield Page(page.observed, Watermark(page.observed[0].version[::-1]) if page.observed else None)


async def never_again(session: Session, since: Watermark | None) -> AsyncIterator[Page]:
    assert CUSTOMERS.changed is not None
    if since is None:
        async for page in CUSTOMERS.changed(session, since):
            yield page


async def without_problems(session: Session, since: Watermark | None) -> AsyncIterator[Page]:
    assert CUSTOMERS.changed is not None
    async for page in CUSTOMERS.changed(session, since):
        yield Page(tuple(replace(each, problems=()) for each in page.observed), page.watermark)


async def invents(session: Session, ids: Sequence[str]) -> Sequence[Observed]:
    return [Observed("customer", id, "1", {}) for id in ids]


async def a_new_one_each_time(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
    return await PUT.send(
        session, [replace(each, canonical_id=f"{each.canonical_id}-{each.attempt}") for each in writes]
    )


async def says_transient(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
    outcomes = await PUT.send(session, writes)
    return [each if isinstance(each, Committed) else Transient("try again") for each in outcomes]


async def tries_again(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
    outcomes = await PUT.send(session, writes)
    return outcomes if isinstance(outcomes[0], Committed) else await PUT.send(session, writes)


async def forgets_one(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
    return (await PUT.send(session, writes))[: max(1, len(writes) - 1)]


async def refuses_all(session: Session, writes: Sequence[Write]) -> Sequence[Outcome]:
    outcomes = await PUT.send(session, writes)
    return [Rejected("batch", "all or none")] * len(writes) if len(writes) > 1 else outcomes


async def always_there(session: Session, write: Write) -> Outcome:
    return Committed()


async def never_there(session: Session, write: Write) -> Outcome:
    return Absent()


class Impatient(TokenGrant):
    """Buys a token for every refusal, one after the other."""

    async def renew(self, *arguments: Any) -> bool:
        self._refused_at = None
        return await super().renew(*arguments)


class EachItsOwn(TokenGrant):
    """Every refused call buys a token of its own."""

    async def renew(self, ticket: int, answer: Any, exchange: Any, now: Any) -> bool:
        await self._buy(exchange, now)
        return True


def logging_in_as(kind: type[TokenGrant]) -> Connector:
    def auth(settings: Any) -> TokenGrant:
        good = client_credentials(
            token_url=f"{settings['base_url']}/token",
            client_id=settings["client_id"],
            client_secret=settings["client_secret"],
        )
        return kind(good._make_request)

    return replace(GOOD, auth=auth)


async def past_the_budget(session: Session) -> str:
    from accord.connect.authenticator import Outgoing

    proof = session._authenticator.sign(Outgoing("GET", "", {}), session.now)
    return str((await session._exchange(Outgoing("GET", f"{session.base_url}/me", proof))).status)


async def talkative(session: Session) -> str:
    said = await GOOD.check(session)
    proof = session._authenticator.sign(None, session.now)  # type: ignore[arg-type]
    logging.getLogger("rolodex").debug("sent %s", proof)
    return said


async def without_a_lease(session: Session) -> str:
    session.may_send = lambda: True
    return await GOOD.check(session)


def chatty_classify(status: int, headers: Any, body: Any) -> Outcome:
    print("correct-horse-battery")  # noqa: T201
    return GOOD.classify(status, headers, body)


NUMBERS = count()
LOSES_ZERO = coded("balance", "balance", lambda units: units, lambda units: units or None, (1, 0))
LOSSY = Mapping("rolodex.customer", "customer", "Card", rows=(key("id"), version("changed"), LOSES_ZERO))

DEFECTS: dict[str, list[Connector]] = {
    "reads_all_pages_and_stops": [with_resource(changed=one_page)],
    "the_same_page_twice_is_an_error": [with_resource(changed=follows_for_ever), with_resource(changed=one_page)],
    "a_watermark_never_goes_back": [with_resource(changed=backwards), with_resource(changed=never_again)],
    "objects_are_read_by_id": [with_resource(get=invents)],
    "a_renamed_field_is_not_silent": [with_resource(changed=without_problems)],
    "put_twice_is_one_record": [with_put(send=a_new_one_each_time)],
    "a_lost_answer_is_found_by_the_probe": [with_put(send=says_transient), with_put(probe=never_there)],
    "a_lost_request_is_found_absent": [with_put(probe=always_there)],
    "too_many_calls_wait_what_the_vendor_says": [with_put(send=tries_again), with_put(send=says_transient)],
    "what_is_refused_is_not_tried_again": [with_put(send=tries_again), with_put(send=says_transient)],
    "a_batch_answers_one_outcome_each": [with_put(send=forgets_one), with_put(send=refuses_all)],
    "an_expired_token_is_renewed_once": [logging_in_as(EachItsOwn)],
    "refused_credentials_do_not_loop": [logging_in_as(Impatient)],
    "the_budget_is_never_exceeded": [replace(GOOD, check=past_the_budget)],
    "an_expired_lease_sends_nothing": [replace(GOOD, check=without_a_lease)],
    "secrets_are_never_shown": [replace(GOOD, check=talkative), replace(GOOD, classify=chatty_classify)],
    "a_genuine_push_is_let_in": [
        with_webhook(event_ids=lambda headers, body: ["another"]),
        with_webhook(translate=lambda headers, body: []),
    ],
    "a_duplicate_push_has_the_same_ids": [
        with_webhook(event_ids=lambda headers, body: [f"{next(NUMBERS)}"]),
    ],
    "a_forged_push_is_refused": [with_webhook(verify=lambda headers, body, secrets, now: None)],
    "an_old_push_is_refused": [
        with_webhook(verify=lambda headers, body, secrets, now: None),
    ],
    "a_huge_push_is_refused_unread": [with_webhook(max_body=10**9)],
    "mappings_keep_the_law": [with_resource(mapping=LOSSY)],
}
CASES = [
    pytest.param(check, defect, id=f"{check.__name__}-{number}")
    for check in CHECKS
    for number, defect in enumerate(DEFECTS[check.__name__])
]


@pytest.mark.parametrize(("check", "defect"), CASES)
async def test_a_defect_is_caught(check: Check, defect: Connector, tmp_path: Path) -> None:
    async with rolodex_bench(defect, tmp_path) as (bench, _):
        with pytest.raises((AssertionError, CallFailed)):
            await check(bench)


def test_every_check_has_a_defect_it_catches() -> None:
    """A check nobody has seen fail proves nothing."""
    assert {check.__name__ for check in CHECKS} == set(DEFECTS)
    assert json.dumps(sorted(DEFECTS))
    assert all(isinstance(action, Action) for action in CUSTOMERS.actions.values())
