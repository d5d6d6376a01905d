"""`adstream services seed`: advertisements in a database, to try out what begins there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from common.cli.console import out
from common.cli.database import DatabaseUrl, url_of
from common.contracts.contract import load
from common.databases.postgres import Database
from common.databases.seed import STREAM
from common.databases.seed import seed as put
from common.streams.materialise import table


def seed(
    *,
    input: Annotated[Path, Parameter(help="A folder of streams, with advertisements.")],  # noqa: A002
    database: DatabaseUrl = "",
) -> None:
    """Put advertisements into a database, as the table 'advertisement' that is freed by 'adstream liberate'.

    adstream services seed --input build/open-bandit/streams
    """
    url = url_of(database)
    with Database(url, read_only=False) as opened:
        count = put(opened, [table(input, STREAM, load(STREAM))])
        out.print(f"{count:,} advertisements are in the database at {opened.where}")
