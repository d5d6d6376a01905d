"""What is in an outbox, published: in the order of its ids, each record once.

A step marks the rows it takes, delivers them, then deletes them; each of these is atomic. A relay that is killed
finds the rows it had marked: a broker that has that step skips it, a folder replaces it.

There is no cursor that could pass over an id: whatever is there and not marked is taken, so gaps of transactions
that were rolled back mean nothing, and an id that is committed late is taken then. It comes behind greater
ones of other keys; of its own key there is none (`outbox.py`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import Contract, load, streams
from common.databases.ahead import Held, in_folder
from common.databases.outbox import CREATE, records_of
from common.databases.postgres import Database
from common.errors import AdstreamError
from common.streams.decoded import DEAD_LETTERS
from common.streams.sink import Sink
from common.streams.staging import step_name

log = logging.getLogger("adstream")

PART = "p0"
_LOCK = "SELECT pg_try_advisory_lock(hashtext('adstream outbox')) AS free"


def create(database: Database) -> None:
    """Makes what is missing of an outbox."""
    for statement in CREATE:
        database.run(statement)


def contracts() -> dict[str, Contract]:
    """The contracts of what an outbox may hold."""
    return {stream: load(stream) for stream in streams()}


@dataclass(frozen=True)
class Published:
    """What a run did.

    Attributes:
        records: How many records it published.
        dead_letters: How many rows broke the contract of their stream.
    """

    records: int = 0
    dead_letters: int = 0

    def plus(self, other: Published) -> Published:
        """Both together."""
        return Published(self.records + other.records, self.dead_letters + other.dead_letters)


@dataclass(frozen=True)
class Relay:
    """Publishes an outbox. One at a time: the database holds the lock as long as the connection lasts.

    Attributes:
        database: The database of the outbox.
        sink: Where its records go.
        rows: How many rows a step takes.
        keep: Whether published rows stay, with the number of their step.
    """

    database: Database
    sink: Sink
    rows: int = 10_000
    keep: bool = False

    def open(self) -> None:
        """Takes the lock; the sink is put back to what the outbox knows.

        Raises:
            AdstreamError: Another relay runs, there is no outbox, or the sink is ahead of it.
        """
        if not self.database.rows(_LOCK)["free"][0].as_py():
            raise AdstreamError(f"the outbox at {self.database.where} is being published", "stop the other relay")
        step = self._step()
        self._check(step, in_folder(self.sink))
        self.sink.recover(step_name(step))
        self._check(step, Held("the broker", self.sink.delivered()))

    def _check(self, step: int, held: Held) -> None:
        """Refuses a sink that has steps which the outbox does not know."""
        if held.step > step or (held.step == step and not self._taken(step).num_rows):
            raise AdstreamError(
                f"{held.where} has steps up to {held.step}, but the outbox at {self.database.where} is at {step}",
                f"if it was restored or made anew, UPDATE outbox_relay SET step = {held.step + 1} publishes behind them "
                "what it holds; else choose another --output or --sink",
            )

    def run(self) -> Published:
        """Publishes what there is.

        Raises:
            AdstreamError: The database is gone (`UNAVAILABLE`), or the sink fails.
        """
        total, step = Published(), self._step()
        while True:
            rows = self._taken(step)
            if not rows.num_rows:
                self._take(step)
                rows = self._taken(step)
            if not rows.num_rows:
                return total
            total = total.plus(self._deliver(step, rows))
            self._done(step)
            step += 1

    def _step(self) -> int:
        found = self.database.rows("SELECT step FROM outbox_relay")["step"].to_pylist()
        if not found:
            raise AdstreamError(f"the outbox at {self.database.where} has no step", "adstream outbox create")
        return int(found[0])

    def _take(self, step: int) -> None:
        waiting = f"SELECT id FROM outbox WHERE step IS NULL ORDER BY id LIMIT {self.rows}"
        self.database.run(f"UPDATE outbox SET step = {step} WHERE id IN ({waiting})")

    def _taken(self, step: int) -> pa.Table:
        return self.database.rows(f"SELECT id, stream, key, value FROM outbox WHERE step = {step} ORDER BY id")

    def _done(self, step: int) -> None:
        with self.database.transaction():
            if not self.keep:
                self.database.run(f"DELETE FROM outbox WHERE step = {step}")
            self.database.run(f"UPDATE outbox_relay SET step = {step + 1}")

    def _deliver(self, step: int, rows: pa.Table) -> Published:
        published = Published()
        with self.sink.writer(step_name(step), PART) as writer:
            for stream in pc.unique(rows["stream"]).to_pylist():
                records, dead = records_of(stream, rows.filter(pc.equal(rows["stream"], stream)))
                writer.write({**records, DEAD_LETTERS: dead})
                sent = sum(table.num_rows for table in records.values())
                published = published.plus(Published(sent, dead.num_rows))
        self.sink.deliver(step_name(step), writer.parts)
        log.info("step %d: %d records, %d dead letters", step, published.records, published.dead_letters)
        return published
