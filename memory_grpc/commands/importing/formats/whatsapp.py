"""WhatsApp: the text of one chat (``_chat.txt``, ``WhatsApp Chat with ….txt``), as phones write it.

Android writes ``31/12/25, 21:05 - Ann: text`` and iOS ``[31/12/25, 21:05:33] Ann: text``, in the order of day, month
and year that the phone is set to and in its own time. The order is taken from the file where one date settles it, or
where only one order goes forward in time; otherwise it must be said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing import times, utf8
from memory_grpc.commands.importing.turns import Malformed, Reading, Turn, Wrong, attempt

HEAD = re.compile(
    r"[\u200e\u200f\ufeff]*\[?(\d{1,4})[./-](\d{1,2})[./-](\d{1,4}),?\s+(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?"
    r"(?:\s*([AaPp])\.?\s?[Mm]\.?)?(?:\]\s+|\s+-\s+)(.*)",
    re.DOTALL,
)
_ORDERS = {"dmy": (0, 1, 2), "mdy": (1, 0, 2), "ymd": (2, 1, 0)}
_MARK = "\u200e"
_OMITTED = "<Media omitted>"
# The longest message; WhatsApp's own limit is 65,536.
_LONGEST_CHARACTERS = 1 << 20

Head = tuple[str, ...]


def turns(path: Path, reading: Reading) -> Iterator[Turn]:
    """The messages of the chat, in the order of the file."""
    order = reading.dates or _order(path)
    zone = reading.timezone or UTC
    conversation_id = reading.conversation_id or path.stem
    for place, head, text in _messages(path):
        yield attempt(place, lambda: _turn(place, conversation_id, _moment(head, order, zone), text))  # noqa: B023


def _turn(place: str, conversation_id: str, moment: datetime, text: str) -> Turn:
    created_at = times.of_datetime(moment, "time")
    name, colon, said = text.partition(": ")
    if not colon or "\n" in name:
        return Turn(place, left_out=("notice",))
    said = said.strip()
    if said.startswith(_MARK) or said == _OMITTED:  # the phone's words: a picture, a call, encryption
        return Turn(place, left_out=("attachment or notice",))
    return Turn(
        place, conversation_id, "user", said.replace(_MARK, ""), name=name.strip(_MARK + " "), created_at=created_at
    )


def _messages(path: Path) -> Iterator[tuple[str, Head, str]]:
    """(place, its date and time, what follows) of each message; lines that begin none go on with the one before."""
    place, length = "", 0
    head: Head = ()
    lines: list[str] = []
    with utf8.opened(path) as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode().rstrip("\r\n")
            except UnicodeDecodeError:
                raise Malformed(f"line {number}", "is not UTF-8") from None
            found = HEAD.fullmatch(line)
            if found is None:
                if not head:
                    if line.strip("\ufeff "):
                        raise Malformed(f"line {number}", "does not begin with a date and a time, as a chat does")
                    continue
                length += len(line)
                if length > _LONGEST_CHARACTERS:
                    raise Malformed(place, f"is longer than {_LONGEST_CHARACTERS:,} characters")
                lines.append(line)
                continue
            if head:
                yield place, head, "\n".join(lines)
            *parts, text = found.groups(default="")
            place, head, lines, length = f"line {number}", tuple(parts), [text], len(text)
    if head:
        yield place, head, "\n".join(lines)


def _moment(head: Head, order: str, zone: object) -> datetime:
    parts = [int(part) for part in head[:3]]
    day, month, year = (parts[place] for place in _ORDERS[order])
    hour, minute, second, half = int(head[3]), int(head[4]), int(head[5] or 0), head[6].lower()
    try:
        if half:
            if not 1 <= hour <= 12:
                raise ValueError
            hour = hour % 12 + (12 if half == "p" else 0)
        return datetime(year + 2000 if year < 100 else year, month, day, hour, minute, second, tzinfo=zone)  # type: ignore[arg-type]
    except ValueError:
        raise Wrong("time", f"is no time, read as {order}") from None


def _order(path: Path) -> str:
    """The order of day, month and year. Raises CommandError where the file does not say."""
    left = dict.fromkeys(_ORDERS, 0)  # how often time goes backwards
    last: dict[str, datetime] = {}
    agree = True
    for place, head, _ in _messages(path):
        moments = {order: moment for order in left if (moment := _in_order(head, order))}
        if not moments:
            raise Malformed(place, "has a time that does not exist, in the order of the dates before it")
        left = {order: left[order] + (moment < last.get(order, moment)) for order, moment in moments.items()}
        agree = agree and len(set(moments.values())) == 1
        last = moments
    forward = [order for order, backwards in left.items() if not backwards] or list(left)
    if len(forward) > 1 and not agree:
        raise CommandError(
            f"The dates of {path.name} can be read as day and month or as month and day: say which with --dates dmy or "
            "--dates mdy."
        )
    return next(iter(forward), "dmy")


def _in_order(head: Head, order: str) -> datetime | None:
    """The moment, where the date can be read so."""
    if (len(head[0]) == 4) != (order == "ymd"):  # a year of two digits does not stand in front
        return None
    try:
        return _moment(head, order, UTC)
    except Wrong:
        return None
