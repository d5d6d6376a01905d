"""`adstream services`: a broker and what goes with it, as processes of this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from common.cli.console import err, out
from common.config.jobs import jobs
from common.names import pick
from common.services.connectors import forget, start
from common.services.process import Record
from common.services.stack import SERVICES, Stack

HOME = "ADSTREAM_SERVICES"
CONNECTOR = "connector.json"


def default_home() -> Path:
    """The folder of services unless one is named: for root a system folder, as PostgreSQL runs as another user."""
    if HOME in os.environ:
        return Path(os.environ[HOME])
    if os.getuid() == 0:
        return Path("/var/lib/adstream/services")
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "adstream" / "services"


Home = Annotated[
    Path | None,
    Parameter(name="--home", help=f"The folder of their data, logs and records; or {HOME}.", show_default=False),
]
Names = Annotated[str, Parameter(help=f"Which: {', '.join(SERVICES)}.", show_default=False)]

app = App(name="services", help="Kafka, a schema registry, PostgreSQL, Connect and S3 as local processes.")


def stack(home: Path | None) -> Stack:
    """The services of a folder."""
    return Stack(home or default_home())


@app.command
def up(*names: Names, home: Home = None) -> None:
    """Start services, and wait until they answer; those that run stay as they are.

    They listen on 127.0.0.1 only, on ports that they keep. Without a name all are started but kafka-secured,
    a broker that asks for a login and enforces permissions.

        adstream services up kafka registry
    """
    chosen = stack(home)
    rows = []
    with err.status("starting") as status:
        for record in chosen.up(names):
            rows.append((record.service, record))
            status.update(f"{record.service} answers")
    _show(rows)


@app.command
def status(*, home: Home = None) -> None:
    """Show which services run, and where they are reached.

    adstream services status
    """
    _show(stack(home).status())


@app.command
def down(*names: Names, home: Home = None) -> None:
    """Stop services; their data and ports stay for the next start.

    adstream services down
    """
    stopped = 0
    for name in stack(home).down(names):
        out.print(f"{name}: stopped")
        stopped += 1
    if not stopped:
        out.print("nothing ran")


@app.command
def connector(
    job: Annotated[str, Parameter(help="The job whose connector it is: the folder of its connector.json.")] = "publish",
    /,
    *,
    database: Annotated[
        str, Parameter(env_var="ADSTREAM_DATABASE", show_default=False, help="That of the local services if absent.")
    ] = "",
    anew: Annotated[
        bool, Parameter(negative="", help="Forget its place in the log, and read the whole table first.")
    ] = False,
    home: Home = None,
) -> None:
    """Start the connector that brings a database's changes into the private stream of a job.

    The stream must be there: adstream streams create.

        adstream services connector publish --database postgresql://postgres@127.0.0.1:5432/shop
    """
    chosen = stack(home)
    config = json.loads(files("jobs").joinpath(pick("job", job, _with_connector())).joinpath(CONNECTOR).read_text())
    with err.status("starting"):
        if anew:
            forget(chosen.endpoint("connect", "url"), job)
        start(chosen.endpoint("connect", "url"), job, config, database or chosen.endpoint("postgres", "url"))
    out.print(f"connector '{job}' reads")


def _with_connector() -> tuple[str, ...]:
    return tuple(job for job in jobs() if files("jobs").joinpath(job).joinpath(CONNECTOR).is_file())


def _show(rows: Iterable[tuple[str, Record | None]]) -> None:
    table = Table("service", "pid", "where", box=None)
    for name, record in rows:
        if record is None:
            table.add_row(name, "-", "stopped")
        else:
            table.add_row(name, str(record.pid), " ".join(record.endpoints.values()))
    out.print(table)
