"""`adstream import` and `adstream generate`: streams from CSV files and public datasets, and made-up ones."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, cast, get_args

from cyclopts import App, Parameter

from common.cli.console import err, out, show_pairs
from common.cli.options import Output, duration
from common.config.layers import Value, validated
from common.datasets.catalogue import CatalogueSettings
from common.datasets.catalogue import generate_catalogue as make_catalogue
from common.datasets.csv_events import import_csv
from common.datasets.generate import generate as make
from common.datasets.impressions import Imported
from common.datasets.open_bandit import import_open_bandit
from common.datasets.output import FileFormat
from common.datasets.settings import GeneratorSettings
from common.datasets.taobao_ads import import_taobao_ads
from common.errors import AdstreamError, ExitCode
from common.names import pick

FileFormatOption = Annotated[str, Parameter(name="--format", help="What the files are: jsonl, avro or parquet.")]
Files = Annotated[Path, Parameter(help="The CSV files, in any order.")]

Period = Annotated[str, Parameter(help="How much event time a file holds, such as 30d; each is a step in stream mode.")]
OptionalOutput = Annotated[Path | None, Parameter(help="The folder of the streams.", show_default=False)]
ToKafka = Annotated[
    str,
    Parameter(
        help="A broker that gets them as they happen: HOST:PORT, with the registry of the local services, or an address.",
        show_default=False,
    ),
]
Rate = Annotated[float, Parameter(help="Events a second on a broker.")]
RATE = 1_000.0

OPTIONS = {name.replace("_", "-"): name for name in GeneratorSettings.model_fields}
"""The options of `adstream generate`, and the settings behind them."""
CATALOGUE_OPTIONS = {name.replace("_", "-"): name for name in CatalogueSettings.model_fields}
"""As `OPTIONS`, of `adstream generate-catalogue`."""
OF_FILES = frozenset({"files", "start", "span", "swing"})
"""Those that are settled for streams that happen now."""

imports = App(
    name="import",
    help="""Make streams of your own CSV files, or of a public dataset.

Each makes a folder of streams:

    adstream import csv events.csv --output ads
    adstream import open-bandit tests/data/open-bandit/*.csv --output ads

`adstream run` then takes the folder as its `--input`.
""",
    help_format="markdown",
)

Column = Annotated[str, Parameter(show_default=False)]


@imports.command(name="csv")
def own_csv(
    *files: Files,
    output: Output,
    user: Column = "",
    time: Column = "",
    advertisement: Column = "",
    clicked: Column = "",
    action: Column = "",
    advertisements: Annotated[
        Path | None, Parameter(help="A CSV file with each advertisement's id, name and type.")
    ] = None,
    name: Column = "",
    type: Column = "",  # noqa: A002 the option's name
    file_format: FileFormatOption = "jsonl",
    period: Period = "1d",
) -> None:
    """Make streams of your own CSV files of views and clicks.

    Columns with usual names are found; name the others. What was taken is printed. Times are seconds, milliseconds or
    microseconds since 1970, or such as 2026-01-31 12:00:00 (UTC, unless they end in a zone). Advertisements are whole numbers.

        adstream import csv events.csv --output ads
        adstream import csv log.csv --user uid --time ts --advertisement ad --clicked clk --output ads
        adstream import csv events.csv --action event --advertisements ads.csv --output ads
        adstream run sessions --engine local --input ads --output out

    Parameters
    ----------
    user
        The column that says who it was.
    time
        The column that says when.
    advertisement
        The column that says which advertisement.
    clicked
        The column that is 1 where what was viewed was clicked, too, and 0 where not.
    action
        The column that says view or click (or impression, show, ...), a row each.
    name
        The column of the file of advertisements with their names.
    type
        The column of the file of advertisements with what kind each is.
    """
    roles = {"user": user, "time": time, "advertisement": advertisement, "clicked": clicked, "action": action}
    given = {role: column for role, column in {**roles, "name": name, "type": type}.items() if column}
    with err.status("importing"):
        made, columns = import_csv(files, given, advertisements, output, _format(file_format), _period(period))
    _show("csv", made, output, {"columns": columns.shown()})
    job = "sessions" if advertisements is None else "billing"
    out.print(f"next: adstream run {job} --engine local --input {output} --output out")


@imports.command(name="open-bandit")
def open_bandit(*files: Files, output: Output, file_format: FileFormatOption = "jsonl", period: Period = "1d") -> None:
    """Make streams of the Open Bandit sample: impressions.csv, and items.csv for the advertisements.

    A copy lies in the repository.

        adstream import open-bandit tests/data/open-bandit/*.csv --output ads
    """
    with err.status("importing"):
        made = import_open_bandit(files, output, _format(file_format), _period(period))
    _show("open-bandit", made, output)


@imports.command(name="taobao-ads")
def taobao_ads(*files: Files, output: Output, file_format: FileFormatOption = "jsonl", period: Period = "1d") -> None:
    """Make streams of the Taobao display and click log: raw_sample.csv, and ad_feature.csv for the advertisements.

    It is published by Alimama on Tianchi.

        adstream import taobao-ads raw_sample.csv ad_feature.csv --output ads --format parquet
    """
    with err.status("importing"):
        made = import_taobao_ads(files, output, _format(file_format), _period(period))
    _show("taobao-ads", made, output)


def generate(
    *,
    output: OptionalOutput = None,
    to_kafka: ToKafka = "",
    rate: Rate = RATE,
    file_format: FileFormatOption = "jsonl",
    **options: str,
) -> int:
    """Make streams of any size, from a seed; `GENERATE_HELP` is its help."""
    values = _values(options, OPTIONS)
    settings = validated(GeneratorSettings, values)
    if to_kafka:
        return _to_kafka(settings, frozenset(values), to_kafka, rate, output)
    if output is None:
        raise AdstreamError("there is no place for the streams", "add --output, or --to-kafka")
    with err.status("generating"):
        made = make(settings, output, _format(file_format))
    counts = {"late": made.late, "duplicates": made.duplicates, "malformed": made.malformed, "bots": made.bots}
    show_pairs("made up", {**made.records, **counts, "files a stream": made.files, "where": output})
    return ExitCode.OK


def generate_catalogue(*, output: Output, file_format: FileFormatOption = "jsonl", **options: str) -> None:
    """Make the tables of a catalogue, for `eventification`; `CATALOGUE_HELP` is its help."""
    settings = validated(CatalogueSettings, _values(options, CATALOGUE_OPTIONS))
    made = make_catalogue(settings, output, _format(file_format))
    show_pairs("made up", {**made, "files a stream": settings.files, "where": output})


def _values(options: Mapping[str, str], known: Mapping[str, str]) -> dict[str, Value]:
    """Options as they were typed, by the settings behind them."""
    return {
        known[pick("option", name.replace("_", "-"), known)]: Value(raw, f"--{name}") for name, raw in options.items()
    }


def _to_kafka(settings: GeneratorSettings, given: frozenset[str], broker: str, rate: float, output: Path | None) -> int:
    for name in sorted(given & OF_FILES):
        raise AdstreamError(f"--{name} has no meaning for streams that happen now", "leave it out, or --to-kafka")
    if output is not None:
        raise AdstreamError("the streams can't go to --output and --to-kafka", "leave one of them out")
    if rate <= 0:
        raise AdstreamError(f"--rate={rate:g}: it must be above 0", "give events a second")
    # Only this needs the client of a broker, which not every installation has.
    produce = import_module("common.cli.live").produce
    return int(produce(settings, broker, rate, settings.events if "events" in given else 0))


GENERATE_HELP = """Make streams of any size, from a seed: popular ads, a daily cycle, bots, disorder, late events, duplicates.

Shares are of `--events`; durations are such as 30m. With its default, each option says:

{options}

For a benchmark, and for a test of the late strategy:

    adstream generate --output ads --format parquet --events 2000000 --users 50000 --late 0 --malformed 0
    adstream generate --output ads --late 0.02 --late-by 3h --seed 7

With `--to-kafka` the events happen now: a producer sends each when it arrives, until ^C, or until `--events` were sent.

    adstream generate --to-kafka 127.0.0.1:9092 --rate 5000 --users 500000
""".format(
    options="\n".join(
        f"* `--{option}` {field.description} [{field.default}]"
        for option, field in zip(OPTIONS, GeneratorSettings.model_fields.values(), strict=True)
    )
)


CATALOGUE_HELP = """Make the tables of a catalogue, from a seed: advertisements, campaigns and customers that come, change and go.

With its default, each option says:

{options}

For the job `eventification`:

    adstream generate-catalogue --output catalogue --changes 100000 --files 20
    adstream run eventification --engine local --input catalogue --output out
""".format(
    options="\n".join(
        f"* `--{option}` {field.description} [{field.default}]"
        for option, field in zip(CATALOGUE_OPTIONS, CatalogueSettings.model_fields.values(), strict=True)
    )
)


def _format(name: str) -> FileFormat:
    return cast("FileFormat", pick("format", name, get_args(FileFormat)))


def _period(text: str) -> int:
    """How much event time a file holds, in ms."""
    period = duration("--period", text)
    if period < 1:
        raise AdstreamError(f"--period is {text}", "give at least 1ms")
    return period


def _show(dataset: str, made: Imported, output: Path, notes: Mapping[str, str] = MappingProxyType({})) -> None:
    show_pairs(dataset, {**made.records, "files a stream": made.files, **notes, "where": output})
    for reason, count in made.rejected.items():
        err.print(
            f"{count:,} {'row' if count == 1 else 'rows'} left out, {reason}; the first: {made.examples[reason]}",
        )
