"""What the command line prints on: tables on standard output, progress and errors on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from common.engines.entry import LOG_PREFIX
from common.errors import AdstreamError

PIPED_WIDTH = 1_000
"""How wide a file or pipe is taken to be: what a program or a mail shows later is not cut to 80 columns."""


def _width(stream: TextIO) -> int | None:
    """None where the terminal, or the user, says it."""
    return None if stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH


out = Console(soft_wrap=True, width=_width(sys.stdout))
err = Console(stderr=True, soft_wrap=True, width=_width(sys.stderr))


def show_error(error: AdstreamError) -> None:
    """One line, whatever the message holds."""
    err.print(f"[bold red]adstream:[/] {escape(' '.join(str(error).split()))}", highlight=False)


def show_pairs(title: str, rows: Mapping[str, object]) -> None:
    """A table of names and values."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="cyan")
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(
            name, Text(f"{value:,}" if isinstance(value, int) else str(value))
        )  # no markup in what users wrote
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
                err.print(message, markup=False, highlight=False)

        yield watch


def err_line(line: str) -> None:
    """Says on standard error what a command waits for."""
    err.print(f"adstream: {' '.join(line.split())}", markup=False, highlight=False)


def echo(line: str) -> None:
    """Prints a line of an engine's process as it is."""
    err.print(line, markup=False, highlight=False)
