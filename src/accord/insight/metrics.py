"""What Prometheus reads: the state of the house as gauges and counters, from one round of queries a scrape."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from accord.engine.shell import Connection
from accord.insight.flow import Home, home

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CASES = "SELECT owner, reason, count(*) FROM business_case WHERE state = 'open' GROUP BY 1, 2"
CALLS = "SELECT connection, endpoint, status, sum(calls), sum(seconds) FROM vendor_call GROUP BY 1, 2, 3"
LAST_SEALED = "SELECT extract(epoch FROM clock_timestamp() - max(sealed_at)) FROM event_block"


async def exposition(db: Connection) -> bytes:
    """All measures in Prometheus text format."""
    state = await home(db)
    cases = await (await db.execute(CASES)).fetchall()
    calls = await (await db.execute(CALLS)).fetchall()
    sealed = await (await db.execute(LAST_SEALED)).fetchone()
    registry = CollectorRegistry()
    registry.register(_Collected([*_of_home(state), *_of_rows(cases, calls, sealed[0] if sealed else None)]))
    return generate_latest(registry)


class _Collected:
    """Families that were collected already, handed to the library's own writer of the format."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _of_home(state: Home) -> list[Metric]:
    stages = _gauge("accord_flow_objects", "Objects in each stage from won to cash", ["stage"])
    money = _gauge(
        "accord_flow_money", "Money in each stage from won to cash, in units of the currency", ["stage", "currency"]
    )
    for stage in state.stages:
        stages.add_metric([stage.name], stage.count)
        for each in stage.money:
            money.add_metric([stage.name, each.currency], float(each.amount))
    stories = _gauge("accord_open_processes", "Processes that are not finished, by state", ["state"])
    for name, count in sorted(state.stories.items()):
        stories.add_metric([name], count)
    stuck = _gauge("accord_stuck_money", "Money behind open cases, in units of the currency", ["currency"])
    for each in state.stuck.money:
        stuck.add_metric([each.currency], float(each.amount))
    unexplained = _gauge(
        "accord_ledger_unexplained", "Approved value in no disposition; must be 0", ["legal_entity", "currency"]
    )
    for standing in state.unexplained:
        unexplained.add_metric([standing.legal_entity, standing.currency], float(standing.unexplained))
    workers = _gauge("accord_workers", "Workers whose heart beat in the last five seconds")
    workers.add_metric([], state.workers)
    inbox = _gauge("accord_inbox_waiting", "Pushes stored and not translated yet")
    inbox.add_metric([], state.inbox)
    return [stages, money, stories, stuck, unexplained, workers, inbox, *_of_connections(state)]


def _of_connections(state: Home) -> list[Metric]:
    up = _gauge(
        "accord_connection_good", "1 when the connection is in accord, 0 when it is slow or stopped", ["connection"]
    )
    waiting = _gauge("accord_waiting_effects", "Writes that wait to be sent", ["connection"])
    age = _gauge("accord_waiting_oldest_seconds", "Age of the oldest waiting write", ["connection"])
    unknown = _gauge("accord_unknown_effects", "Writes whose outcome is not known yet", ["connection"])
    poll_age = _gauge("accord_poll_age_seconds", "Seconds since a kind was last read", ["connection", "kind"])
    for each in state.connections:
        up.add_metric([each.name], float(each.health == "good"))
        waiting.add_metric([each.name], each.waiting)
        unknown.add_metric([each.name], each.unknown)
        if each.oldest_at is not None:
            age.add_metric([each.name], (state.as_of - each.oldest_at).total_seconds())
        for poll in each.polls:
            if poll.last_at is not None:
                poll_age.add_metric([each.name, poll.kind], (state.as_of - poll.last_at).total_seconds())
    return [up, waiting, age, unknown, poll_age]


def _of_rows(cases: list[Any], calls: list[Any], sealed: Any) -> list[Metric]:
    open_cases = _gauge("accord_open_cases", "Cases that wait for a person", ["owner", "reason"])
    for owner, reason, count in cases:
        open_cases.add_metric([owner, reason], count)
    labels = ["connection", "endpoint", "status"]
    made = CounterMetricFamily("accord_vendor_calls", "Calls to vendors", labels=labels)
    seconds = CounterMetricFamily("accord_vendor_call_seconds", "Time spent in calls to vendors", labels=labels)
    for connection, endpoint, status, count, spent in calls:
        about = [connection, endpoint, str(status)]
        made.add_metric(about, float(count))
        seconds.add_metric(about, float(spent))
    families: list[Metric] = [open_cases, made, seconds]
    if sealed is not None:
        age = _gauge(
            "accord_chain_sealed_age_seconds", "Seconds since the event log was last sealed into the hash chain"
        )
        age.add_metric([], float(sealed))
        families.append(age)
    return families


def _gauge(name: str, text: str, labels: list[str] | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels or [])
