"""What an import keeps between two runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing.progress_file import Progress, ProgressFile

PROGRESS = Progress(7, "abc", "t", "id")


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    file = ProgressFile(tmp_path / "deep" / "progress.json")
    assert file.load() is None
    file.save(PROGRESS)
    assert file.load() == PROGRESS
    assert [path.name for path in file.path.parent.iterdir()] == ["progress.json"]
    file.forget()
    file.forget()
    assert file.load() is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "number": 1}'])
def test_what_cannot_be_read_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "progress.json"
    path.write_text(text)
    with pytest.raises(CommandError, match="--restart"):
        ProgressFile(path).load()


def test_each_file_and_service_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    paths = {
        ProgressFile.of(Path(file), address, "jsonl").path
        for file in ("a.jsonl", "b.jsonl")
        for address in ("one:1", "two:2")
    }
    assert len(paths) == 4
    assert all(path.is_relative_to(tmp_path / "memory-grpc" / "imports") for path in paths)
