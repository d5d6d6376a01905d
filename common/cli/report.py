"""`adstream report`: a run's outputs as one page."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from common.cli.console import err, out
from common.errors import AdstreamError
from common.report.output import RunOutput


def report(
    *,
    output_dir: Annotated[Path, Parameter(name="--output-dir", help="The output folder of a run.")],
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="The page to write.")] = Path("report.html"),
) -> None:
    """Make a page of what a run did: sessions, clicks, conversions, late events, dead letters, its course.

    It is one file that needs no network; charts adapt to light and dark, and to paper.

        adstream report --output-dir out -o report.html
    """
    started = time.monotonic()
    with err.status("reading"):
        run = RunOutput.load(output_dir)
        # Only this needs the library of charts, which not every installation has.
        text: str = import_module("common.report.page").page(run)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AdstreamError(f"can't write '{output}' ({error.strerror})", "choose another -o") from error
    out.print(f"report: {output} ({len(text) / 1e6:.1f} MB, {time.monotonic() - started:.1f} s)")
