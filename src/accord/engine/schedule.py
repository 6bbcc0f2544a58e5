"""What is done every so often by whichever worker comes first: a row a name in `schedule`."""

from __future__ import annotations

from accord.engine.shell import Connection

ENTER = """
INSERT INTO schedule (name, every_seconds) VALUES (%(name)s, %(every)s)
ON CONFLICT (name) DO UPDATE SET every_seconds = excluded.every_seconds
WHERE schedule.every_seconds <> excluded.every_seconds
"""
# Whoever moves the date on has the turn; the others find it in the future.
CLAIM = """
UPDATE schedule SET next_at = clock_timestamp() + make_interval(secs => every_seconds)
WHERE name = %(name)s AND next_at <= clock_timestamp() RETURNING name
"""
DONE = "UPDATE schedule SET last_at = clock_timestamp(), last_error = NULL WHERE name = %(name)s"
FAILED = """
UPDATE schedule SET last_error = %(error)s, last_at = coalesce(last_at, clock_timestamp()) WHERE name = %(name)s
RETURNING last_at < clock_timestamp() - %(long)s::interval
"""


async def enter(db: Connection, name: str, every_seconds: float) -> None:
    """Say how often it is to be done; it is due at once the first time."""
    await db.execute(ENTER, {"name": name, "every": every_seconds})


async def claim(db: Connection, name: str) -> bool:
    """Whether it is due and ours to do."""
    return await (await db.execute(CLAIM, {"name": name})).fetchone() is not None


async def done(db: Connection, name: str) -> None:
    """It went well."""
    await db.execute(DONE, {"name": name})


async def failed(db: Connection, name: str, error: str, *, long: str) -> bool:
    """It did not go well; whether it has not for longer than `long` (an interval)."""
    row = await (await db.execute(FAILED, {"name": name, "error": error, "long": long})).fetchone()
    return bool(row and row[0])
