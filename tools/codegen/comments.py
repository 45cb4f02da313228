"""Comments of the contract as text for readers of the documentation."""

from __future__ import annotations

import re
from typing import Any


class Comments:
    """The leading comments of one file, addressed by paths of field numbers as in descriptor.proto's SourceCodeInfo."""

    def __init__(self, file: Any) -> None:
        self._comments = {
            tuple(location.path): location.leading_comments for location in file.source_code_info.location
        }

    def at(self, *path: int) -> str:
        """The comment over what stands at ``path`` as Markdown; empty when there is none."""
        return unwrapped(self._comments.get(path, ""))


def unwrapped(comment: str) -> str:
    """Joins the lines of each paragraph, since Swagger UI shows line ends; indented code keeps its lines."""
    lines = [line.removeprefix(" ").rstrip() for line in comment.rstrip("\n").split("\n")]
    paragraphs = re.split(r"\n{2,}", "\n".join(lines).strip("\n"))
    return "\n\n".join(text if text.startswith("    ") else " ".join(text.split("\n")) for text in paragraphs)


def summary(comment: str) -> str:
    """The first sentence, without its full stop."""
    return _split(comment)[0].removesuffix(".")


def remainder(comment: str) -> str:
    """What follows the first sentence; empty when nothing does."""
    return _split(comment)[1]


def _split(comment: str) -> tuple[str, str]:
    """Ends the first sentence at a full stop before a blank and a capital, so that `e.g. this` and `0.5` are none."""
    parts = re.split(r"(?<=\.)\s+(?=[A-Z`])|\n\n", comment, maxsplit=1)
    return parts[0].strip(), parts[1].strip() if len(parts) > 1 else ""
