"""`adstream import` and `adstream generate`: streams from public datasets, and made-up ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

from cyclopts import App, Parameter

from common.cli.console import err, show_pairs
from common.cli.options import Output
from common.config.layers import Value, validated
from common.datasets.generate import generate as make
from common.datasets.impressions import Imported
from common.datasets.open_bandit import import_open_bandit
from common.datasets.output import FileFormat
from common.datasets.settings import GeneratorSettings
from common.datasets.taobao_ads import import_taobao_ads
from common.names import pick

FileFormatOption = Annotated[str, Parameter(name="--format", help="What the files are: jsonl, avro or parquet.")]
Files = Annotated[Path, Parameter(help="The CSV files, in any order.")]

OPTIONS = {name.replace("_", "-"): name for name in GeneratorSettings.model_fields}
"""The options of `adstream generate`, and the settings behind them."""

imports = App(name="import", help="Make streams of a public dataset.")


@imports.command(name="open-bandit")
def open_bandit(*files: Files, output: Output, file_format: FileFormatOption = "jsonl") -> None:
    """Make streams of the Open Bandit sample: impressions.csv, and items.csv for the advertisements.

    A copy lies in the repository.

        adstream import open-bandit tests/data/open-bandit/*.csv --output ads
    """
    with err.status("importing"):
        made = import_open_bandit(files, output, _format(file_format))
    _show("open-bandit", made, output)


@imports.command(name="taobao-ads")
def taobao_ads(*files: Files, output: Output, file_format: FileFormatOption = "jsonl") -> None:
    """Make streams of the Taobao display and click log: raw_sample.csv, and ad_feature.csv for the advertisements.

    It is published by Alimama on Tianchi.

        adstream import taobao-ads raw_sample.csv ad_feature.csv --output ads --format parquet
    """
    with err.status("importing"):
        made = import_taobao_ads(files, output, _format(file_format))
    _show("taobao-ads", made, output)


def generate(*, output: Output, file_format: FileFormatOption = "jsonl", **options: str) -> None:
    """Make streams of any size, from a seed; `GENERATE_HELP` is its help."""
    values = {
        OPTIONS[pick("option", name.replace("_", "-"), OPTIONS)]: Value(raw, f"--{name}")
        for name, raw in options.items()
    }
    settings = validated(GeneratorSettings, values)
    with err.status("generating"):
        made = make(settings, output, _format(file_format))
    counts = {"late": made.late, "duplicates": made.duplicates, "malformed": made.malformed, "bots": made.bots}
    show_pairs("made up", {**made.records, **counts, "files a stream": made.files, "where": output})


GENERATE_HELP = """Make streams of any size, from a seed: popular ads, a daily cycle, bots, disorder, late events, duplicates.

Shares are of `--events`; durations are such as 30m. With its default, each option says:

{options}

For a benchmark, and for a test of the late strategy:

    adstream generate --output ads --format parquet --events 2000000 --users 50000 --late 0 --malformed 0
    adstream generate --output ads --late 0.02 --late-by 3h --seed 7
""".format(
    options="\n".join(
        f"* `--{option}` {field.description} [{field.default}]"
        for option, field in zip(OPTIONS, GeneratorSettings.model_fields.values(), strict=True)
    )
)


def _format(name: str) -> FileFormat:
    return cast("FileFormat", pick("format", name, get_args(FileFormat)))


def _show(dataset: str, made: Imported, output: Path) -> None:
    show_pairs(dataset, {**made.records, "files a stream": made.files, "where": output})
    for reason, count in made.rejected.items():
        err.print(
            f"{count:,} rows left out, {reason}; the first: {made.examples[reason]}", markup=False, highlight=False
        )
