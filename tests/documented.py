"""The commands of README.md and docs/*.md, each with what shows that it works as it stands there."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(?:bash|sh|shell|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ASSIGNMENT = re.compile(r"(\w+)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A command as a page shows it, without the prompt that no page has."""

    page: str
    text: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that stand before it, or that it exports."""
        return dict(found.groups() for word in self._assignments() if (found := ASSIGNMENT.fullmatch(word)))

    @property
    def words(self) -> list[str]:
        """Program and arguments; nothing where it only sets variables."""
        return self._split()[len(self._assignments()) :]

    def _split(self) -> list[str]:
        words = shlex.split(self.text, comments=True)
        return words[1:] if words[0] == "export" else words

    def _assignments(self) -> list[str]:
        words = self._split()
        return words[: next((at for at, word in enumerate(words) if not ASSIGNMENT.fullmatch(word)), len(words))]


def commands_of(text: str) -> list[str]:
    """The commands of a block: a line each, or several where a quote or a backslash says so."""
    found, lines = [], ""
    for line in text.splitlines():
        lines = f"{lines}\n{line}" if lines else line
        if lines.endswith("\\"):
            continue
        try:
            words = shlex.split(lines, comments=True)
        except ValueError:  # a quote is still open
            continue
        found += [lines] if words else []
        lines = ""
    assert not lines, lines
    return found


def all_commands() -> list[Command]:
    """Every command of every page, in order."""
    return [
        Command(str(page.relative_to(ROOT)), command)
        for page in PAGES
        for block in BLOCK.findall(page.read_text())
        for command in commands_of(block)
    ]


# Run as they stand, by tests/e2e/test_documented_commands.py.
RUN = (
    r"curl ",
    r"\S*buf curl ",
    r"(\.venv/bin/)?memory-grpc (context|delete|export|import|key create|list|policy set) ",
    r"memory-grpc forget .* --plan",
)
# What another test runs, or the same in another form.
COVERED = {
    r"(\.venv/bin/)?memory-grpc forget ": "tests/integration/test_erasure.py::test_from_the_command_line",
    r"(claude mcp add .*)?memory-grpc mcp ": "tests/unit/mcp/test_page.py::test_its_command_lines_are_understood",
    r"claude mcp add --transport http ": "tests/unit/mcp/test_page.py::test_there_is_a_configuration_of_each_shape",
    r"grpcurl ": "tests/unit/test_documents.py::test_bodies_of_the_documents_are_json_of_the_contract",
    r"protoc ": "tests/clients/test_clients.py::test_the_descriptor_set_is_all_that_protoc_needs",
    r"buf generate ": "tests/clients/test_clients.py::test_the_descriptor_set_is_an_input_of_buf",
    r"pg_(dump|restore) ": "tests/integration/test_backup.py::test_a_dump_that_is_restored_answers_as_before",
    r"memory-grpc --(install|show)-completion": (
        "tests/unit/commands/test_every_command.py::test_completion_is_a_script_of_the_shell"
    ),
    r"docker compose up": "tests/unit/test_compose.py::test_compose_accepts_the_file",
    r"docker build ": "tests/unit/test_compose.py::test_the_dockerfile_copies_what_is_there_and_nothing_private",
}
# Only read, by tests/unit/test_documented_commands.py, and why.
READ = {
    r"(?:MEMORY_\w+=\S+ )*make ": "measurements take minutes and data sets; targets and arguments are read",
    r".venv/bin/python bench/": "the same",
    r"(FILES|SETS)=": "the same",
    r"memory-grpc eval ": "needs a data set and the model; its arguments are read",
    r"OTEL_\S+ memory-grpc serve": "runs until it is ended; its arguments are read",
    r"pip install ": "needs the network; the extras are looked up",
    r"MEMORY_TEST_CITUS=\S+ \.venv/bin/python -m pytest ": "needs a cluster; its path is looked up",
    r"(?:(export )?MEMORY_\w+=\S*|MEMORY_\w+=\".*\")$": "settings for a file; their names and values are checked",
}
