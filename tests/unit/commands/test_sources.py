"""What JSON lines and LoCoMo files become, and where a later run goes on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing import jsonl
from memory_grpc.commands.importing.detect import Format, detect, open_source
from memory_grpc.commands.importing.jsonl import JsonLines
from memory_grpc.commands.importing.locomo import Locomo, session_date
from memory_grpc.commands.importing.records import Changed, Fault, Mark, Record


def line(content: str = "hello", **fields: Any) -> str:
    """A valid line."""
    return json.dumps({"tenant_id": "t", "conversation_id": "c", "role": "user", "content": content, **fields})


def read(path: Path, after: Mark | None = None) -> list[Record]:
    return list(JsonLines(path).records(after or Mark()))


def write(tmp_path: Path, *lines: str, end: str = "\n") -> Path:
    path = tmp_path / "file.jsonl"
    path.write_text("\n".join(lines) + end, encoding="utf-8")
    return path


def ids(records: list[Record]) -> list[str]:
    return [record.request.request_id for record in records if record.request]


def test_a_line_becomes_a_request(tmp_path: Path) -> None:
    own = "7b0b6f0e-6c8e-4c62-9a53-0d4cb0b1a4f1"
    text = line(
        "hé",
        metadata={"a": [1]},
        importance_override=0.5,
        name="Ann",
        created_at="2023-05-08T13:56:00+02:00",
        request_id=own,
        user_id="u-7",
        embed_later=True,
    )
    [record] = read(write(tmp_path, text))
    assert record.faults == ()
    assert record.request is not None
    assert record.request.content == "hé"
    assert record.request.created_at.ToDatetime(tzinfo=UTC) == datetime(2023, 5, 8, 11, 56, tzinfo=UTC)
    assert record.request.request_id == own
    assert record.request.user_id == "u-7"
    assert record.request.embed_later
    assert record.after.position == tmp_path.joinpath("file.jsonl").stat().st_size


@pytest.mark.parametrize("fields", [{}, {"keep_request_id": True}, {"keep_request_id": False}])
def test_request_ids_are_kept_as_long_as_their_messages(tmp_path: Path, fields: dict[str, Any]) -> None:
    [record] = read(write(tmp_path, line(**fields)))
    assert record.request is not None
    assert record.request.keep_request_id


@pytest.mark.parametrize(
    ("text", "field", "description"),
    [
        ("{oops", "", "is not JSON"),
        ("[1]", "", "is not a JSON object"),
        ('{"importance_override": NaN}', "", "NaN"),
        (line(colour="red"), "colour", "is not a field"),
        (line(**{"async": True}), "async", "is called embed_later now"),
        (line(content=7), "content", "must be text"),
        (line(metadata="SECRET"), "metadata", "must be an object"),
        (line(created_at="yesterday SECRET"), "created_at", "RFC 3339"),
        (line(created_at="2023-05-08T13:56:00"), "created_at", "RFC 3339"),
        (line(importance_override="SECRET"), "importance_override", "must be a number"),
        (line(embed_later="SECRET"), "embed_later", "must be true or false"),
        (line(keep_request_id="SECRET"), "keep_request_id", "must be true or false"),
        (line(metadata={"user": 1546130668394913822}), "metadata.*", "send it as text"),
        (line(importance_override=2), "importance_override", "must be at most 1"),
        (line(role="SECRET"), "role", "must be one of"),
        (line("SECRET\0"), "content", "NUL"),
        (line(request_id="SECRET"), "request_id", "must be a UUID"),
        ('{"content": "\\ud800"}', "content", "must be text"),
        ('{"metadata": ' + '{"a":' * 5000 + "1" + "}" * 5001, "", "nested too deep"),
    ],
)
def test_a_bad_line_is_named_by_its_field_and_never_shown(
    tmp_path: Path, text: str, field: str, description: str
) -> None:
    good, bad = read(write(tmp_path, line(), text))
    assert good.request is not None
    assert bad.request is None
    assert bad.label == "line 2"
    assert bad.faults[0].field == field
    assert description in bad.faults[0].description
    assert "SECRET" not in repr(bad.faults)


def test_bytes_that_are_no_utf8_are_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(b'{"content": "\xff"}\n')
    assert [record.faults for record in read(path)] == [(Fault("", "is not UTF-8"),)]


def test_a_line_without_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE_BYTES", 200)
    long, good = read(write(tmp_path, line("x" * 1000), line()))
    assert "longer than" in long.faults[0].description
    assert good.label == "line 2"
    assert good.request is not None


def test_request_ids_are_the_same_in_every_run_and_when_lines_are_appended(tmp_path: Path) -> None:
    first = ids(read(write(tmp_path, line("a"), line("b"), end="")))  # the last line has no newline yet
    grown = ids(read(write(tmp_path, line("a"), line("b"), "", line("c"))))
    assert grown[:2] == first
    assert len(set(grown)) == 3


def test_equal_lines_are_two_messages(tmp_path: Path) -> None:
    assert len(set(ids(read(write(tmp_path, line(), line()))))) == 2
    other_file = ids(read(write(tmp_path, line("x"), line())))
    assert other_file[1] not in ids(read(write(tmp_path, line("y"), line())))


def test_windows_newlines_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    plain = ids(read(write(tmp_path, line("a"), line("b"))))
    path = tmp_path / "windows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + f"{line('a')}\r\n{line('b')}\r\n".encode())
    assert ids(read(path)) == plain
    assert detect(path) is Format.JSONL


def test_reading_goes_on_after_a_mark(tmp_path: Path) -> None:
    path = write(tmp_path, line("a"), "", line("b"), line("c"))
    records = read(path)
    rest = read(path, records[1].after)
    assert [record.label for record in rest] == ["line 4"]
    assert ids(rest) == ids(records)[2:]
    assert read(path, records[-1].after) == []


@pytest.mark.parametrize("lines", [("A", "b"), ("a",), ("b", "a")])
def test_a_file_that_is_no_longer_the_same_is_refused(tmp_path: Path, lines: tuple[str, ...]) -> None:
    mark = read(write(tmp_path, line("a"), line("b")))[-1].after
    with pytest.raises(Changed, match="--restart"):
        read(write(tmp_path, *map(line, lines)), mark)


def sample(*sessions: list[dict[str, str]]) -> dict[str, Any]:
    """A LoCoMo sample of the sessions, the last one first in the file."""
    conversation: dict[str, Any] = {"speaker_a": "Ann", "speaker_b": "Bob"}
    for number, turns in reversed(list(enumerate(sessions, start=1))):
        conversation[f"session_{number}_date_time"] = f"1:56 pm on {number} May, 2023"
        conversation[f"session_{number}"] = turns
    return {"sample_id": "conv-1", "conversation": conversation, "qa": []}


def locomo(tmp_path: Path, *samples: Any) -> Path:
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps(samples), encoding="utf-8")
    return path


def test_locomo_turns_become_messages_in_order(tmp_path: Path) -> None:
    turns = [
        {"speaker": "Ann", "dia_id": "D1:1", "text": "hi"},
        {"speaker": "Bob", "dia_id": "D1:2", "text": " "},
        {"speaker": "Bob", "dia_id": "D1:3", "text": "hello"},
    ]
    path = locomo(tmp_path, sample(turns, [{"speaker": "Ann", "dia_id": "D2:1", "text": "again"}]))
    source, kind = open_source(path, Format.AUTO)
    assert kind is Format.LOCOMO
    assert source.total == 4
    records = list(source.records(Mark()))
    assert records[1].request is None
    assert records[1].faults == ()
    requests = [record.request for record in records if record.request]
    assert [(r.conversation_id, r.metadata["dia_id"], r.name, r.content) for r in requests] == [
        ("session_1", "D1:1", "Ann", "hi"),
        ("session_1", "D1:3", "Bob", "hello"),
        ("session_2", "D2:1", "Ann", "again"),
    ]
    assert all(request.keep_request_id for request in requests)
    assert requests[0].role == "user"
    assert requests[0].tenant_id == "conv-1"
    assert requests[1].created_at.ToDatetime(tzinfo=UTC) == datetime(2023, 5, 1, 13, 56, 2, tzinfo=UTC)


def test_a_locomo_turn_has_its_own_request_id_wherever_it_stands(tmp_path: Path) -> None:
    one = sample([{"speaker": "Ann", "dia_id": "D1:1", "text": "hi"}])
    two = sample(
        [{"speaker": "Ann", "dia_id": "D1:1", "text": "hi"}], [{"speaker": "A", "dia_id": "D2:1", "text": "x"}]
    )
    assert ids(list(Locomo(locomo(tmp_path, two)).records(Mark())))[:1] == ids(
        list(Locomo(locomo(tmp_path, one)).records(Mark()))
    )


def test_locomo_goes_on_after_a_mark_and_refuses_another_file(tmp_path: Path) -> None:
    turns = [{"speaker": "Ann", "dia_id": f"D1:{n}", "text": f"turn {n}"} for n in range(1, 5)]
    records = list(Locomo(locomo(tmp_path, sample(turns))).records(Mark()))
    rest = list(Locomo(locomo(tmp_path, sample(turns))).records(records[1].after))
    assert ids(rest) == ids(records)[2:]
    with pytest.raises(Changed):
        list(Locomo(locomo(tmp_path, sample(turns[1:]))).records(records[1].after))


@pytest.mark.parametrize("value", [[{"sample_id": "x"}], [{"sample_id": "x", "conversation": {"session_1": []}}]])
def test_another_list_is_no_locomo_file(tmp_path: Path, value: list[Any]) -> None:
    with pytest.raises(CommandError, match="not a LoCoMo file"):
        open_source(locomo(tmp_path, *value), Format.AUTO)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1:56 pm on 8 May, 2023", datetime(2023, 5, 8, 13, 56, tzinfo=UTC)),
        ("12:09 am on 13 September, 2023", datetime(2023, 9, 13, 0, 9, tzinfo=UTC)),
        ("12:00 pm on 29 February, 2024", datetime(2024, 2, 29, 12, 0, tzinfo=UTC)),
    ],
)
def test_locomo_dates(text: str, expected: datetime) -> None:
    assert session_date(text) == expected


@pytest.mark.parametrize("text", ["", "13:00 pm on 8 May, 2023", "1:56 pm on 31 June, 2023", "1:56 pm on 8 Mai, 2023"])
def test_what_is_no_locomo_date(text: str) -> None:
    with pytest.raises(ValueError):
        session_date(text)
