"""`adstream lineage`: which job reads and writes which stream, who answers for them, and where personal data goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from common.cli.options import Config
from common.errors import AdstreamError
from common.lineage.collect import collect
from common.lineage.graph import Lineage, Node
from common.lineage.page import to_html
from common.lineage.render import to_json, to_mermaid, to_text
from common.names import pick

FORMATS: Mapping[str, Callable[[Lineage], str]] = {
    "text": to_text,
    "mermaid": to_mermaid,
    "json": lambda lineage: json.dumps(to_json(lineage), indent=2) + "\n",
    "html": to_html,
}


def lineage(
    *,
    job: Annotated[str, Parameter(help="Only what leads to this job and comes from it.", show_default=False)] = "",
    stream: Annotated[
        str, Parameter(help="Only what leads to this stream and comes from it.", show_default=False)
    ] = "",
    format: Annotated[str, Parameter(help="text, mermaid, json, or html: a page for itself.")] = "text",  # noqa: A002 the option's name
    output: Annotated[
        Path | None, Parameter(name=("--output", "-o"), help="The file to write.", show_default=False)
    ] = None,
    config: Config = None,
    tables: Annotated[
        Path | None,
        Parameter(help="What is freed from databases; jobs/liberate/tables.yaml if absent.", show_default=False),
    ] = None,
) -> None:
    """Show what flows where between jobs, streams, tables and teams, and what looks forgotten.

    It is read from topologies and contracts, so it needs no broker, and can't be out of date.

        adstream lineage
        adstream lineage --stream ad-sessions --format mermaid
        adstream lineage --format html -o lineage.html
    """
    if job and stream:
        raise AdstreamError(f"--job {job} and --stream {stream} exclude each other", "leave one of them out")
    render = FORMATS[pick("format", format, FORMATS)]
    found = collect(config, tables)
    if job:
        found = found.around(Node("job", job))
    elif stream:
        found = found.around(Node("stream", stream))
    if output is None:
        print(render(found), end="")
    else:
        output.write_text(render(found), encoding="utf-8")
