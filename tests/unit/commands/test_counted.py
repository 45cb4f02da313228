"""One message is "1 message": in every sentence that counts, on the terminal and in the console."""

import re
from pathlib import Path

import pytest

import memory_grpc
from memory_grpc.commands.output import counted

PACKAGE = Path(memory_grpc.__file__).parent
NOUNS = r"(messages|rows|conversations|users|questions|tokens|nodes|shards|tables|turns|candidates)\b"
# A number that is put straight before a plural; not the column of a progress bar, nor a rate ("messages/s").
IN_PYTHON = re.compile(r"\{[^{}\"'\[]*:,\} " + NOUNS + "(?!/s)")
IN_SCRIPTS = re.compile(r"\$\{count\([^{}]*\)\} " + NOUNS)


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 messages"), (1, "1 message"), (2, "2 messages"), (1204, "1,204 messages")]
)
def test_a_count_and_its_noun(number: int, said: str) -> None:
    assert counted(number, "message") == said


def test_no_sentence_puts_a_number_straight_before_a_plural() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}: {match[0]}"
        for kind, pattern in (("commands/**/*.py", IN_PYTHON), ("console/**/*.js", IN_SCRIPTS))
        for path in sorted(PACKAGE.glob(kind))
        for match in pattern.finditer(path.read_text())
    ]
    assert not found


def test_the_patterns_see_what_they_are_for() -> None:
    assert IN_PYTHON.search('f"{found.total:,} messages pass."')
    assert IN_SCRIPTS.search("`${count(total)} messages`")
