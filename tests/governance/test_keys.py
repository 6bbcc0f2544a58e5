"""Keys are shown once, hold roles and legal entities, and end when revoked; a sign-in token works a single time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from accord.db.pool import Pool, transaction
from accord.errors import NotFound, NotPermitted, UsageError
from accord.governance import keys

NOW = datetime.now(UTC)


async def test_a_key_is_found_by_itself_and_only_its_digest_is_kept(pool: Pool) -> None:
    async with transaction(pool) as db:
        key = await keys.create_key(db, "ci", ["operate"], ["DE"], NOW)
        found = await keys.find(db, key)
        stored = await (await db.execute("SELECT api_key::text, detail::text FROM api_key, audit_entry")).fetchone()
    assert found is not None
    assert (found.name, found.scope, found.may("read"), found.may("operate"), found.may("admin")) == (
        "ci", ["DE"], True, True, False,
    )  # fmt: skip
    assert key not in str(stored)
    with pytest.raises(NotPermitted, match="admin"):
        found.must("admin")


async def test_a_wrong_or_revoked_key_is_nobody(pool: Pool) -> None:
    async with transaction(pool) as db:
        key = await keys.create_key(db, "ci", ["read"], [], NOW)
        assert await keys.find(db, key + "x") is None
        assert await keys.find(db, "") is None
        principal = await keys.find(db, key)
        assert principal is not None
        assert principal.scope is None
        await keys.revoke(db, principal.id, "Ada", NOW)
        assert await keys.find(db, key) is None
        assert await keys.by_id(db, principal.id) is None
        with pytest.raises(NotFound):
            await keys.revoke(db, principal.id, "Ada", NOW)


@pytest.mark.parametrize(("name", "roles"), [("ci", ["root"]), ("ci", []), ("  ", ["read"]), ("ci", ["costs"])])
async def test_a_key_needs_a_name_and_known_roles(pool: Pool, name: str, roles: list[str]) -> None:
    async with transaction(pool) as db:
        with pytest.raises(UsageError):
            await keys.create_key(db, name, roles, [], NOW)


async def test_costs_are_seen_by_whoever_was_given_that_and_by_no_other_role(pool: Pool) -> None:
    async with transaction(pool) as db:
        seen = [
            await keys.find(db, await keys.create_key(db, "ci", roles, [], NOW))
            for roles in (["read", "costs"], ["admin"])
        ]
    assert [each is not None and (each.may("read"), each.may("costs"), each.may("admin")) for each in seen] == [
        (True, True, False), (True, False, True),
    ]  # fmt: skip


async def test_a_sign_in_token_is_spent_by_its_first_use_and_is_no_key(pool: Pool) -> None:
    async with transaction(pool) as db:
        token = await keys.create_sign_in(db, "demo", ["operate"], NOW)
        assert await keys.find(db, token) is None
        first = await keys.redeem(db, token, NOW)
        assert first is not None
        assert await keys.by_id(db, first.id) == first
        assert await keys.redeem(db, token, NOW) is None


async def test_a_sign_in_token_grows_old_and_a_key_cannot_be_spent(pool: Pool) -> None:
    async with transaction(pool) as db:
        token = await keys.create_sign_in(db, "demo", ["operate"], NOW)
        assert await keys.redeem(db, token, NOW + keys.SIGN_IN_LIFE + timedelta(seconds=1)) is None
        key = await keys.create_key(db, "ci", ["read"], [], NOW)
        assert await keys.redeem(db, key, NOW) is None
        assert await keys.find(db, key) is not None
