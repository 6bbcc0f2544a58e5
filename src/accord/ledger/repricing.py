"""New terms that reach back: which work that has its price already gets it anew, as the terms themselves say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accord.engine.shell import Connection
from accord.ledger.crediting import ask_credit
from accord.model.terms import BillingTerms, RetroactivePolicy

# What a person has written down or transferred keeps its price: a new one would undo what was decided.
PRICED = """
SELECT i.id, i.source_id, bool_or(p.disposition IN ('billed', 'collected', 'disputed', 'credited')
        OR p.disposition = 'draft' AND coalesce(d.status, 'approved') = 'approved') AS invoiced
FROM item_part p JOIN billable_item i ON i.id = p.item_id LEFT JOIN proposal d ON d.id = p.document
WHERE p.engagement = %(engagement)s AND p.legal_entity = %(entity)s AND i.kind IN ('time', 'expense', 'usage')
    AND i.reverses IS NULL AND i.worked_on >= %(since)s AND i.terms_version < %(version)s
    AND NOT EXISTS (SELECT FROM billable_item r WHERE r.reverses = i.id)
GROUP BY 1, 2
HAVING NOT bool_or(p.disposition IN ('written_off', 'transferred', 'drawn'))
"""
AGAIN = f"""
WITH priced AS ({PRICED})
INSERT INTO work_to_rate (entry_id, revision, engagement, legal_entity, worked_on, again)
SELECT w.id, w.revision, w.engagement, w.legal_entity, w.worked_on, 'T' || %(version)s
FROM priced c JOIN work_entry w ON w.id = c.source_id AND w.current AND w.status = 'approved'
    AND w.engagement = %(engagement)s AND w.legal_entity = %(entity)s
WHERE %(invoiced)s OR NOT c.invoiced
ON CONFLICT DO NOTHING
"""
INVOICED_LINES = f"""
WITH priced AS ({PRICED})
SELECT DISTINCT p.document, p.line FROM priced c JOIN item_part p ON p.item_id = c.id
JOIN record r ON r.kind = 'invoice' AND r.id = p.document
WHERE c.invoiced AND p.disposition IN ('billed', 'collected') ORDER BY 1, 2
"""


async def reach_back(db: Connection, terms: BillingTerms, version: int, *, by: str) -> None:
    """Do what terms of this version say of work that has its price already, inside the caller's transaction."""
    policy = terms.retroactive
    if policy == RetroactivePolicy.PROSPECTIVE:
        return
    about: dict[str, Any] = {
        "engagement": terms.engagement_id,
        "entity": terms.legal_entity,
        "since": terms.valid_from,
        "version": version,
    }
    await db.execute(AGAIN, {**about, "invoiced": policy == RetroactivePolicy.DIFFERENCE}, prepare=False)
    if policy == RetroactivePolicy.CREDIT_AND_REBILL:
        await _ask_for_credits(db, about, f"version {version} of the terms holds from {terms.valid_from}", by)


async def _ask_for_credits(db: Connection, about: Mapping[str, Any], reason: str, by: str) -> None:
    """Ask for the credit of each invoice with such work: its lines as a whole, to be invoiced anew."""
    now = await (await db.execute("SELECT now()")).fetchone()
    assert now is not None
    lines: dict[str, dict[int, None]] = {}
    for document, line in await (await db.execute(INVOICED_LINES, about, prepare=False)).fetchall():
        lines.setdefault(document, {})[line] = None
    for document, chosen in lines.items():
        await ask_credit(db, document, chosen, reason=reason, by=by, at=now[0], rebill=True)
