"""Keys of people and programs: shown once, kept as a digest, with roles and legal entities.

A sign-in token is a key that can only be exchanged, once and soon, for a session in the browser.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from accord.engine.shell import Connection
from accord.errors import AccordError, NotFound, NotPermitted, UsageError
from accord.governance import audit

# Each role may do what those before it may: look, settle cases and start processes, manage keys.
ROLES = ("read", "operate", "admin")
# Beside them: what an hour of people costs, and margins. Nobody has it by another role, not even admins.
PERMISSIONS = ("costs",)
SIGN_IN_LIFE = timedelta(minutes=15)
_ONCE = "once-"

WRITE_KEY = """
INSERT INTO api_key (id, name, digest, roles, entities, created_at)
VALUES (%(id)s, %(name)s, %(digest)s, %(roles)s, %(entities)s, %(now)s)
"""
BY_DIGEST = "SELECT id, name, roles, entities, digest FROM api_key WHERE digest = %(digest)s AND revoked_at IS NULL"
BY_ID = "SELECT id, name, roles, entities FROM api_key WHERE id = %(id)s AND revoked_at IS NULL"
REVOKE = "UPDATE api_key SET revoked_at = %(now)s WHERE id = %(id)s AND revoked_at IS NULL RETURNING name"
# The digest is replaced by that of a secret nobody knows, so a token works a single time, whoever comes second.
REDEEM = """
UPDATE api_key SET digest = %(spent)s
WHERE digest = %(digest)s AND id LIKE 'once-%%' AND revoked_at IS NULL AND created_at > %(oldest)s
RETURNING id, name, roles, entities
"""


class NotSignedIn(AccordError):
    """The request carries no valid key."""

    exit_code = 7
    http_status = 401
    title = "Not signed in"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking. `entities` are the codes of the legal entities it may see; empty means all."""

    id: str
    name: str
    roles: frozenset[str]
    entities: tuple[str, ...] = ()

    @property
    def actor(self) -> str:
        """How the audit trail names it."""
        return f"{self.name} ({self.id})"

    @property
    def scope(self) -> list[str] | None:
        """The legal entities as SQL takes them: None for all."""
        return list(self.entities) or None

    def may(self, role: str) -> bool:
        if role in PERMISSIONS:
            return role in self.roles
        return any(held in ROLES and ROLES.index(held) >= ROLES.index(role) for held in self.roles)

    def must(self, role: str) -> None:
        """Raises NotPermitted."""
        if not self.may(role):
            raise NotPermitted(f"this needs the role {role!r}; ask an admin for a key that has it")


async def create_key(db: Connection, name: str, roles: Sequence[str], entities: Sequence[str], now: datetime) -> str:
    """Make a key inside the caller's transaction and give it, the only time it can be seen. Raises UsageError."""
    wrong = [role for role in roles if role not in (*ROLES, *PERMISSIONS)]
    if wrong or not roles:
        known = ", ".join((*ROLES, *PERMISSIONS))
        raise UsageError(f"the roles are {known}; {', '.join(wrong) or 'none'} was given")
    if not any(role in ROLES for role in roles):
        raise UsageError(f"{', '.join(roles)} comes beside a role: give one of {', '.join(ROLES)} too")
    if not name.strip():
        raise UsageError("a key needs a name, so that the audit trail can tell whose it is")
    return await _write(db, secrets.token_hex(4), "accord_key", name.strip(), roles, entities, now)


async def create_sign_in(db: Connection, name: str, roles: Sequence[str], now: datetime) -> str:
    """A token that opens one session in a browser within SIGN_IN_LIFE."""
    return await _write(db, _ONCE + secrets.token_hex(4), "accord_once", name, roles, (), now)


async def redeem(db: Connection, token: str, now: datetime) -> Principal | None:
    """Exchange a sign-in token for its principal; None when it was used, is too old or never was."""
    about = {"digest": digest(token), "spent": secrets.token_bytes(32), "oldest": now - SIGN_IN_LIFE}
    return _principal(await (await db.execute(REDEEM, about)).fetchone())


async def find(db: Connection, key: str) -> Principal | None:
    """The principal of a key; None for what is no key, a revoked one or a sign-in token."""
    expected = digest(key)
    row = await (await db.execute(BY_DIGEST, {"digest": expected})).fetchone()
    if row is None or not hmac.compare_digest(bytes(row[4]), expected) or row[0].startswith(_ONCE):
        return None
    return _principal(row)


async def by_id(db: Connection, key_id: str) -> Principal | None:
    """The principal of a session, as long as its key is not revoked."""
    return _principal(await (await db.execute(BY_ID, {"id": key_id})).fetchone())


async def revoke(db: Connection, key_id: str, by: str, now: datetime) -> None:
    """End a key and every session it opened. Raises NotFound."""
    row = await (await db.execute(REVOKE, {"id": key_id, "now": now})).fetchone()
    if row is None:
        raise NotFound(f"there is no key {key_id!r} that is not revoked already")
    await audit.write(db, by, "key.revoked", f"key {key_id}", {"name": row[0]})


def digest(key: str) -> bytes:
    """A key has 256 random bits, so a plain digest cannot be searched for it."""
    return hashlib.sha256(key.encode()).digest()


async def _write(
    db: Connection, id: str, kind: str, name: str, roles: Sequence[str], entities: Sequence[str], now: datetime
) -> str:
    key = f"{kind}_{secrets.token_urlsafe(32)}"
    row = {
        "id": id,
        "name": name,
        "digest": digest(key),
        "roles": sorted(set(roles)),
        "entities": sorted(set(entities)),
    }
    await db.execute(WRITE_KEY, {**row, "now": now})
    detail = {"name": name, "roles": row["roles"], "entities": row["entities"]}
    await audit.write(db, name, "key.created", f"key {id}", detail)
    return key


def _principal(row: Any) -> Principal | None:
    return None if row is None else Principal(row[0], row[1], frozenset(row[2]), tuple(row[3]))
