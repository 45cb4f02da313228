"""A variable that is set and empty is a value that did not arrive. Where the service would be weaker without it, it
stops the start; where it means something, that is written down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memory_grpc.commands.configuration import load_settings, target
from memory_grpc.commands.failure import CommandError
from memory_grpc.settings import Settings

# What an empty value means where it does not stop the start. None of these is a protection that ends unasked.
MEANS = {
    # As the description says: no limit, no key of metadata.
    "global_rate_limit": "none",
    "tenant_rate_limit": "none",
    "user_id_metadata_key": "none",
    # Less is let in, or at most as much.
    "allowed_origins": "no origin",
    "trusted_proxies": "no proxy",
    "accept_data_loss_with": "no loss",
    # What `up` and the server say when they have none, or do without.
    "database_url": "the embedded Postgres",
    "database_direct_url": "the same as the other",
    "database_read_urls": "no replica",
    # Names, texts and numbers that guard nothing.
    "environment": "no name",
    "embedding_model_name": "refused by whoever loads it",
    "embedding_device": "refused by whoever loads it",
    "embedding_query_prompt": "the model's own",
    "embedding_document_prompt": "the model's own",
    "embedding_next_model_name": "the same model",
    "embedding_next_query_prompt": "the model's own",
    "embedding_next_document_prompt": "the model's own",
    "openai_base_url": "refused by whoever calls it",
    "rerank_model": "refused by whoever loads it",
    "rerank_url": "refused by whoever calls it",
} | {name: "the recipe's" for name in Settings.model_fields if re.fullmatch(r"hybrid_\w+_weight", name)}
# These have a default.
del MEANS["hybrid_rerank_weight"], MEANS["hybrid_previous_weight"]

STOPPED = [name for name in Settings.model_fields if name not in MEANS]
LISTS = ["allowed_hosts", "jwt_audience"]
PROTECTIONS = [
    *(name for name in Settings.model_fields if re.match(r"(http_)?tls_|jwt_", name)),
    *("api_keys", "allowed_hosts", "rate_limit_storage", "host", "http_host", "upstream_host", "data_dir"),
]


@pytest.mark.parametrize("text", ["", " ", "\n"])
@pytest.mark.parametrize("name", STOPPED)
def test_what_is_set_and_empty_stops_the_start_and_is_named(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MEMORY_{name.upper()}", text)
    with pytest.raises(CommandError, match=f"^The configuration is wrong: MEMORY_{name.upper()}: [^\n]*\\.$"):
        load_settings()


@pytest.mark.parametrize("name", sorted(MEANS))
def test_an_empty_value_that_means_something_is_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that is given a guard against emptiness leaves the table."""
    monkeypatch.setenv(f"MEMORY_{name.upper()}", "")
    load_settings()


def test_no_protection_is_in_the_table() -> None:
    assert len(PROTECTIONS) > 20
    assert not [name for name in PROTECTIONS if name in MEANS]


@pytest.mark.parametrize("text", ["", ",", " , ", "[]", '[""]', '[" "]'])
@pytest.mark.parametrize("name", LISTS)
def test_so_does_a_list_without_entries(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MEMORY_{name.upper()}", text)
    with pytest.raises(CommandError) as wrong:
        load_settings()
    assert str(wrong.value) == (
        f"The configuration is wrong: MEMORY_{name.upper()}: it is empty: give it a value, or leave the variable out."
    )


def test_the_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_TLS_CLIENT_CA_FILE", "")
    with pytest.raises(CommandError) as wrong:
        load_settings()
    assert str(wrong.value) == (
        "The configuration is wrong: MEMORY_TLS_CLIENT_CA_FILE: it is empty: "
        "give it a value, or leave the variable out."
    )


def test_an_empty_line_of_a_file_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")
    (tmp_path / ".env").write_text("MEMORY_JWT_ISSUER=\nMEMORY_RATE_LIMIT_STORAGE=''\n")
    with pytest.raises(CommandError, match=r"MEMORY_RATE_LIMIT_STORAGE: it is empty.*MEMORY_JWT_ISSUER: it is empty"):
        load_settings()


def test_a_command_with_an_empty_key_does_not_take_the_admins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_CLIENT_API_KEY", " ")
    assert target(None, None, 1.0).api_key is None
    monkeypatch.setenv("MEMORY_API_KEYS", "the-key-of-an-admin")
    with pytest.raises(CommandError, match=r"^The API key is empty: "):
        target(None, None, 1.0)
    assert target(None, None, 1.0, with_deployments_key=False).api_key is None
    monkeypatch.delenv("MEMORY_CLIENT_API_KEY")
    assert target(None, None, 1.0).api_key == "the-key-of-an-admin"
    with pytest.raises(CommandError, match=r"^The API key is empty: "):
        target(None, "", 1.0)
