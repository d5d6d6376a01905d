"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from common.config.job import MOST, parse_duration
from common.errors import AdstreamError

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:/")
"""How a URL begins as a path, in which `//` is `/`."""

Job = Annotated[str, Parameter(help="A folder of `jobs`, such as sessions.")]
Input = Annotated[
    str,
    Parameter(
        name=("--input", "--source"),
        help="The folder of the input streams, with `STREAM/*.jsonl`, `*.avro` or `*.parquet`; or a broker, "
        "kafka://HOST:PORT?registry=URL.",
    ),
]


def _folder(_: type, path: Path) -> None:
    """Refuses a URL, which would be a path of this machine: `s3:/bucket/ads`, below the working folder."""
    if _SCHEME.match(str(path)):
        raise AdstreamError(f"--output '{path}' is the address of a storage", "give a folder of this machine")


Output = Annotated[Path, Parameter(help="The folder of the output streams.", validator=_folder)]
Config = Annotated[
    Path | None, Parameter(help="A YAML or TOML file with a section a job; environment and --set overrule it.")
]
Set = Annotated[
    Sequence[str],
    Parameter(name="--set", negative="", show_default=False, help="A setting, KEY=VALUE, such as gap=30m. Repeatable."),
]
Option = Annotated[
    Sequence[str],
    Parameter(
        name="--option",
        show_default=False,
        negative="",
        help="An option of the engine, KEY=VALUE, such as master=local[2]. Repeatable.",
    ),
]
Format = Annotated[
    str, Parameter(help="How streams are written: jsonl, avro, parquet or delta. Tables are always delta.")
]


def tasks(option: str, number: int) -> int:
    """How many tasks an option gives a job.

    Raises:
        AdstreamError: A job can't have so many.
    """
    if not 1 <= number <= MOST:
        raise AdstreamError(f"{option} is {number}", f"give at least 1, and at most {MOST}")
    return number


def duration(option: str, text: str) -> int:
    """An option's duration, in ms.

    Raises:
        AdstreamError: It is none.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise AdstreamError(f"{option}: {error}") from error
