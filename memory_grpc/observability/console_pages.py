"""The console's files, as the HTTP side answers them: a page, its stylesheet and its modules."""

from __future__ import annotations

from memory_grpc import resources
from memory_grpc.errors import StartupError
from memory_grpc.observability.pages import POLICY, Answer

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_PAGE = "index.html"


def console() -> dict[str, Answer]:
    """A path and its answer for every file of the console; files of other kinds are left out.

    Raises:
        StartupError: the page is missing from the installation.
    """
    root = resources.CONSOLE
    try:
        html = (root / _PAGE).read_bytes()
        assets = {
            f"/console/{path.relative_to(root).as_posix()}": Answer(path.read_bytes(), _TYPES[path.suffix], "no-cache")
            for path in sorted(root.rglob("*"))
            if path.suffix in _TYPES
        }
    except OSError as missing:
        raise StartupError(f"The console is incomplete: {missing.filename} cannot be read.") from None
    page = Answer(html, "text/html; charset=utf-8", "no-cache", {"Content-Security-Policy": POLICY})
    return {"/console": page, "/console/": page, **assets}
