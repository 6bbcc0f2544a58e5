"""What every write must do: happen once, whatever is lost on the way, and say honestly what became of it."""

from __future__ import annotations

from dataclasses import replace

from accord.connect.conformance.bench import Bench, WriteCase, each_of
from accord.connect.conformance.watch import WatchedSlots
from accord.connect.session import Session
from accord.engine.outcomes import Absent, Committed, Outcome, Rejected, Transient, Unknown, Write


async def put_twice_is_one_record(bench: Bench) -> None:
    """The same write sent twice leaves one object, and both times the vendor's id of it comes back."""
    for case in each_of(bench.writing, "it writes nothing"):
        write = case.make(1)
        async with bench.session() as session:
            first = await bench.send_one(session, case, write)
            case.settle()
            again = replace(write, attempt=2, vendor_id=_vendor_id(first) or write.vendor_id)
            second = await bench.send_one(session, case, again)
            forgotten = await bench.send_one(session, case, replace(write, attempt=3))
        _is_committed(case, first, second, forgotten)
        assert len({_vendor_id(each) for each in (first, second, forgotten)}) == 1, f"{case.name}: ids differ"
        _is_held_once(case, write)


async def a_lost_answer_is_found_by_the_probe(bench: Bench) -> None:
    """The write happens and the answer is lost: the probe sees it, and sending it again changes nothing."""
    for case in each_of(bench.writing, "it writes nothing"):
        write = case.make(1)
        async with bench.session() as session:
            await bench.connector.check(session)
            bench.inject("lose_answer", method=case.method, path=case.path)
            first = await bench.send_one(session, case, write)
            assert isinstance(first, Unknown | Committed), f"{case.name}: a lost answer was called {first}"
            case.settle()
            probed = await bench.action(case).probe(session, write)
            _is_committed(case, probed)
            second = await bench.send_one(session, case, replace(write, attempt=2))
        _is_committed(case, second)
        assert _vendor_id(probed) in (None, _vendor_id(second)), f"{case.name}: the probe found another object"
        _is_held_once(case, write)


async def a_lost_request_is_found_absent(bench: Bench) -> None:
    """The connection breaks before the vendor works: the probe does not see it, and sending it again makes it one."""
    for case in each_of(bench.writing, "it writes nothing"):
        write = case.make(1)
        async with bench.session() as session:
            await bench.connector.check(session)
            bench.inject("lose_request", method=case.method, path=case.path)
            first = await bench.send_one(session, case, write)
            assert isinstance(first, Unknown | Transient), f"{case.name}: a lost request was called {first}"
            case.settle()
            probed = await bench.action(case).probe(session, write)
            assert isinstance(probed, Absent), f"{case.name}: the probe says {probed} of what never happened"
            second = await bench.send_one(session, case, replace(write, attempt=2))
        _is_committed(case, second)
        _is_held_once(case, write)


async def too_many_calls_wait_what_the_vendor_says(bench: Bench) -> None:
    """The vendor's wait reaches the budget and the engine, and nobody tries again at once."""
    for case in each_of(bench.writing, "it writes nothing"):
        slots = WatchedSlots()
        async with bench.session(slots) as session:
            await bench.connector.check(session)
            bench.inject("status", method=case.method, path=case.path, **case.overload)
            before = bench.count(case.path, case.method)
            outcome = await bench.send_one(session, case, case.make(1))
        assert isinstance(outcome, Transient), f"{case.name}: an overload was called {outcome}"
        assert outcome.overload, f"{case.name}: it is not said that the budget must shrink"
        assert outcome.retry_after_seconds == case.wait_seconds, f"{case.name}: wait {outcome.retry_after_seconds}"
        assert slots.told == [case.wait_seconds], f"{case.name}: the budget heard {slots.told}"
        assert bench.count(case.path, case.method) == before + 1, f"{case.name}: it was sent again at once"


async def what_is_refused_is_not_tried_again(bench: Bench) -> None:
    """A refusal is Rejected with the vendor's code and words, after one call."""
    cases = [case for case in bench.writing if case.refused is not None]
    for case in each_of(cases, "no write of it can be refused"):
        assert case.refused is not None
        write = case.refused()
        async with bench.session() as session:
            await bench.connector.check(session)
            before = bench.count(case.path, case.method)
            outcome = await bench.send_one(session, case, write)
        assert isinstance(outcome, Rejected), f"{case.name}: a refusal was called {outcome}"
        assert outcome.code, f"{case.name}: a refusal without the vendor's code: {outcome}"
        assert outcome.message, f"{case.name}: a refusal without words: {outcome}"
        assert bench.count(case.path, case.method) <= before + 1, f"{case.name}: a refused write was sent again"


async def a_batch_answers_one_outcome_each(bench: Bench) -> None:
    """A full batch with one refused in it: the others are committed, in order, each held once."""
    cases = [case for case in bench.writing if bench.action(case).batch > 1]
    for case in each_of(cases, "it has no batches"):
        writes = [case.make(n) for n in range(1, min(bench.action(case).batch, 25))]
        refused = [case.refused()] if case.refused is not None else []
        async with bench.session() as session:
            outcomes = await _send(bench, session, case, [*writes[:1], *refused, *writes[1:]])
        if refused:
            assert isinstance(outcomes.pop(1), Rejected), f"{case.name}: the refused one of a batch was not"
        _is_committed(case, *outcomes)
        for write in writes:
            _is_held_once(case, write)


async def _send(bench: Bench, session: Session, case: WriteCase, writes: list[Write]) -> list[Outcome]:
    outcomes = list(await bench.action(case).send(session, writes))
    assert len(outcomes) == len(writes), f"{case.name}: {len(outcomes)} outcomes for {len(writes)} writes"
    return outcomes


def _is_committed(case: WriteCase, *outcomes: Outcome) -> None:
    for outcome in outcomes:
        assert isinstance(outcome, Committed), f"{case.name}: {outcome}"


def _is_held_once(case: WriteCase, write: Write) -> None:
    held = case.held(write)
    assert held == 1, f"{case.name}: the vendor holds {held} objects for {write.canonical_id}"


def _vendor_id(outcome: Outcome) -> str | None:
    return outcome.vendor_id if isinstance(outcome, Committed) else None
