"""A page of rows on its way from a database to a sink: what one task does, in whatever process an engine runs it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from common.contracts.contract import load
from common.databases.liberation import Liberation
from common.databases.postgres import Database
from common.databases.rows import Rows
from common.operators.step import END
from common.streams.decoded import DEAD_LETTERS
from common.streams.sink import Sink
from common.streams.staging import Part


@dataclass(frozen=True)
class Freed:
    """What was done.

    Attributes:
        records: How many records were sent, tombstones too.
        tombstones: How many of them are tombstones.
        dead_letters: How many rows broke the contract.
        steps: In how many steps.
    """

    records: int = 0
    tombstones: int = 0
    dead_letters: int = 0
    steps: int = 0

    def plus(self, other: Freed) -> Freed:
        """Both together."""
        return Freed(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values(), strict=True)))


@dataclass(frozen=True)
class Staged:
    """A page that waits for its step to be delivered.

    Attributes:
        parts: Its files.
        freed: What is in them.
        greatest: The greatest value of the column that grows; None for none.
    """

    parts: tuple[Part, ...]
    freed: Freed
    greatest: int | None


@dataclass(frozen=True)
class Page:
    """A task: reads a page, and stages its records. It can be pickled, and made again: it only reads.

    Attributes:
        url: The database.
        query: The query that gives the rows.
        stream: The stream they are freed into.
        liberation: How.
        sink: Where they go.
        step: The step they are sent in.
        part: The name of this page within the step.
    """

    url: str
    query: str
    stream: str
    liberation: Liberation
    sink: Sink
    step: str
    part: str

    def __call__(self) -> Staged:
        """Reads and stages.

        Raises:
            AdstreamError: The database is gone (`UNAVAILABLE`) or refuses the query, or the sink fails.
        """
        with Database(self.url, read_only=True) as database:
            found = database.rows(self.query)
        rows = Rows(self.liberation, load(self.stream))
        decoded = rows.records(found, f"{self.step}.{self.part}", END)
        with self.sink.writer(self.step, self.part) as writer:
            writer.write({self.stream: decoded.records, DEAD_LETTERS: decoded.dead})
        freed = Freed(decoded.records.num_rows, decoded.records["value"].null_count, decoded.dead.num_rows)
        return Staged(writer.parts, freed, rows.greatest(found))
