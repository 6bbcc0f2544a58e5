"""Databases that are thrown away lie in memory where there is room."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from accord.db import scratch


@pytest.mark.parametrize(("room", "folder"), [(0, "memory"), (2**62, "disk")])
def test_it_lies_in_memory_only_where_there_is_room(
    room: int, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, disk = tmp_path / "memory", tmp_path / "disk"
    memory.mkdir()
    disk.mkdir()
    monkeypatch.setattr(scratch, "MEMORY", memory)
    monkeypatch.setattr(scratch, "ROOM", room)
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(disk))
    made = scratch.scratch_folder("accord-test-")
    assert made.parent == tmp_path / folder
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_machine_without_such_a_folder_uses_its_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "MEMORY", tmp_path / "none")
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    assert scratch.scratch_folder("accord-test-").parent == tmp_path
