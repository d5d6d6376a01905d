"""`adstream outbox`: records that applications write beside their changes, published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from common.cli.console import err, out, show_pairs
from common.cli.database import BrokerSink, DatabaseUrl, Every, pause_of, sink_of, turns, url_of
from common.cli.options import Format
from common.databases import relay
from common.databases.outbox import JOB
from common.databases.postgres import Database
from common.databases.relay import Published, Relay
from common.engines.launch import only_writer

app = App(name="outbox", help="Records that applications write in the transaction of a change, published.")


@app.command
def create(*, database: DatabaseUrl = "") -> None:
    """Make the tables of an outbox; what is there stays as it is.

    adstream outbox create --database postgresql://postgres@127.0.0.1:5432/shop
    """
    with Database(url_of(database), read_only=False) as opened:
        relay.create(opened)
        out.print(f"{opened.where}: the outbox is there")


@app.command
def publish(
    *,
    database: DatabaseUrl = "",
    output: Annotated[Path, Parameter(help="The folder of the streams, or of what waits for the broker.")],
    sink: BrokerSink = "",
    format: Format = "jsonl",  # noqa: A002 the option's name
    every: Every = "",
    keep: Annotated[
        bool,
        Parameter(negative="", help="Keep published rows, with the number of their step, instead of deleting them."),
    ] = False,
) -> None:
    """Publish what is in an outbox, in the order of its ids, each record once.

    The same command goes on where the last run stopped, even one that was killed. A row that breaks the contract of
    its stream goes to dead-letters.

        adstream outbox publish --database … --output relay --sink 'kafka://HOST:PORT?registry=URL' --every 500ms
    """
    pause = pause_of(every)
    with only_writer(output), Database(url_of(database), read_only=False) as opened:
        chosen = Relay(opened, sink_of(JOB, relay.contracts(), output, sink, format), keep=keep)
        chosen.open()
        total = Published()
        for _ in turns(pause):
            published = chosen.run()
            total = total.plus(published)
            if pause is not None and published.records:
                err.print(f"outbox: {published.records:,} records")
    rows = {"records": total.records, "dead letters": total.dead_letters, "where": sink.partition("?")[0] or output}
    show_pairs("outbox, published", rows)
