"""States as the tables hold them."""

from __future__ import annotations

from enum import IntEnum


class ProcessState(IntEnum):
    READY = 0
    RUNNING = 1  # a worker holds it in memory
    WAITING = 2  # for an effect, a fact, a date or an answer
    PARKED = 3  # for a person: one open case says why
    DONE = 4
    CANCELLED = 5
    UNDOING = 6  # cancelled, its committed effects are being undone, last in first out


class EffectState(IntEnum):
    SENDING = 0  # intent written, a worker is about to send or is sending it
    WAITING = 1  # intent written, nobody is sending it
    COMMITTED = 2
    REJECTED = 3
    UNKNOWN = 4  # may have happened: only a probe may follow
    SUPERSEDED = 5  # never sent: a newer version of the same object took its place
    SKIPPED = 6  # a person said it is not needed, or supplied its result
    DEAD = 7  # dead letter: it could not be sent for too long, or the engine does not understand the answer

    ASKED_AGAIN = 8  # was rejected or dead; a person said retry, and it is sent again if its story still asks for it

    @property
    def final(self) -> bool:
        return self in _FINAL


_FINAL = {EffectState.COMMITTED, EffectState.SUPERSEDED, EffectState.SKIPPED}


class InboxState(IntEnum):
    ARRIVED = 0
    TRANSLATED = 1
    IGNORED = 2
    PARKED = 3
    REJECTED = 4


class Priority(IntEnum):
    """Business priority of an effect: who gets the vendor's budget first (features.md G9)."""

    CLOSE = 0
    REVENUE = 1
    CUSTOMER = 2
    BULK = 3
