"""What can go wrong in a command: one sentence on standard error and an exit code that scripts can use.

No traceback ever: the text of a stranger's exception can hold a DSN, a key or a message's content.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from memory_grpc.errors import MemoryLayerError

OK = 0
FAILED = 1
USAGE = 2  # typer's own
UNHEALTHY = 3
INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot do what was asked; the message is the sentence to print."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def complain(message: str) -> None:
    """Prints to standard error, as it is: no markup, no wrapping. Where nobody can read it, the exit code must do."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"{message}\n")  # in one piece: others may write here too
            sys.stderr.flush()


@contextmanager
def said_plainly() -> Iterator[None]:
    """Whatever is raised inside ends the process with a sentence and an exit code."""
    try:
        yield
    except CommandError as error:
        complain(str(error))
        sys.exit(error.exit_code)
    except MemoryLayerError as error:
        complain(str(error))
        sys.exit(FAILED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror or type(error).__name__}.")
        sys.exit(FAILED)
    except UnicodeEncodeError:  # output never raises it, see encoding.py
        complain(
            f"Some text given to the command is not valid {sys.getfilesystemencoding()}: check the arguments, and the "
            "locale (LANG, LC_ALL)."
        )
        sys.exit(USAGE)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
        complain(f"memory-grpc failed because of a bug: {type(error).__name__} at {where}.")
        sys.exit(FAILED)
