"""JSON files that are too long to be read at once: element by element, with the place of what is wrong.

Memory holds one element, however many there are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import IO, Any

from memory_grpc.commands.importing.turns import Malformed

_CHUNK_BYTES = 1 << 16
# The longest element: a conversation, say.
LONGEST_CHARACTERS = 1 << 28
# What is wrong so close to the end of what was read may only be cut off: `tru`, `-`, half of a `\ud83d\ude00`.
_CUT_OFF = 16
_BLANKS = " \t\r\n"
_AFTER = frozenset(" \t\r\n,:]}")


def _refuse(constant: str) -> None:
    raise ValueError(constant)


class Scanner:
    """Reads a stream of JSON piece by piece. Raises Malformed, with line and column."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = json.JSONDecoder(parse_constant=_refuse)
        self._bytes = b""
        self._text = ""
        self._at = 0
        self._line, self._column = 1, 1
        self._ended = False
        self._read()
        self._text = self._text.removeprefix("\ufeff")

    @property
    def line(self) -> int:
        """The line of the next character that is no blank."""
        self.peek()
        return self._line + self._text.count("\n", 0, self._at)

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _BLANKS:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._read()

    def take(self, wanted: str) -> str:
        """Passes the next character, which is one of those."""
        found = self.peek()
        if not found or found not in wanted:
            raise self._malformed(self._at, "ends too soon" if not found else f"is no JSON: one of {wanted} is missing")
        self._at += 1
        return found

    def name(self) -> str:
        """The next value, which is text."""
        if self.peek() != '"':
            raise self._malformed(self._at, "is no JSON: a name is missing")
        return str(self.value())

    def value(self) -> Any:
        """The next value, whole."""
        if not self.peek():
            raise self._malformed(self._at, "ends too soon")
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut_off = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _CUT_OFF
                if self._ended or not cut_off:
                    raise self._malformed(error.pos, "is no JSON") from None
            except (ValueError, RecursionError):
                raise self._malformed(
                    self._at, "is no JSON that can be read (NaN, infinity, or nested too deep)"
                ) from None
            else:
                # A number may go on where the text does: 1 and .5 of 1.5.
                if self._ended or end + _CUT_OFF < len(self._text) or self._text[end : end + 1] in _AFTER:
                    self._at = end
                    return value
            if len(self._text) - self._at > LONGEST_CHARACTERS:
                raise self._malformed(self._at, f"is longer than {LONGEST_CHARACTERS:,} characters")
            self._read(len(self._text) - self._at)

    def _read(self, least: int = 0) -> None:
        """Reads on, at least so much that what waits doubles: to try again after each chunk would take for ever."""
        self._line += self._text.count("\n", 0, self._at)
        newline = self._text.rfind("\n", 0, self._at)
        self._column = self._at - newline if newline >= 0 else self._column + self._at
        self._text, self._at = self._text[self._at :], 0
        data = self._file.read(max(_CHUNK_BYTES, least))
        self._ended = not data
        self._bytes += data
        try:
            self._text += self._bytes.decode()
            self._bytes = b""
        except UnicodeDecodeError as error:
            self._text += self._bytes[: error.start].decode()
            if self._ended or len(self._bytes) - error.start > 3:
                raise self._malformed(len(self._text), "is not UTF-8") from None
            self._bytes = self._bytes[error.start :]

    def _malformed(self, position: int, description: str) -> Malformed:
        line = self._line + self._text.count("\n", 0, position)
        newline = self._text.rfind("\n", 0, position)
        column = position - newline if newline >= 0 else self._column + position
        return Malformed(f"line {line} column {column}", description)


def values(file: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """What a file holds, with its place: the elements of its list (``[3]``), or value after value (``line 4``)."""
    scanner = Scanner(file)
    if scanner.peek() == "[":
        yield from _elements(scanner, "")
        _end(scanner)
        return
    while scanner.peek():
        line = scanner.line
        yield f"line {line}", scanner.value()


def fields(file: IO[bytes], streamed: str) -> Iterator[tuple[str, Any]]:
    """The fields of the object that a file is; of the list under ``streamed`` its elements (``messages[3]``)."""
    scanner = Scanner(file)
    scanner.take("{")
    while scanner.peek() != "}":
        name = scanner.name()
        scanner.take(":")
        if name == streamed and scanner.peek() == "[":
            yield from _elements(scanner, name)
        else:
            yield name, scanner.value()
        if scanner.peek() != "}":
            scanner.take(",")
            if scanner.peek() != '"':
                scanner.name()
    scanner.take("}")
    _end(scanner)


def _elements(scanner: Scanner, prefix: str) -> Iterator[tuple[str, Any]]:
    scanner.take("[")
    number = 0
    while number or scanner.peek() != "]":
        yield f"{prefix}[{number}]", scanner.value()
        number += 1
        if scanner.take(",]") == "]":
            return
    scanner.take("]")


def _end(scanner: Scanner) -> None:
    if scanner.peek():
        scanner.take("\0")


def first(file: IO[bytes]) -> Any:
    """The first element of the list that a file is; None where it is empty."""
    return next((value for _, value in _elements(Scanner(file), "")), None)


def first_name(file: IO[bytes], names: Collection[str]) -> str | None:
    """The first of these names that the object at the start of a file has; None where it has none, or is broken."""
    scanner = Scanner(file)
    try:
        scanner.take("{")
        while scanner.peek() == '"':
            name: str = scanner.value()
            if name in names:
                return name
            scanner.take(":")
            scanner.value()
            if scanner.take(",}") == "}":
                break
    except Malformed:
        pass
    return None
