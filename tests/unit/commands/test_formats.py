"""What the exports of other programs become, and how what is wrong with them is named."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing.detect import Format, open_source, progress_name
from memory_grpc.commands.importing.records import Changed, Mark, Record
from memory_grpc.commands.importing.survey import survey
from memory_grpc.commands.importing.turns import Reading
from tests import exports

ANN = Reading(tenant_id="acme", user_id="ann")


def read(path: Path, reading: Reading = ANN, after: Mark | None = None) -> list[Record]:
    source, _ = open_source(path, Format.AUTO, reading)
    return list(source.records(after or Mark()))


def sent(records: list[Record]) -> list[dict[str, Any]]:
    """The messages, without what all of them have."""
    found = []
    for record in records:
        if record.request is not None:
            value = MessageToDict(record.request, preserving_proto_field_name=True)
            assert value.pop("tenant_id") == "acme"
            assert value.pop("keep_request_id")
            assert value.pop("request_id")
            found.append(value)
    return found


def said(records: list[Record]) -> list[tuple[str, str, str]]:
    return [(one["role"], one.get("name", ""), one["content"]) for one in sent(records)]


def left_out(records: list[Record]) -> list[str]:
    return [name for record in records for name in record.left_out]


def ids(records: list[Record]) -> list[str]:
    return [record.request.request_id for record in records if record.request]


def test_chatgpt_is_read_from_the_root_to_what_was_last_seen(tmp_path: Path) -> None:
    records = read(exports.write(tmp_path / "conversations.json", exports.chatgpt()))
    assert sent(records) == [
        {
            "conversation_id": "c-1",
            "role": "user",
            "user_id": "ann",
            "content": "When do ferries leave Oban?",
            "created_at": "2024-05-01T10:00:00.250Z",
            "metadata": {"source": "chatgpt", "id": "m-asked"},
        },
        {
            "conversation_id": "c-1",
            "role": "assistant",
            "user_id": "ann",
            "content": "At nine.",
            "created_at": "2024-05-01T10:01:00.250Z",
            "metadata": {"source": "chatgpt", "id": "m-said"},
        },
        {
            "conversation_id": "c-1",
            "role": "user",
            "user_id": "ann",
            "content": "Thank you",
            "created_at": "2024-05-01T10:00:00.250Z",
            "metadata": {"source": "chatgpt", "id": "m-thanks"},
        },
    ]
    assert left_out(records) == ["hidden", "image_asset_pointer", "thoughts", "of another branch"]


def test_chatgpt_in_several_files_is_one_export(tmp_path: Path) -> None:
    (one,) = exports.chatgpt()
    exports.write(tmp_path / "conversations-001.json", [one | {"conversation_id": "c-2"}])
    exports.write(tmp_path / "conversations-000.json", [one])
    records = read(tmp_path)
    assert [message["conversation_id"] for message in sent(records)] == ["c-1"] * 3 + ["c-2"] * 3
    assert records[0].label == "conversations-000.json [0].mapping.hidden.message"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"current_node": "nowhere SECRET"}, "[0]: mapping: lacks a node"),
        ({"mapping": None}, "[0]: mapping: lacks a node"),
        ({"mapping": [1]}, "[0]: mapping: must be an object"),
        ({"conversation_id": None}, "[0]: conversation_id: is missing"),
        ({"create_time": "SECRET"}, "[0]: create_time: must be seconds since 1970"),
        ({"create_time": 1e300}, "[0]: create_time: must be seconds since 1970"),
        ({"create_time": -5}, "[0]: create_time: must be between"),
    ],
)
def test_a_chatgpt_conversation_that_is_none_is_named(tmp_path: Path, change: dict[str, Any], fault: str) -> None:
    path = exports.write(tmp_path / "conversations.json", [exports.chatgpt()[0] | change])
    found = survey(open_source(path, Format.AUTO, ANN)[0])
    faults = [f"{one.label}: {one.faults[0].field}: {one.faults[0].description}" for one in found.faulty]
    assert [fault in one for one in faults] == [True]
    assert "SECRET" not in repr(faults)


def test_a_chatgpt_conversation_that_goes_round_is_named(tmp_path: Path) -> None:
    broken = exports.chatgpt()
    broken[0]["mapping"]["hidden"]["parent"] = "thanks"
    (record,) = read(exports.write(tmp_path / "c.json", broken))
    assert record.faults[0].description == "goes round in a circle"


def test_claude(tmp_path: Path) -> None:
    records = read(exports.write(tmp_path / "conversations.json", exports.claude()))
    assert said(records) == [
        ("user", "", "My starter is dead"),
        ("assistant", "", "Feed it rye"),
        ("user", "", "It lives"),
    ]
    first, second, third = sent(records)
    assert first["metadata"] == {"source": "claude", "role": "human", "id": "k-1-1", "attachments": ["recipe.txt"]}
    assert (second["created_at"], third["created_at"]) == ("2024-05-01T10:00:30Z", "2024-05-01T10:00:00.123456Z")
    assert left_out(records) == ["attachment", "thinking"]


def test_openai_in_every_shape(tmp_path: Path) -> None:
    mapped = Reading("acme", roles={"tool": "assistant"})
    lines = json.dumps(exports.OPENAI) + "\n" + json.dumps(exports.OPENAI) + "\n"
    one = read(exports.write(tmp_path / "chat.json", json.dumps(exports.OPENAI, indent=1)), mapped)
    assert said(one) == [
        ("system", "", "Be brief"),
        ("user", "ann", "Weather?"),
        ("assistant", "", "12 degrees"),
        ("assistant", "", "Cool."),
    ]
    assert sent(one)[2]["metadata"] == {"source": "openai", "role": "tool", "tool_call_id": "t1"}
    assert left_out(one) == ["image_url", "tool call"]
    for value in (lines, [exports.OPENAI, exports.OPENAI]):
        records = read(exports.write(tmp_path / "chat.jsonl", value), mapped)
        assert [message["conversation_id"] for message in sent(records)] == ["chat-1"] * 4 + ["chat-2"] * 4
        assert len(set(ids(records))) == 8
    bare = read(exports.write(tmp_path / "bare.json", exports.OPENAI["messages"]), mapped)
    assert (said(bare), {message["conversation_id"] for message in sent(bare)}) == (said(one), {"bare"})


def test_a_role_that_is_none_is_refused_by_name_or_mapped_or_left_out(tmp_path: Path) -> None:
    path = exports.write(tmp_path / "chat.json", exports.OPENAI)
    (fault,) = [record for record in read(path) if record.faults]
    assert fault.label == "line 1.messages[3]"
    assert "tool is no role of the service: say what it is with --role tool=assistant" in fault.faults[0].description
    skipped = read(path, Reading("acme", roles={"tool": "skip"}))
    assert "12 degrees" not in repr(sent(skipped))
    assert left_out(skipped) == ["image_url", "tool call", "role tool"]


def test_a_role_that_may_be_more_than_a_role_is_not_shown(tmp_path: Path) -> None:
    path = exports.write(tmp_path / "chat.json", {"messages": [{"role": "my SECRET words", "content": "x"}]})
    (record,) = read(path)
    assert record.faults
    assert "SECRET" not in repr(record.faults)


def test_sharegpt_and_turns_that_say_the_same(tmp_path: Path) -> None:
    records = read(exports.write(tmp_path / "share.json", exports.SHAREGPT))
    assert said(records) == [
        ("system", "", "Be kind"),
        ("user", "", "hello"),
        ("assistant", "", "hi"),
        ("user", "", "hello"),
        ("user", "", "hello"),
    ]
    assert [message["conversation_id"] for message in sent(records)] == ["s-1"] * 3 + ["share-2"] * 2
    assert len(set(ids(records))) == 5


@pytest.mark.parametrize("flat", [False, True])
def test_langchain(tmp_path: Path, flat: bool) -> None:
    value = [{"type": one["type"], **one["data"]} if flat else one for one in exports.LANGCHAIN]  # type: ignore[dict-item]
    records = read(exports.write(tmp_path / "memory.json", value))
    assert said(records) == [("system", "", "Be kind"), ("user", "Ann", "hello"), ("assistant", "", "hi")]
    assert left_out(records) == ["tool call"]


def test_slack(tmp_path: Path) -> None:
    records = read(exports.slack(tmp_path / "export"))
    assert said(records) == [
        ("user", "Bob B.", "ahoy"),
        ("user", "Ann", "@Bob B. see the map (https://example.com) & #boats"),
        ("assistant", "tides", "high"),
        ("user", "Ann", "late"),
    ]
    message = sent(records)[1]
    assert (message["conversation_id"], message["created_at"]) == ("general", "2024-05-01T10:00:00.000200Z")
    assert message["metadata"] == {
        "source": "slack",
        "ts": "1714557600.000200",
        "author_id": "U1",
        "attachments": ["map.png"],
    }
    assert left_out(records) == ["notice", "attachment"]
    assert len(set(ids(records))) == 4


def test_a_day_of_slack_that_is_broken_is_named(tmp_path: Path) -> None:
    folder = exports.slack(tmp_path / "export")
    exports.write(folder / "general/2024-05-02.json", '[{"type": "message"},\n{"ts": SECRET}]')
    with pytest.raises(CommandError) as error:
        read(folder)
    assert str(error.value) == "export: general/2024-05-02.json line 2 column 8: is no JSON."


def test_discord(tmp_path: Path) -> None:
    records = read(exports.write(tmp_path / "harbour.json", exports.DISCORD))
    assert said(records) == [("user", "Ann", "anyone sailing?"), ("assistant", "windy", "wind is 4")]
    first, second = sent(records)
    assert (first["conversation_id"], first["created_at"]) == ("77", "2024-05-01T10:00:00.500Z")
    assert second["metadata"] == {"source": "discord", "role": "bot", "id": "901", "author_id": "6", "reply_to": "900"}
    assert left_out(records) == ["attachment", "notice"]


def test_mem0(tmp_path: Path) -> None:
    records = read(exports.write(tmp_path / "mem0.json", exports.MEM0), Reading("acme"))
    first, second = sent(records)
    assert (first["user_id"], first["conversation_id"], first["created_at"]) == ("ann", "r-1", "2024-05-01T10:00:00Z")
    assert first["metadata"] == {
        "source": "mem0",
        "category": "food",
        "mem0": {"id": "8a", "hash": "ff", "run_id": "r-1"},
    }
    assert second["conversation_id"] == "mem0"
    listed = read(exports.write(tmp_path / "list.json", exports.MEM0["results"]), Reading("acme"))
    assert (sent(listed), ids(listed)) == (sent(records), ids(records))


@pytest.mark.parametrize("offset", ["+99:99", "+24:00", "-12:60", "", " "])
def test_an_offset_that_does_not_exist_is_named(tmp_path: Path, offset: str) -> None:
    value = copy.deepcopy(exports.DISCORD)
    value["messages"][1]["timestamp"] = f"2024-05-01T10:01:00{offset}"  # type: ignore[index]
    (fault,) = [record for record in read(exports.write(tmp_path / "d.json", value)) if record.faults]
    assert (fault.label, fault.faults[0].field) == ("messages[1]", "timestamp")


def test_a_list_of_ingest_requests_is_read(tmp_path: Path) -> None:
    requests = [
        {"tenant_id": "t", "conversation_id": "c", "role": "user", "content": content} for content in ("a", "b", "b")
    ]
    path = exports.write(tmp_path / "list.json", requests)
    source, kind = open_source(path, Format.AUTO)
    records = list(source.records(Mark()))
    assert kind is Format.JSON
    assert [record.request.content for record in records if record.request] == ["a", "b", "b"]
    assert len(set(ids(records))) == 3
    assert [record.label for record in source.records(records[0].after)] == ["[1]", "[2]"]
    (fault,) = [one for one in read(exports.write(path, [*requests, {"tenant_id": "t"}])) if one.faults]
    assert fault.label == "[3]"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_files_of_every_unicode_encoding_are_the_same(tmp_path: Path, encoding: str) -> None:
    line = json.dumps(
        {"tenant_id": "acme", "conversation_id": "c", "role": "user", "content": "hé 😀"}, ensure_ascii=False
    )
    for value in (f"{line}\n{line}\n", json.dumps(exports.claude()), json.dumps(exports.DISCORD)):
        plain = read(exports.write(tmp_path / "file", value))
        recoded = read(exports.write(tmp_path / "file", value, encoding))
        assert (sent(recoded), ids(recoded)) == (sent(plain), ids(plain))


def test_what_only_begins_as_utf_16_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes('{"a": 1}\n'.encode("utf-16") + b"\x00\xdc" * 3)
    with pytest.raises(CommandError, match="begins as UTF-16"):
        open_source(path, Format.AUTO)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[1]", "a list of nothing that import knows"),
        ("[]", "a list of nothing that import knows"),
        ("[{", "line 1 column 3: is no JSON"),
        ("[" * 200_000, "nested too deep"),
        ("PK\x03\x04", "is a zip file"),
    ],
)
def test_what_is_of_no_format_is_said(tmp_path: Path, value: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        read(exports.write(tmp_path / "file.json", value))


def test_an_export_needs_a_tenant(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is a Claude export, which names no tenant: say whose it is with --tenant"):
        open_source(exports.write(tmp_path / "c.json", exports.claude()), Format.AUTO)


def test_a_later_export_brings_the_same_turns_again(tmp_path: Path) -> None:
    """The newest conversation first, and each longer than before: as ChatGPT exports them."""
    first = ids(read(exports.write(tmp_path / "a.json", exports.chatgpt())))
    grown = exports.chatgpt()
    grown[0]["mapping"]["more"] = exports.node("more", "thanks", "assistant", "You are welcome")
    grown[0] |= {"current_node": "more", "title": "Boats"}
    later = ids(
        read(
            exports.write(tmp_path / "b.json", [exports.chatgpt()[0] | {"id": "c-2", "conversation_id": "c-2"}, *grown])
        )
    )
    assert later[3:6] == first
    assert len(set(later)) == 7


def test_reading_goes_on_after_a_mark_and_refuses_another_file(tmp_path: Path) -> None:
    path = exports.write(tmp_path / "c.json", exports.claude())
    records = read(path)
    assert ids(read(path, after=records[0].after)) == ids(records)[1:]
    changed = exports.claude()
    changed[0]["chat_messages"][0]["content"] = []
    changed[0]["chat_messages"][0]["text"] = "other"
    with pytest.raises(Changed, match="what is stored already is not stored again"):
        read(exports.write(path, changed), after=records[1].after)


def test_progress_is_that_of_the_way_a_file_is_read() -> None:
    names = {progress_name(Format.CLAUDE, Reading(tenant)) for tenant in ("a", "b", "a")}
    assert len(names) == 2


def test_a_long_name_is_kept_whole(tmp_path: Path) -> None:
    path = exports.write(tmp_path / "c.json", {"messages": [{"role": "user", "name": "n" * 100, "content": "x"}]})
    (message,) = sent(read(path))
    assert (message["name"], message["metadata"]["name"]) == ("n" * 64, "n" * 100)
