"""How random histories are played: by Hypothesis, the same ones each time unless more are asked for."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.histories.machine import Histories

# How many histories to play; with it they are other ones each time.
ASKED = "ACCORD_TEST_HISTORIES"
USUAL = 5


def play(histories: int) -> None:
    """Play so many histories. Raises AssertionError with all that does not hold."""
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=histories,
            stateful_step_count=20,
            derandomize=ASKED not in os.environ,
            database=None,
            deadline=None,
            # A counter-example is told as it was found: to shrink one takes many times as long as to find it.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
