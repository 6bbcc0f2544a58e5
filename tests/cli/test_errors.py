"""An error is one sentence with the cure on stderr, and its exit code says what to do next."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from .conftest import Accord


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["trace", "nowhere"], 4, "no engagement has the id, number or name 'nowhere'"),
        (["cases", "show", "99"], 4, "there is no case 99; `accord cases list` shows the open ones"),
        (["cases", "retry", "99"], 4, "there is no case 99"),
        (["cases", "retry"], 2, "name the cases to retry, or a cause with --signature"),
        (["cases", "resolve", "3"], 2, "give one of --answer, --skip, --supply, --cancel, --note"),
        (["cases", "resolve", "3", "--note", "x"], 4, "there is no case 3"),
        (["cases", "resolve", "3", "--note", "x", "--skip", "y"], 2, "give one of"),
        (["cases", "correct", "--list", "x", "--given", "a", "--meaning", "b"], 2, "there are country, product"),
        (["cases", "correct", "--list", "country", "--given", "a", "--meaning", "b"], 2, "'b' is not a country"),
        (["replay"], 2, "--inbox ROW or --process ID"),
        (["replay", "--process", "424242"], 4, "there is no process 424242"),
        (["connect", "pause", "nowhere", "--reason", "x"], 4, "there is no connection 'nowhere'"),
        (["connect", "resume", "nowhere"], 4, "there is no connection 'nowhere'"),
        (["connect", "check", "nowhere"], 4, "`accord connect list` shows those there are"),
        (["connect", "bind", "erp", "nowhere"], 4, "there is no connection 'nowhere'"),
        (["connect", "bind", "erp", "x", "--valid-from", "soon"], 2, "'soon' is not a day; write YYYY-MM-DD"),
        (["connect", "add", "x", "nobody"], 4, "there are netsuite, salesforce, stripe"),
        (["connect", "add", "x", "stripe", "--setting", "api_key"], 2, "'api_key' is not name=value"),
        (["connect", "add", "x", "stripe", "--role", "erp"], 2, "stripe cannot play erp; it can play billing"),
        (["key", "create", "x", "--role", "king"], 2, "the roles are read, operate, admin, costs; king was given"),
        (["sandbox", "--vendor", "nobody"], 4, "there are salesforce, netsuite, stripe"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_asked_wrongly(accord: Accord, arguments: list[str], code: int, sentence: str) -> None:
    said = accord(*arguments)
    assert sentence in said.sentence
    assert said.code == code


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["trace"],
        ["status", "--yaml"],
        ["cases", "show", "first"],
        ["cases", "list", "--limit", "0"],
        ["import", "crm-pipeline", "/nowhere/at/all"],
        ["up", "--workers", "0"],
    ],
    ids=" ".join,
)
def test_what_the_command_line_does_not_know(run: Accord, arguments: list[str]) -> None:
    said = run(*arguments)
    assert (said.code, said.out) == (2, "")
    assert "--help" in said.err
    assert "Traceback" not in said.err


def test_an_import_says_which_file_is_missing(accord: Accord, tmp_path: Path) -> None:
    said = accord("import", "crm-pipeline", str(tmp_path))
    assert said.code == 2
    assert "There is no sales_teams.csv in" in said.sentence


def test_a_demo_looks_first_whether_it_can_write_its_summary(run: Accord, tmp_path: Path) -> None:
    said = run("demo", "--once", "--json", str(tmp_path / "nowhere" / "summary.json"))
    assert said.code == 2
    assert "there is no folder" in said.sentence


def test_wrong_settings_are_named_all_at_once(run: Accord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_PORT", "many")
    monkeypatch.setenv("ACCORD_LOG_LEVEL", "loud")
    said = run("status")
    assert said.code == 2
    assert "ACCORD_PORT: Input should be a valid integer" in said.sentence
    assert "ACCORD_LOG_LEVEL: Input should be 'debug', 'info', 'warning' or 'error'" in said.sentence


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/accord?connect_timeout=1", "nonsense"])
@pytest.mark.parametrize("command", ["status", "migrate", "doctor"])
def test_a_database_that_is_not_there(run: Accord, monkeypatch: pytest.MonkeyPatch, url: str, command: str) -> None:
    monkeypatch.setenv("ACCORD_DATABASE_URL", url)
    said = run(command)
    assert said.code == 6
    assert "Check that it runs and that ACCORD_DATABASE_URL is right" in said.sentence


def test_credentials_that_are_no_json(accord: Accord, tmp_path: Path) -> None:
    for text, why in (("{", "is not JSON"), ("[]", "is not one JSON object")):
        file = tmp_path / "credentials.json"
        file.write_text(text)
        said = accord("connect", "add", "x", "stripe", "--credentials-file", str(file))
        assert said.code == 2
        assert why in said.sentence


def test_a_vault_that_lost_its_key_is_found_by_the_doctor(
    accord: Accord, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert accord("connect", "add", "stripe", "stripe", "--setting", "api_key=sk_test_1").code == 0
    monkeypatch.setenv("ACCORD_VAULT_KEY_FILE", str(tmp_path / "another.key"))
    said = accord("doctor", "--json")
    assert said.code == 1
    assert said.err == "accord: these need a look: vault\n"
    [vault] = [each for each in said.json if each["check"] == "vault"]
    assert not vault["holds"]
    assert vault["finding"] == "the credentials of stripe were sealed with a key that is not here"
    assert (tmp_path / "another.key").exists()


@pytest.mark.parametrize("command", [["demo", "--once"], ["up"]])
def test_a_port_that_another_program_has_is_said_at_once(
    accord: Accord, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pages would be taken for ours, and a demonstration waits for pushes that never come."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("ACCORD_PORT", str(port))
        said = accord(*command)
    assert said.code == 6
    assert f"127.0.0.1:{port} cannot be listened on" in said.sentence
    assert "ACCORD_PORT" in said.sentence
