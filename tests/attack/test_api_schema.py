"""Schemathesis over the whole OpenAPI document: valid and invalid requests, and every answer as the document says."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import sentinel

import pytest
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.openapi import from_dict
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accord.api.building import build
from accord.connect.vault import Vault
from accord.governance.state import State
from accord.settings import Settings
from tests.attack.conftest import Standing, examples

# One of the checks sends a wrong key with each request, all from this address: what is asked here is what a wrong key
# is answered, not how many are heard (test_guessing.py).
SERVER_SETTINGS = {"wrong_keys_per_minute": 1_000_000}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
]


def _document() -> dict[str, Any]:
    state = State(sentinel.pool, Settings(home=Path("/nonexistent")), Vault([b"k" * 32]), sentinel.clock)
    return build(state).openapi()


SCHEMA = from_dict(_document())


@SCHEMA.parametrize()
@settings(examples(25), suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_the_document_describes(case: Case, standing: Standing, caller: dict[str, str]) -> None:
    case.call_and_validate(base_url=standing.url, headers=caller, checks=CHECKS, timeout=10)


@pytest.fixture
def caller(standing: Standing) -> dict[str, str]:
    """A key of its own for each operation, whose allowance is no other's."""
    return standing.key("operate")
