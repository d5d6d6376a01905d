"""`adstream new`: a job or a stream to begin with, complete and tested as it is."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from common.cli.console import out
from common.scaffold.make import Made, new_job, new_stream, repository

app = App(name="new", help="A new job or stream, complete and tested as it is, to be changed from there.")


@app.command
def job(
    name: Annotated[str, Parameter(help="Its name: small letters and digits.")],
    /,
    *,
    reads: Annotated[str, Parameter(help="The stream that it reads; its keys are text.")] = "ad-clicks",
    owner: Annotated[
        str, Parameter(help="The team that answers for it; that of the stream it reads if absent.", show_default=False)
    ] = "",
) -> None:
    """Make a job that counts the records of a stream by key, on every engine: what yours begins with.

    Topology, operator, settings, contract of what it writes, unit tests, conformance cases, rows in the tables of jobs.

        adstream new job clickcounts
        adstream new job viewers --reads ad-views --owner behaviour
    """
    made = new_job(name, reads, owner, repository())
    _show(made)
    out.print(f"now: adstream plan {name}; make lint test; then change it")


@app.command
def stream(
    name: Annotated[str, Parameter(help="Its name: small letters, digits and hyphens.")],
    /,
    *,
    owner: Annotated[str, Parameter(help="The team that answers for it.")],
    kind: Annotated[
        str, Parameter(help="event: facts; entity: a record replaces the one before with its key.")
    ] = "event",
) -> None:
    """Make the contract of a stream: its schemas, and who answers for it.

    It lies in common/contracts/streams, and passes 'adstream contracts check' as it is.

        adstream new stream ad-refunds --owner billing
        adstream new stream campaigns --owner ad-catalogue --kind entity
    """
    made = new_stream(name, owner, kind, repository())
    _show(made)
    out.print("now: write its fields, then enter what adstream contracts check tells")


def _show(made: Made) -> None:
    for path in made.paths:
        out.print(path)
