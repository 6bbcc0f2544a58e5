"""The admin side of a served vendor: look at its state and calls, put faults in, make things happen, move its clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from accord.sandbox.kit.faults import Fault
from accord.sandbox.kit.front import Front
from accord.sandbox.kit.simulator import Request, Response

_FAULT = TypeAdapter(Fault)
_FIELDS = {each.name for each in fields(Fault)}


class Admin:
    """Answers requests below `/_admin/{token}/`; every path but those under the token is 404, so that the token
    cannot be felt for. Bodies and answers are JSON; a refusal is `{"error": sentence}`."""

    def __init__(self, front: Front, token: str) -> None:
        self._front = front
        self._prefix = f"/_admin/{token}/"

    def owns(self, path: str) -> bool:
        return path.startswith("/_admin/")

    def answer(self, request: Request) -> Response:
        if not request.path.startswith(self._prefix):
            return _json(404, {"error": "No such address."})
        name, _, rest = request.path.removeprefix(self._prefix).strip("/").partition("/")
        try:
            arguments = _object(request.body)
            match request.method, name, rest:
                case "GET", "state", "":
                    return _json(200, self._state(dict(request.query)))
                case "GET", "calls", "":
                    last = int(dict(request.query).get("last", 100))
                    return _json(200, self._front.journal.as_json(last))
                case "DELETE", "calls", "":
                    self._front.journal.clear()
                    return _json(200, {})
                case "GET", "faults", "":
                    return _json(200, self._waiting())
                case "POST", "faults", "":
                    self._front.simulator.faults.add(fault_from(arguments))
                    return _json(201, self._waiting())
                case "DELETE", "faults", "":
                    self._front.simulator.faults.clear()
                    return _json(200, self._waiting())
                case "POST", "actions", action if action:
                    return _json(200, {"result": self._front.simulator.admin(action, arguments)})
                case "GET", "clock", "":
                    return _json(200, self._now())
                case "POST", "clock", "":
                    return _json(200, self._shift(arguments))
                case "GET", "credentials", "":
                    return _json(200, self._front.simulator.credentials(f"https://{request.host}"))
        except (ValueError, KeyError, TypeError) as problem:
            return _json(400, {"error": str(problem)})
        return _json(404, {"error": f"No such address: {request.method} {name}"})

    def _state(self, query: Mapping[str, str]) -> dict[str, Any]:
        state = self._front.simulator.dump()
        if kinds := query.get("kinds"):
            return {kind: state.get(kind, []) for kind in kinds.split(",")}
        if "counts" in query:
            return {kind: len(rows) for kind, rows in state.items()}
        return state

    def _waiting(self) -> dict[str, Any]:
        return {"waiting": [asdict(fault) for fault in self._front.simulator.faults.waiting()]}

    def _now(self) -> dict[str, Any]:
        return {"now": self._front.simulator.clock.now().isoformat()}

    def _shift(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`{seconds}` puts the clock forward by so much, `{to}` (ISO 8601 with offset) to that moment at least."""
        if "to" in arguments:
            to = datetime.fromisoformat(str(arguments["to"]))
            if to.tzinfo is None:
                raise ValueError("to: a moment needs its offset from UTC.")
            # Vendors may share one clock: who was told the same moment before has only to catch up with it.
            seconds = max(0.0, (to - self._front.simulator.clock.now()).total_seconds())
        else:
            seconds = float(arguments["seconds"])
        if not 0 <= seconds < float("inf"):
            raise ValueError("The clock only goes forward.")
        self._front.simulator.admin("shift_clock", {"seconds": seconds})
        return self._now()


def fault_from(arguments: Mapping[str, Any]) -> Fault:
    """A fault from its JSON members, as in `faults.Fault`. Raises ValueError naming the member that is wrong."""
    if unknown := sorted(set(arguments) - _FIELDS):
        raise ValueError(f"Unknown member {unknown[0]!r}; known are {sorted(_FIELDS)}.")
    try:
        fault = _FAULT.validate_python(dict(arguments))
        re.compile(fault.path)
    except ValidationError as problem:
        first = problem.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from problem
    except re.error as problem:
        raise ValueError(f"path: not a regular expression: {problem}") from problem
    return fault


def _object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    value = orjson.loads(body)
    if not isinstance(value, dict):
        raise ValueError("The body must be a JSON object.")  # noqa: TRY004 - the caller's data, not our types
    return value


def _json(status: int, value: Any) -> Response:
    body = orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    return Response(status, body, {"content-type": "application/json"})


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
