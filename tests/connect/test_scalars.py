"""What is a number, and what only looks like one to a computer."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from accord.connect.mapping.scalars import Unfit, to_decimal


@pytest.mark.parametrize("value", ["12.50", 1250, Decimal("0.10"), "-3e2"])
def test_a_number_is_read_exactly(value: Any) -> None:
    assert to_decimal(value) == Decimal(value)


@pytest.mark.parametrize("value", [[2**63, None], [0, [1, 2], -2], {}, "ten", "NaN", 0.1, True, None, "1e99"])
def test_what_is_no_number_is_unfit(value: Any) -> None:
    """A list of sign, digits and exponent is a number to Python alone."""
    with pytest.raises(Unfit):
        to_decimal(value)
