"""Money is conserved over random histories, whoever dies at whatever statement."""

from __future__ import annotations

import os

from tests.histories.campaign import ASKED, USUAL, play


def test_money_is_conserved_over_random_histories(grounds: None) -> None:
    play(int(os.environ.get(ASKED, USUAL)))
