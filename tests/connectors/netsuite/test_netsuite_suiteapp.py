"""The shipped SuiteScript, run in Node with NetSuite's modules played: what it posts is let in and read."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright._impl._driver import compute_driver_executable

from accord.connect.connector import Observed, Pointer
from accord.connectors import netsuite
from accord.connectors.netsuite import pushes
from accord.sandbox.netsuite.pushes import WATCHED

FOLDER = Path(netsuite.__file__).parent
SCRIPT = FOLDER / "suiteapp" / "accord_user_event.js"
# NetSuite's modules as far as the script uses them; prints what was posted and what was logged.
HARNESS = """
const { createHmac } = require('node:crypto');
const [script, given] = process.argv.slice(2);
const scene = JSON.parse(given);
const told = { posted: [], logged: [] };
const modules = {
  'N/crypto': {
    HashAlg: { SHA256: 'sha256' },
    createSecretKey: ({ secret }) => ({ secret: { custsecret_accord_push: 'the push secret' }[secret] }),
    createHmac: ({ algorithm, key }) => {
      const hmac = createHmac(algorithm, key.secret);
      return {
        update: ({ input }) => hmac.update(input, 'utf8'),
        digest: () => hmac.digest('hex').toUpperCase(),
      };
    },
  },
  'N/encode': { Encoding: { UTF_8: 'utf8', HEX: 'hex' } },
  'N/https': { post: (request) => { told.posted.push(request); return { code: scene.answer || 200 }; } },
  'N/log': { error: (entry) => told.logged.push(String(entry.details)) },
  'N/record': { load: () => task(scene.loaded) },
  'N/runtime': {
    accountId: '1234567_SB1',
    getCurrentScript: () => ({ getParameter: () => 'https://accord.example/in/netsuite' }),
  },
};
const task = (fields) => fields && {
  id: 7, type: scene.record || 'projecttask',
  getValue: ({ fieldId }) => {
    const value = fields[fieldId];
    return typeof value === 'string' && value.startsWith('day ') ? new Date(`${value.slice(4)}T00:00:00`)
      : typeof value === 'string' && value.startsWith('at ') ? new Date(value.slice(3)) : value ?? '';
  },
};
global.define = (names, make) => {
  const types = { CREATE: 'create', EDIT: 'edit', XEDIT: 'xedit', DELETE: 'delete', VIEW: 'view' };
  make(...names.map((name) => modules[name])).afterSubmit({
    type: scene.type, UserEventType: types, oldRecord: task(scene.before), newRecord: task(scene.after),
  });
};
require(script);
console.log(JSON.stringify(told));
"""
OPEN = {"custevent_accord_milestone": "MIL-1", "custevent_milestone_approved": False, "externalid": "TSK-1"}
APPROVED = {
    **OPEN, "custevent_milestone_approved": True, "custevent_milestone_approved_on": "day 2026-11-20",
    "custevent_milestone_approved_by": "Zoë",
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Any:
    harness = tmp_path / "harness.js"
    harness.write_text(HARNESS)
    node = str(compute_driver_executable()[0])

    def play(**scene: Any) -> Any:
        done = subprocess.run(
            [node, harness, SCRIPT, json.dumps(scene)], capture_output=True, text=True, timeout=30, check=True,
            env={"TZ": "America/Los_Angeles"},
        )  # fmt: skip
        return json.loads(done.stdout)

    return play


def test_what_the_script_posts_is_let_in_and_read(run: Any) -> None:
    (posted,) = run(type="edit", before=OPEN, after={**APPROVED, "lastmodifieddate": "at 2026-11-23T17:00:00.700Z"})[
        "posted"
    ]
    headers = {name.lower(): value for name, value in posted["headers"].items()}
    body = posted["body"].encode()
    assert pushes.verify(headers, body, {"push_secret": "the push secret"}, datetime.now(UTC)) is None
    (arrival,) = pushes.translate(headers, body)
    assert list(pushes.event_ids(headers, body)) == [arrival.event_id]
    (item,) = arrival.items
    assert isinstance(item, Observed)
    assert (item.vendor_id, item.canonical_id, item.version) == ("7", "MIL-1", "2026-11-23T17:00:00+00:00")
    assert dict(item.body) == {"approved": True, "approved_on": "2026-11-20", "approved_by": "Zoë"}


def test_a_task_whose_time_of_change_the_script_cannot_see_is_read_again(run: Any) -> None:
    (posted,) = run(type="edit", before=OPEN, after=APPROVED)["posted"]
    (arrival,) = pushes.translate({}, posted["body"].encode())
    assert arrival.items == (Pointer("milestone_approval", "7"),)


@pytest.mark.parametrize(
    "scene",
    [
        {"type": "edit", "before": APPROVED, "after": APPROVED},
        {"type": "create", "after": OPEN},
        {"type": "view", "after": APPROVED},
        {"type": "edit", "before": {}, "after": {"custevent_milestone_approved": True}},
    ],
)
def test_what_nobody_waits_for_is_not_posted(run: Any, scene: dict[str, Any]) -> None:
    told = run(**scene)
    assert told == {"posted": [], "logged": []}


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        ({"type": "create", "after": APPROVED}, "create"),
        ({"type": "edit", "before": APPROVED, "after": OPEN}, "edit"),
        ({"type": "xedit", "before": OPEN, "after": {"id": 7}, "loaded": APPROVED}, "edit"),
        ({"type": "delete", "before": OPEN}, "delete"),
    ],
)
def test_every_way_an_approval_changes_is_posted(run: Any, scene: dict[str, Any], said: str) -> None:
    (posted,) = run(**scene)["posted"]
    assert json.loads(posted["body"])["type"] == said
    (arrival,) = pushes.translate({}, posted["body"].encode())
    assert arrival.items


@pytest.mark.parametrize(
    ("record", "name", "kind"),
    [("timebill", "timeBill", "time_entry"), ("timeentry", "timeEntry", "time_entry"),
     ("expensereport", "expenseReport", "expense")],
)  # fmt: skip
def test_of_time_and_expenses_every_change_is_posted_and_read_again(
    run: Any, record: str, name: str, kind: str
) -> None:
    """Inline editing, too, which hands over only what was edited; a deletion is told as one."""
    for scene in ({"type": "create", "after": {}}, {"type": "xedit", "before": {}, "after": {}}):
        (posted,) = run(record=record, **scene)["posted"]
        assert (json.loads(posted["body"])["record"], json.loads(posted["body"])["fields"]) == (name, {})
        (arrival,) = pushes.translate({}, posted["body"].encode())
        assert arrival.items == (Pointer(kind, "7"),)
    (posted,) = run(record=record, type="delete", before={})["posted"]
    (arrival,) = pushes.translate({}, posted["body"].encode())
    (item,) = arrival.items
    assert isinstance(item, Observed)
    assert (item.kind, item.vendor_id, item.deleted) == (kind, "7", True)


def test_a_refused_post_is_logged_and_never_stops_the_user(run: Any) -> None:
    told = run(type="edit", before=OPEN, after=APPROVED, answer=503)
    assert told["logged"] == ["Error: Accord answered 503"]


def test_the_simulated_account_watches_the_same_fields_as_the_script() -> None:
    sent = re.findall(r"'(custevent_\w+)'", SCRIPT.read_text().partition("WATCHED")[0])
    assert tuple(sent[3:]) == WATCHED["projectTask"]


def test_every_setting_is_in_the_readme() -> None:
    code = "\n".join(path.read_text() for path in FOLDER.glob("*.py"))
    settings = set(re.findall(r'config\.get\(\s*"(\w+)"', code)) - {"base_url", "account_id", "fields"}
    readme = (FOLDER / "README.md").read_text()
    assert settings
    assert [name for name in sorted(settings) if f"`{name}`" not in readme] == []
