"""What a vendor holds is what we recorded, per vendor and kind, both ways: nothing missing there, nothing unknown here,
nothing twice, and no invoice for another amount."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

NAME = "vendors_agree"
SAYS = "Every object we wrote is at its vendor once, and every object there that bears our key is known here."

QUERY = """
WITH held AS (
    SELECT * FROM json_to_recordset(%(held)s::json) AS x (connection text, kind text, vendor_id text, key text,
        amount numeric, currency text)
), ours AS (
    SELECT DISTINCT ON (canonical_id, kind, connection) connection, kind, canonical_id, vendor_id, amount, currency
    FROM effect WHERE state = 2 AND vendor_id IS NOT NULL AND (connection, kind) IN (SELECT connection, kind FROM
        json_to_recordset(%(kinds)s::json) AS k (connection text, kind text))
    ORDER BY canonical_id, kind, connection, generation DESC
)
(SELECT o.connection || ' ' || o.kind || ' ' || o.canonical_id, 'was written as ' || o.vendor_id
    || ' and is not at the vendor', o.amount
 FROM ours o WHERE NOT EXISTS (
    SELECT FROM held h WHERE h.connection = o.connection AND h.kind = o.kind AND h.vendor_id = o.vendor_id) LIMIT 20)
UNION ALL
(SELECT h.connection || ' ' || h.kind || ' ' || h.key, 'is at the vendor as ' || h.vendor_id || ' and not known here',
    h.amount
 FROM held h WHERE h.key IS NOT NULL AND NOT EXISTS (
    SELECT FROM crosswalk x WHERE x.connection = h.connection AND x.kind = h.kind AND x.canonical_id = h.key
        AND x.vendor_id = h.vendor_id) LIMIT 20)
UNION ALL
(SELECT h.connection || ' ' || h.kind || ' ' || h.key, 'is at the vendor ' || count(*) || ' times', sum(h.amount)
 FROM held h WHERE h.key IS NOT NULL GROUP BY h.connection, h.kind, h.key HAVING count(*) > 1 LIMIT 20)
UNION ALL
(SELECT h.connection || ' ' || h.kind || ' ' || h.key, 'is for ' || h.amount || ' at the vendor, we wrote ' || o.amount,
    h.amount - o.amount
 FROM held h JOIN ours o ON o.connection = h.connection AND o.kind = h.kind AND o.vendor_id = h.vendor_id
 WHERE h.amount <> o.amount AND h.currency = o.currency LIMIT 20)
"""


@dataclass(frozen=True, slots=True)
class Holding:
    """One object at a vendor: its id there, the key of ours that it bears, and for money its amount and currency."""

    connection: str
    kind: str
    vendor_id: str
    key: str | None
    amount: str | None = None
    currency: str | None = None


# The kinds compared where a vendor can list what it holds.
KINDS = (
    ("stripe", "customer"), ("stripe", "invoice"), ("stripe", "tax_rate"), ("stripe", "scheduled_milestone"),
    ("stripe", "recurring_schedule"), ("stripe", "credit_note"), ("netsuite", "customer"), ("netsuite", "project"),
    ("netsuite", "task"), ("netsuite", "invoice"), ("netsuite", "payment"), ("netsuite", "credit_note"),
    ("netsuite", "write_off"), ("salesforce", "invoice"), ("salesforce", "notice"),
)  # fmt: skip


def parameters(held: Sequence[Holding]) -> dict[str, Any]:
    kinds = [{"connection": connection, "kind": kind} for connection, kind in KINDS]
    return {
        "held": orjson.dumps([asdict(each) for each in held]).decode(),
        "kinds": orjson.dumps(kinds).decode(),
    }
