"""`adstream dead-letters`: what broke the contract of its stream, shown, corrected and put back."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from common.cli.console import out, show_pairs
from common.config.job import JobSettings
from common.contracts.contract import load
from common.contracts.rules import rule_in
from common.engines.launch import only_writer
from common.errors import AdstreamError, ExitCode
from common.streams.decoded import DEAD_LETTERS
from common.streams.letters import Assignment, Letter, corrected, counted, edited, exported, letters_of
from common.streams.materialise import records
from common.streams.putting_back import REPLAYS, Destination, Folder

SHOWN = 100
"""How many characters of a record are shown."""

Place = Annotated[
    str, Parameter(help="Where they are: the --output of a job's runs, or a broker, kafka://HOST:PORT?registry=URL.")
]
Stream = Annotated[str, Parameter(help="Only those of this stream.", show_default=False)]
RuleName = Annotated[str, Parameter(help="Only those that break this rule.", show_default=False)]

app = App(name="dead-letters", help="Records that broke the contract of their stream: show them, and put them back.")


@app.command
def show(
    place: Place,
    /,
    *,
    stream: Stream = "",
    rule: RuleName = "",
    examples: Annotated[int, Parameter(help="How many of each kind are shown.")] = 1,
    json: Annotated[
        bool, Parameter(negative="", help="Print each as a line of JSON, to be edited for 'replay --edited'.")
    ] = False,
) -> None:
    """Show dead letters by stream and by what is wrong with them: the rule, or the reason.

    One of each kind is shown with its place.

        adstream dead-letters show out
        adstream dead-letters show out --rule country-is-known --json > letters.jsonl
    """
    letters = _chosen(place, stream, rule)
    if json:
        for letter in letters:
            sys.stdout.write(exported(letter).decode() + "\n")
        return
    table = Table("stream", "what is wrong", "records", "for example", box=None)
    for name, kind, count, group in counted(letters):
        table.add_row(name, kind, f"{count:,}", "\n".join(_example(letter) for letter in group[:examples]))
    out.print(table)


@app.command
def replay(
    place: Place,
    /,
    *,
    into: Annotated[
        str,
        Parameter(help="Where the streams are that they came from: the --input of the job, a folder or a broker."),
    ],
    stream: Stream = "",
    rule: RuleName = "",
    edits: Annotated[
        Path | None, Parameter(name="--edited", help="Edited lines of 'show --json'; no others are put back.")
    ] = None,
    assignments: Annotated[
        Sequence[str],
        Parameter(name="--set", negative="", show_default=False, help="A field's value, FIELD=VALUE. Repeatable."),
    ] = (),
    dry_run: Annotated[bool, Parameter(negative="", help="Only say what would be put back.")] = False,
) -> int:
    """Put corrected records back into their streams; exit code 1 when some are left.

    Each is held against its contract and rules first: what breaks them stays, and one of each kind is shown with the
    reason. What was put back once is not put back again. It comes after all that its stream holds, so a job may find an
    event late, and an older version of an entity replaces a newer one: choose with --stream, --rule or --edited.

        adstream dead-letters replay out --into ads --stream customer-rows --set value.country=DE
        adstream dead-letters replay out --into ads --edited letters.jsonl --dry-run
    """
    letters = _chosen(place, stream, rule)
    changes = tuple(map(Assignment.of, assignments))
    given = {} if edits is None else edited(_lines(edits), letters, str(edits))
    if edits is not None:
        letters = [letter for letter in letters if letter.identity in given]
    with _opened(into) as destination:
        there = destination.replayed()
        waiting = [letter for letter in letters if letter.identity not in there]
        skew = JobSettings.model_fields["max_future_skew"].default
        result = corrected(waiting, given, changes, time.time_ns() // 1_000_000 + skew)
        if result.letters and not dry_run:
            destination.put(result.records, [letter.identity for letter in result.letters])
    rows: dict[str, object] = {"to be put back" if dry_run else "put back": len(result.letters)}
    show_pairs("dead letters", {**rows, "put back before": len(letters) - len(waiting), "left": len(result.left)})
    if result.left:
        table = Table("left", "records", "for example", "reason", box=None)
        for name, _, count, (first, *_) in counted(replace(letter, reason=reason) for letter, reason in result.left):
            table.add_row(name, f"{count:,}", f"{first.identity.partition} at {first.identity.offset}", first.reason)
        out.print(table)
    return ExitCode.DIFFERENT if result.left else ExitCode.OK


def _chosen(place: str, stream: str, rule: str) -> list[Letter]:
    """The letters that are meant.

    Raises:
        AdstreamError: There is no such place.
    """
    return [
        letter
        for letter in _letters(place)
        if stream in ("", letter.identity.stream) and rule in ("", rule_in(letter.reason))
    ]


def _letters(place: str) -> list[Letter]:
    if _is_broker(place):
        # Only this needs the client of a broker, which not every installation has.
        address = import_module("common.streams.kafka.address").Address.parse(place)
        return letters_of(import_module("common.streams.kafka.putting_back").committed(address, DEAD_LETTERS))
    if not Path(place).is_dir():
        raise AdstreamError(f"'{place}' does not exist", "give the --output folder of a job's runs")
    return letters_of(records(place, DEAD_LETTERS, load(DEAD_LETTERS)))


@contextmanager
def _opened(into: str) -> Iterator[Destination]:
    if not _is_broker(into):
        if not Path(into).is_dir():
            raise AdstreamError(
                f"--into '{into}' does not exist", "give the folder that holds the folders of the streams"
            )
        with only_writer(Path(into, REPLAYS), "into"):
            yield Folder(Path(into))
        return
    address = import_module("common.streams.kafka.address").Address.parse(into)
    with tempfile.TemporaryDirectory(prefix="adstream-replay-") as scratch:
        yield import_module("common.streams.kafka.putting_back").Topics.open(address, Path(scratch))


def _is_broker(place: str) -> bool:
    return "://" in place


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError as error:
        raise AdstreamError(f"--edited '{path}': {error.strerror}", "give the file that 'show --json' wrote") from None


def _example(letter: Letter) -> str:
    text = letter.raw.decode(errors="replace")
    shown = text if len(text) <= SHOWN else text[:SHOWN] + "…"
    return f"{letter.identity.partition} at {letter.identity.offset}: {shown}"
