"""Renders templates: everything is escaped, the policy allows no script or style but our own files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from accord.insight.engagements import money
from accord.web import finance_words, words
from accord.web.sign_in import Session

STATIC = Path(__file__).parent / "static"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("accord.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"default": str, "sort_keys": True, "ensure_ascii": False}
    environment.filters.update(
        amount=words.amount,
        amounts=words.amounts,
        in_one_line=words.in_one_line,
        ago=words.ago,
        exact=words.exact,
        clock=words.clock,
        day=words.day,
        state=words.state,
        latency=words.latency,
        money=money,
        human=words.human,
        span=words.span,
        quantity=finance_words.quantity,
    )
    environment.globals.update(count=words.count, asset=asset, number=words.number)
    return environment


def page(
    request: Request,
    template: str,
    session: Session | None,
    *,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """A whole page."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    common = {"session": session, "path": request.url.path, "here": here, "query": dict(request.query_params)}
    text = _environment().get_template(template).render(**common, **values)
    return HTMLResponse(text, status_code=status, headers=HEADERS)


def asset(name: str) -> str:
    """The address of one of our files, with its digest, so that a browser may keep it for ever."""
    return f"/static/{_assets()[name][0]}/{name}"


def serve_asset(digest: str, name: str) -> Response | None:
    """One of our files; None when there is none of that name."""
    found = _assets().get(name)
    if found is None:
        return None
    kept = "public, max-age=31536000, immutable" if found[0] == digest else "no-cache"
    headers: Mapping[str, str] = {"Cache-Control": kept}
    return Response(found[1], media_type=TYPES[Path(name).suffix], headers=dict(headers))


@cache
def _assets() -> dict[str, tuple[str, bytes]]:
    found = {}
    for path in STATIC.iterdir():
        if path.suffix in TYPES:
            content = path.read_bytes()
            found[path.name] = (hashlib.sha256(content).hexdigest()[:16], content)
    return found
