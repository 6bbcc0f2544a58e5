"""`composite`, `composite/batch` and `composite/graph`: several calls in one (vendors.md 1.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from accord.sandbox.salesforce.call import Call, Reply, listed
from accord.sandbox.salesforce.org import Org
from accord.sandbox.salesforce.refusals import Refused, method_not_allowed

Json = dict[str, Any]
Answer = Callable[[Call], Reply]
MOST = 25
_MOST_QUERIES = 5  # query and collection calls among the 25
_MOST_GRAPHS, _MOST_NODES = 75, 500
_REFERENCE = re.compile(r"@\{([A-Za-z0-9_]+)((?:\.[A-Za-z0-9_]+|\[\d+\])*)\}")
_HEAVY = re.compile(r"/services/data/v[\d.]+/(query|queryAll|composite/sobjects)\b")


class Composite:
    """`answer` is the router of single calls; refusals inside become the body of their part."""

    def __init__(self, org: Org, answer: Answer, count: Callable[[], None]) -> None:
        self.org = org
        self._answer = answer
        self._count = count

    def answer(self, call: Call) -> Reply:
        if call.method != "POST":
            raise method_not_allowed(call.method, ["POST"])
        match call.parts[1:]:
            case ():
                return self._composite(call)
            case ("batch",):
                return self._batch(call)
            case ("graph",):
                return self._graphs(call)
        raise Refused("NOT_FOUND", "The requested resource does not exist", status=404)

    def _composite(self, call: Call) -> Reply:
        body = call.record()
        parts = listed(body, "compositeRequest", MOST)
        heavy = sum(bool(_HEAVY.match(str(_member(part, "url")))) for part in parts)
        if heavy > _MOST_QUERIES:
            raise Refused("INVALID_INPUT", f"Cannot have more than {_MOST_QUERIES} query or collection subrequests")
        results, _ = self._series(call, parts, all_or_none=bool(body.get("allOrNone")))
        return Reply(200, {"compositeResponse": results})

    def _graphs(self, call: Call) -> Reply:
        """Each graph happens as a whole or not at all."""
        graphs = listed(call.record(), "graphs", _MOST_GRAPHS)
        answers = []
        for graph in graphs:
            parts = _member(graph, "compositeRequest")
            if not isinstance(parts, list) or not 0 < len(parts) <= _MOST_NODES:
                raise Refused("INVALID_INPUT", f"A graph has 1 to {_MOST_NODES} nodes")
            results, good = self._series(call, parts, all_or_none=True)
            answers.append(
                {
                    "graphId": _member(graph, "graphId"),
                    "graphResponse": {"compositeResponse": results},
                    "isSuccessful": good,
                }
            )
        return Reply(200, {"graphs": answers})

    def _series(self, call: Call, parts: list[Any], *, all_or_none: bool) -> tuple[list[Json], bool]:
        mark = self.org.mark()
        done: dict[str, Reply] = {}
        results: list[Json] = []
        for part in parts:
            name = str(_member(part, "referenceId") or "")
            if not re.fullmatch(r"[A-Za-z0-9_]+", name) or name in done:
                raise Refused("INVALID_INPUT", f"referenceId must be unique letters, digits and _: {name!r}")
            halted = all_or_none and any(reply.status >= 400 for reply in done.values())
            done[name] = _HALTED if halted else self._one(call, part, done)
            results.append(_shown(name, done[name]))
        good = all(reply.status < 400 for reply in done.values())
        if all_or_none and not good:
            self.org.rollback(mark)
            results = [_shown(name, _HALTED if reply.status < 400 else reply) for name, reply in done.items()]
        return results, good

    def _one(self, call: Call, part: Json, done: Mapping[str, Reply]) -> Reply:
        mark = self.org.mark()
        try:
            url = _filled(str(_member(part, "url") or ""), done)
            body = _filled(part.get("body"), done)
            return self._answer(sub_call(call, str(part.get("method", "")), url, body, part.get("httpHeaders")))
        except Refused as refused:
            self.org.rollback(mark)
            return Reply(refused.status, refused.body())

    def _batch(self, call: Call) -> Reply:
        """Independent parts; each counts against the limits."""
        body = call.record()
        parts = listed(body, "batchRequests", MOST)
        halt = bool(body.get("haltOnError"))
        results: list[Json] = []
        for part in parts:
            if halt and any(each["statusCode"] >= 400 for each in results):
                results.append({"statusCode": 412, "result": [{"errorCode": "BATCH_PROCESSING_HALTED", "message":
                                "Batch processing halted per request flag haltOnError"}]})  # fmt: skip
                continue
            self._count()
            url = f"/services/data/{str(_member(part, 'url') or '').lstrip('/')}"
            reply = self._one(call, {**part, "url": url, "body": part.get("richInput")}, {})
            results.append({"statusCode": reply.status, "result": reply.body})
        return Reply(200, {"hasErrors": any(each["statusCode"] >= 400 for each in results), "results": results})


_HALTED = Reply(
    400,
    [
        {
            "errorCode": "PROCESSING_HALTED",
            "message": "The transaction was rolled back since another operation in the same transaction failed.",
        }
    ],
)


def sub_call(call: Call, method: str, url: str, body: Any, headers: Any) -> Call:
    """The call a part describes, made as the caller. Raises Refused."""
    parts = urlsplit(url)
    found = re.fullmatch(r"/services/data/v(\d+\.\d)/(.+)", parts.path.rstrip("/"))
    if found is None:
        raise Refused("NOT_FOUND", "The requested resource does not exist", status=404)
    given = {str(name).lower(): str(value) for name, value in (headers or {}).items()}
    return Call(
        method.upper(),
        float(found.group(1)),
        tuple(unquote(each) for each in found.group(2).split("/")),
        dict(parse_qsl(parts.query)),
        {**call.headers, **given},
        call.writer,
        body,
    )


def _member(part: Any, name: str) -> Any:
    if not isinstance(part, dict):
        raise Refused("JSON_PARSER_ERROR", "A subrequest must be an object")
    return part.get(name)


def _shown(name: str, reply: Reply) -> Json:
    headers = {key.capitalize(): value for key, value in reply.headers.items()}
    return {"body": reply.body, "httpHeaders": headers, "httpStatusCode": reply.status, "referenceId": name}


def _filled(value: Any, done: Mapping[str, Reply]) -> Any:
    """`@{ref.id}` and `@{ref.records[0].Id}` replaced by what an earlier part answered. Raises Refused."""
    if isinstance(value, str) and "@{" in value:
        return _REFERENCE.sub(lambda found: _looked_up(found, done), value)
    if isinstance(value, dict):
        return {name: _filled(item, done) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, done) for item in value]
    return value


def _looked_up(found: re.Match[str], done: Mapping[str, Reply]) -> str:
    name, path = found.group(1), found.group(2)
    reply = done.get(name)
    if reply is not None and reply.status >= 400:
        raise Refused("PROCESSING_HALTED", f"Invalid reference specified. No value for {name}{path} found in {name}: "
                      "the referenced operation failed")  # fmt: skip
    value: Any = reply.body if reply else None
    for step in re.findall(r"\w+", path):
        if isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            value = value.get(step) if isinstance(value, dict) else None
    if value is None:
        raise Refused("INVALID_INPUT", f"Invalid reference specified. No value for {name}{path} found")
    return str(value)
