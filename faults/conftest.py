"""What fault tests share with the others: one PostgreSQL for the run and a database for each test."""

from tests.conftest import (  # noqa: F401
    create_database,
    database_server,
    database_url,
    empty_database_url,
    pytest_configure,
    pytest_unconfigure,
)
