"""Alembic's way in. Called only through `accord.db.migrate`, which hands over the connection."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
