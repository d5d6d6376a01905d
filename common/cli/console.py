"""What the command line prints on: tables on standard output, progress and errors on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from common.engines.entry import LOG_PREFIX
from common.errors import AdstreamError

ALARM = "bold red"
PIPED_WIDTH = 1_000
"""How wide a file or pipe is taken to be: what a program or a mail shows later is not cut to 80 columns."""


class Printer(Console):
    """A console that leaves it to the command line what happens where the reader has left."""

    def on_broken_pipe(self) -> None:
        """Rich's own ends the process with 1, as if answers differed."""
        raise BrokenPipeError


def _console(stream: TextIO | None, *, stderr: bool = False) -> Printer:
    """What is printed is text, as names, paths and records may hold anything: `[a]` in it is no style, and `:bug:` no picture.

    Args:
        stream: None where it was closed.
        stderr: Which of the two it is.
    """
    # A terminal, or the user, says how wide it is.
    width = None if stream is None or stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    return Printer(stderr=stderr, soft_wrap=True, markup=False, emoji=False, highlight=False, width=width)


out = _console(sys.stdout)
err = _console(sys.stderr, stderr=True)


def show_error(error: AdstreamError) -> None:
    """One line, whatever the message holds."""
    err.print(Text.assemble(("adstream:", ALARM), f" {' '.join(str(error).split())}"))


def show_alarm(head: str, text: str) -> None:
    """A line that must not be overlooked."""
    out.print(Text.assemble((head, ALARM), f" {text}"))


def show_pairs(title: str, rows: Mapping[str, object]) -> None:
    """A table of names and values."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="cyan")
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    out.print(table)


@contextmanager
def following(label: str) -> Iterator[Callable[[str], None]]:
    """Shows what a run says of its steps: the newest line beside a spinner, or on a plain stream each line."""
    with err.status(f"{label}: starting") as status:

        def watch(line: str) -> None:
            if not line.startswith(LOG_PREFIX):
                return
            message = f"{label}: {line.removeprefix(LOG_PREFIX)}"
            if err.is_terminal:
                status.update(Text(message, no_wrap=True, overflow="ellipsis"))
            else:
                err.print(message)

        yield watch


def err_line(line: str) -> None:
    """Says on standard error what a command waits for."""
    err.print(f"adstream: {' '.join(line.split())}")
