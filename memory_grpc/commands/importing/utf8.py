"""Files as UTF-8, whatever of Unicode they are written in: PowerShell writes UTF-16."""

from __future__ import annotations

import codecs
import tempfile
from pathlib import Path
from typing import IO

from memory_grpc.commands.failure import CommandError

_CHARACTERS = 1 << 16
# The longer mark first: that of UTF-32 begins like that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding(start: bytes) -> str:
    """The encoding of a text that starts so: by its mark, or by where an ASCII character has its zeros."""
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    zeros = tuple(byte == 0 for byte in start[:4])
    if zeros == (False, True, False, True):
        return "utf-16-le"
    if zeros == (True, False, True, False):
        return "utf-16-be"
    return "utf-8"


def opened(path: Path) -> IO[bytes]:
    """The file, to read as UTF-8; its position is 0 and a mark of UTF-8 is still there.

    Raises CommandError for one whose first bytes say UTF-16 or UTF-32 and whose others are not.
    """
    file = path.open("rb")
    name = encoding(file.read(4))
    file.seek(0)
    if name == "utf-8":
        return file
    recoded: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        with file, codecs.getreader(name)(file) as reader:
            while text := reader.read(_CHARACTERS, _CHARACTERS):
                recoded.write(text.encode())
    except UnicodeError:
        recoded.close()
        raise CommandError(f"{path.name} begins as {name.upper()} and does not go on so: save it as UTF-8.") from None
    recoded.seek(0)
    return recoded
