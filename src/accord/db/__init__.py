"""The database room: an address, a pool, `transaction()`, migrations, and a PostgreSQL of our own if none is given."""

from accord.db.address import url
from accord.db.pool import open_pool, transaction

__all__ = ["open_pool", "transaction", "url"]
