"""The next version of a revenue contract after a modification: prices and promises as the standard leaves them.

A distinct rest is measured by itself from the day of the change, as if the old contract had ended: the old promise is
settled with what it has earned, and a new one takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from accord.model.money import Money
from accord.rules.revenue.contract import Measure, RevenueContract, SetPrice
from accord.rules.revenue.modifications import Consequence, Followed, Modified, Standing
from accord.rules.revenue.obligations import Obligation


def amended(
    contract: RevenueContract,
    modified: Modified,
    standing: Sequence[Standing],
    added: Sequence[Obligation],
    *,
    change_id: str,
    on: date,
    why: str,
) -> RevenueContract:
    """The version that holds from `on`. `added` are the distinct promises of the change, by the ids it names."""
    alone = {each.obligation_id: each.remaining_alone for each in standing}
    known = {each.id: each for each in contract.obligations}
    prices: list[SetPrice] = []
    rests: list[Obligation] = []
    measures = {each.obligation_id: each for each in contract.measures}
    for each in modified.consequences:
        if each.followed is Followed.PROSPECTIVE:
            rest = replace(
                known[each.obligation_id],
                id=rest_id(each, change_id),
                name=f"{known[each.obligation_id].name}, rest after {change_id}",
                stand_alone_price=alone[each.obligation_id],
            )
            rests.append(rest)
            measures[rest.id] = replace(contract.measure_of(each.obligation_id), obligation_id=rest.id, counts_from=on)
            prices += [
                SetPrice(each.obligation_id, each.recognised, settled=True),
                SetPrice(rest.id, each.price - each.recognised),
            ]
        else:
            prices.append(SetPrice(each.obligation_id, each.price))
            if each.followed is Followed.NEW:
                measures.setdefault(each.obligation_id, Measure(each.obligation_id, counts_from=on))
    total = sum((each.price for each in prices), start=Money.zero(contract.currency))
    settled_before = tuple(
        each for each in contract.set_prices if each.obligation_id not in {price.obligation_id for price in prices}
    )
    total = sum((each.price for each in settled_before), start=total)
    return replace(
        contract,
        version=contract.version + 1,
        fixed=total,
        valid_from=on,
        obligations=(*contract.obligations, *rests, *_new(added, known)),
        variable=(),
        measures=tuple(measures.values()),
        set_prices=(*settled_before, *prices),
        why=why,
    )


def restored(
    now: RevenueContract, before: RevenueContract, prices: Mapping[str, Money], *, on: date
) -> RevenueContract:
    """The version that takes `now` back to `before`, whose obligations had these prices: what came with it has no price
    any more, so that what was caught up is reversed from `on`."""
    zero = Money.zero(before.currency)
    earlier = {each.id for each in before.obligations}
    settled = {each.obligation_id for each in before.set_prices if each.settled}
    set_prices = (
        *(SetPrice(id, price, settled=id in settled) for id, price in prices.items()),
        *(SetPrice(each.id, zero) for each in now.obligations if each.id not in earlier),
    )
    return replace(
        before,
        version=now.version + 1,
        fixed=sum((each.price for each in set_prices), start=zero),
        valid_from=on,
        obligations=now.obligations,
        variable=(),
        set_prices=set_prices,
        why=f"{now.why}, taken back",
    )


def rest_id(each: Consequence, change_id: str) -> str:
    """The id of what is left of an obligation after a change."""
    return f"{each.obligation_id}/{change_id}"


def _new(added: Sequence[Obligation], known: Mapping[str, Obligation]) -> list[Obligation]:
    return [each for each in added if each.id not in known]
