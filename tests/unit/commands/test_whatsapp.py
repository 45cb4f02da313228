"""WhatsApp chats of different phones."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing.detect import Format, open_source
from memory_grpc.commands.importing.records import Mark, Record
from memory_grpc.commands.importing.turns import Reading
from tests import exports


def read(path: Path, **how: object) -> list[Record]:
    source, kind = open_source(path, Format.AUTO, Reading("acme", **how))  # type: ignore[arg-type]
    assert kind is Format.WHATSAPP
    return list(source.records(Mark()))


def chat(tmp_path: Path, *lines: str) -> Path:
    return exports.write(tmp_path / "_chat.txt", "\n".join(lines) + "\n")


def times(records: list[Record]) -> list[str]:
    return [f"{record.created_at:%Y-%m-%dT%H:%M:%S}" for record in records if record.created_at]


def test_a_chat(tmp_path: Path) -> None:
    records = read(exports.write(tmp_path / "_chat.txt", exports.WHATSAPP))
    found = [(r.request.name, r.request.content) for r in records if r.request]
    assert found == [
        ("Ann", "Who brings the rope?\nand the anchor: the big one"),
        ("Bob", "me"),
        ("Bob", "me"),
        ("~ Cleo", "Good"),
    ]
    assert len({r.request.request_id for r in records if r.request}) == 4
    assert [name for record in records for name in record.left_out] == ["attachment or notice"] * 2
    assert times(records)[0] == "2024-05-13T21:05:34"
    assert records[0].label == "line 1"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("31/12/25, 21:05 - Ann: x", "2025-12-31T21:05:00"),
        ("12/31/25, 9:05 PM - Ann: x", "2025-12-31T21:05:00"),
        ("12/31/2025, 12:05\u202fAM - Ann: x", "2025-12-31T00:05:00"),
        ("31.12.25, 21:05 - Ann: x", "2025-12-31T21:05:00"),
        ("[31/12/2025, 21:05:33] Ann: x", "2025-12-31T21:05:33"),
        ("\u200e[31/12/25, 9:05:33 p.m.] Ann: x", "2025-12-31T21:05:33"),
        ("2025-12-31, 21:05 - Ann: x", "2025-12-31T21:05:00"),
        ("05/05/25, 21:05 - Ann: x", "2025-05-05T21:05:00"),
    ],
)
def test_the_times_of_phones(tmp_path: Path, line: str, expected: str) -> None:
    assert times(read(chat(tmp_path, line))) == [expected]


def test_the_order_of_day_and_month_is_taken_from_the_whole_file(tmp_path: Path) -> None:
    lines = ["03/04/25, 10:00 - Ann: x", "04/13/25, 10:00 - Ann: y"]
    assert times(read(chat(tmp_path, *lines))) == ["2025-03-04T10:00:00", "2025-04-13T10:00:00"]


def test_time_goes_forward(tmp_path: Path) -> None:
    lines = ["03/04/25, 10:00 - Ann: x", "01/05/25, 10:00 - Ann: y"]
    assert times(read(chat(tmp_path, *lines))) == ["2025-04-03T10:00:00", "2025-05-01T10:00:00"]


def test_where_the_order_stays_open_it_is_asked_for(tmp_path: Path) -> None:
    path = chat(tmp_path, "03/04/25, 10:00 - Ann: x", "05/06/25, 10:00 - Ann: y")
    with pytest.raises(CommandError, match="--dates dmy or --dates mdy"):
        read(path)
    assert times(read(path, dates="mdy"))[0] == "2025-03-04T10:00:00"
    assert times(read(path, dates="dmy"))[0] == "2025-04-03T10:00:00"


def test_local_times_are_of_the_zone_that_is_said(tmp_path: Path) -> None:
    path = chat(tmp_path, "31/07/25, 21:05 - Ann: x")
    assert times(read(path, timezone=ZoneInfo("Europe/Berlin"))) == ["2025-07-31T19:05:00"]


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (["31/12/25, 21:05 - Ann: x", "12/31/25, 21:05 - Ann: y"], "line 2"),
        (["31/12/25, 25:05 - Ann: x"], "line 1"),
        (["31/02/25, 21:05 - Ann: x"], "line 1"),
    ],
)
def test_dates_that_do_not_exist_are_named_by_line(tmp_path: Path, lines: list[str], place: str) -> None:
    with pytest.raises(CommandError, match=f"_chat.txt: {place}: "):
        read(chat(tmp_path, *lines))


def test_a_chat_that_begins_with_something_else_is_named(tmp_path: Path) -> None:
    source, _ = open_source(chat(tmp_path, "SECRET", "31/12/25, 21:05 - Ann: x"), Format.WHATSAPP, Reading("acme"))
    with pytest.raises(CommandError, match="line 1: does not begin with a date"):
        list(source.records(Mark()))


def test_system_lines_are_left_out(tmp_path: Path) -> None:
    records = read(chat(tmp_path, "31/12/25, 21:05 - Ann added Bob", "31/12/25, 21:06 - Ann: <Media omitted>"))
    assert [record.left_out for record in records] == [("notice",), ("attachment or notice",)]
