"""The address of the database: watched, and of several hosts the one that takes writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from accord.db import address
from accord.settings import Settings

CLUSTER = "postgresql://accord:s%40e@db1:5433,db2,db3:5434/firm"


def test_of_several_hosts_the_one_is_taken_that_takes_writes() -> None:
    """In the order given, each given up after some seconds, and nothing else of the address is changed."""
    read = conninfo_to_dict(address.watched(CLUSTER))
    assert (read["host"], read["port"], read["dbname"]) == ("db1,db2,db3", "5433,,5434", "firm")
    assert (read["user"], read["password"]) == ("accord", "s@e")
    assert read["target_session_attrs"] == "read-write"
    assert int(str(read["connect_timeout"])) <= 5


def test_a_single_host_may_be_anything() -> None:
    """A pooler answers for whatever is behind it."""
    assert "target_session_attrs" not in conninfo_to_dict(address.watched("postgresql://accord@pooler/firm"))


def test_what_the_address_says_itself_goes_before() -> None:
    read = conninfo_to_dict(address.watched(f"{CLUSTER}?target_session_attrs=any&connect_timeout=2&tcp_user_timeout=7"))
    assert (read["target_session_attrs"], read["connect_timeout"], read["tcp_user_timeout"]) == ("any", "2", "7")
    assert read["keepalives_idle"] == "5"


def test_an_address_is_watched_once() -> None:
    once = address.watched(CLUSTER)
    assert address.watched(once) == once


@pytest.mark.parametrize("wrong", ["nothing at all", "postgresql://[", "postgresql://a@b/c?no=option"])
def test_an_address_that_cannot_be_read_is_left_for_connecting_to_explain(wrong: str) -> None:
    assert address.watched(wrong) == wrong


def test_the_address_that_was_set_is_watched(tmp_path: Path) -> None:
    read = conninfo_to_dict(address.url(Settings(home=tmp_path, database_url=SecretStr(CLUSTER))))
    assert read["target_session_attrs"] == "read-write"
