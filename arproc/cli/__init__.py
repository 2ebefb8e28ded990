"""The command line: `arproc demo | fit | score | sample | compare | report ...`."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any, NoReturn

from arproc.errors import ArprocError

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit code.

    0: done. 1: a fault of arproc's own. 2: the arguments or the data are wrong; one line on
    standard error says what. 130: interrupted. Set ARPROC_TRACEBACK=1 to see where an error
    comes from.
    """
    try:
        from arproc.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        _leave(2, f'the command line needs {error.name}: pip install "arproc[cli]"')
    traceback = os.environ.get("ARPROC_TRACEBACK", "") not in ("", "0")
    given = sys.argv[1:] if arguments is None else arguments
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn  # type: ignore[assignment]
            code = app(given or ["--help"], standalone_mode=False)
        sys.stdout.flush()
        if code == 130:  # typer's own answer to an interrupt
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except BrokenPipeError:  # the reader (head, less) has gone: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        _leave(130, "interrupted")
    except (ArprocError, OSError) as error:
        if traceback:
            raise
        _leave(2, _one_line(error))
    except Exception as error:
        if hasattr(error, "format_message"):  # a wrong command line, in typer's words
            _leave(2, _usage(error))
        if traceback:
            raise
        name = type(error).__name__
        _leave(
            1,
            f"unexpected {name}: {_one_line(error)} (a fault in arproc; ARPROC_TRACEBACK=1 shows "
            "where)",
        )


def _warn(message: Warning | str, *_: Any) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


def _usage(error: Any) -> str:
    command = error.ctx.command_path if getattr(error, "ctx", None) is not None else "arproc"
    return f"{_one_line(error.format_message()).rstrip('.')}; see {command} --help"


def _one_line(error: BaseException | str) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _leave(code: int, message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)
