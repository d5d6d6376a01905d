"""How far a database was freed: which rows come next, as a pure function of a progress and a snapshot.

A row is read by the transaction that wrote it, not by its time. All transactions below the horizon of a
snapshot have ended, so the rows they left are known for good: a *window* is what the transactions between
two horizons left. Windows do not overlap, so nothing is sent twice, and leave no gap, so a transaction that
ends late is not skipped, whatever times or ids it gave its rows.

The column that grows (a time or an id) only spares reading the whole table. A transaction of a later window
may hold lower values than one that was sent, so its low end is taken from a read after which all transactions
began that are still to come, less a lag for the time between taking a value and the first write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

from common.errors import AdstreamError

Row: TypeAlias = tuple[str, ...]
"""The order columns of a row, as text."""

REUSED = 10_000
"""How many transaction ids a server that crashed may give out a second time, at most: those whose end it had not
written to disk yet, so what it does in less than a second (PostgreSQL, "Asynchronous Commit")."""


@dataclass(frozen=True)
class Snapshot:
    """What a database says of itself.

    Attributes:
        system: Which database it is; a copy restored from a dump is another.
        xmin: Its horizon: every transaction below has ended.
        xmax: Every transaction from here on has not begun to write.
        now: Its clock, in epoch microseconds.
        started: When its server was started or had recovered from a crash, in epoch microseconds.
        timeline: Its history: one that is restored to an earlier moment, or a standby that takes over, begins another.
    """

    system: str
    xmin: int
    xmax: int
    now: int
    started: int = 0
    timeline: int = 0


@dataclass(frozen=True)
class Column:
    """The column that grows.

    Attributes:
        timed: Whether it is a time, which never lies ahead of the clock; else an id.
        lag: How much a value may be lower than one that a transaction which began to write later has taken:
            in microseconds, or in ids.
    """

    timed: bool
    lag: int


@dataclass(frozen=True)
class Window:
    """What a read takes: rows of the transactions in [since, until), with values from `low` on.

    Attributes:
        since: The first transaction; 0 for all that were ever.
        until: The first one that is left to the next window.
        ahead: The `xmax` of the snapshot it was opened at.
        now: The database's clock then, in epoch microseconds.
        low: The lowest value of the column that may be among them; None if that is not known.
    """

    since: int
    until: int
    ahead: int
    now: int
    low: int | None = None


@dataclass(frozen=True)
class Edge:
    """The greatest value at a snapshot, and the first transaction that began to write after it."""

    value: int
    ahead: int


@dataclass(frozen=True)
class Progress:
    """What was sent.

    Attributes:
        step: The number of the next step.
        system: Which database it is.
        what: What is freed, and along which columns.
        stream: The stream it is freed into; empty if that was not noted.
        section: A hash of the configuration; empty if that was not noted.
        now: The database's clock when the last window was opened, in epoch microseconds.
        started: When its server had been started, in epoch microseconds.
        timeline: Its history; 0 if that was not noted.
        horizon: What transactions below left was sent; 0 before the first window is.
        low: No transaction from the horizon on takes a lower value, up to the lag; None if that is not known.
        waiting: What becomes `low` when the horizon has reached it.
        edge: The greatest value that was sent.
        window: What is being read; None between two reads.
        after: Where the next page of the window begins, exclusive: the order columns of a row, as text. Empty
            for the first one; None before the rows that have no such columns.
        ends: Where the pages end that were planned, inclusive; empty for those rows.
        sending: How many of them the step takes that is being sent; 0 while none is.
    """

    step: int = 0
    system: str = ""
    what: str = ""
    stream: str = ""
    section: str = ""
    now: int = 0
    started: int = 0
    timeline: int = 0
    horizon: int = 0
    low: int | None = None
    waiting: Edge | None = None
    edge: int | None = None
    window: Window | None = None
    after: Row | None = None
    ends: tuple[Row, ...] = ()
    sending: int = 0

    @property
    def pages(self) -> tuple[tuple[Row | None, Row], ...]:
        """The pages that are being sent: after which row each begins, and with which it ends."""
        return tuple(pairwise((self.after, *self.ends[: self.sending])))  # type: ignore[arg-type]

    def opened(self, snapshot: Snapshot, column: Column | None, *, repeats: bool) -> Progress:
        """With the next window.

        A server that was started again may have crashed and give out transaction ids that this progress has seen.

        Args:
            snapshot: The database as it is now.
            column: What it is read by; None to read all of it.
            repeats: Whether rows may be sent twice, so that after such a start some are read again.

        Raises:
            AdstreamError: It is not the database it was, or its clock went back further than the lag.
        """
        self.check(snapshot, column)
        low = None if column is None or self.low is None else self.low - column.lag
        back = REUSED if repeats and self.started != snapshot.started else 0
        window = Window(max(self.horizon - back, 0), snapshot.xmin, snapshot.xmax, snapshot.now, low)
        seen = replace(
            self, system=snapshot.system, now=snapshot.now, started=snapshot.started, timeline=snapshot.timeline
        )
        return replace(seen, window=window, after=None, ends=(), sending=0)

    def planned(self, ends: Callable[[], Iterable[Row]], width: int) -> Progress:
        """With the pages of the next step: should it be sent again, it is not another one.

        Args:
            ends: Where the pages end that come next; asked if none was planned yet.
            width: How many pages a step takes at most.
        """
        planned = self.ends or tuple(ends())
        return replace(self, ends=planned, sending=self.sending or min(width, len(planned)))

    def sent(self, greatest: int | None) -> Progress:
        """Once the pages of a step were sent.

        Args:
            greatest: The greatest value of the column in them.
        """
        values = [value for value in (self.edge, greatest) if value is not None]
        done, left = self.ends[: self.sending], self.ends[self.sending :]
        edge = max(values, default=None)
        return replace(self, step=self.step + 1, after=done[-1], ends=left, sending=0, edge=edge)

    def closed(self, column: Column | None, *, by_transaction: bool) -> Progress:
        """Once the window has no further page.

        Args:
            column: As `opened` takes it.
            by_transaction: Whether rows tell which transaction wrote them.
        """
        assert self.window is not None
        done = replace(self, horizon=self.window.until, window=None, after=None)
        if column is None or self.edge is None:
            return done
        # A time ahead of the clock must not hide what is written until then.
        edge = min(self.edge, self.window.now) if column.timed else self.edge
        if not by_transaction:
            return replace(done, low=edge)
        settled = _settled(done)
        waiting = settled.waiting or Edge(edge, self.window.ahead)
        return _settled(replace(settled, waiting=waiting))

    def anew(self, step: int) -> Progress:
        """As before the first window, but for the number of the next step."""
        return Progress(step=max(step, self.step))

    def check(self, snapshot: Snapshot, column: Column | None) -> None:
        """Whether a database is the one that was read, and has not gone back since.

        Args:
            snapshot: The database as it is now.
            column: What it is read by; None to read all of it.

        Raises:
            AdstreamError: It is another one, it lost transactions, or its clock went back further than the lag.
        """
        if not self.system:
            return
        remedy = "add --again to free all rows anew"
        if snapshot.system != self.system:
            raise AdstreamError(f"the database is {snapshot.system}, the progress is of {self.system}", remedy)
        if snapshot.timeline != (self.timeline or snapshot.timeline):
            raise AdstreamError(
                f"the database was restored, or a standby took over: it is on timeline {snapshot.timeline}, "
                f"{self.timeline} was read, and transactions of both may share their ids",
                remedy,
            )
        reached = self.horizon if self.window is None else self.window.until
        if snapshot.xmax + REUSED < reached:
            raise AdstreamError(
                f"the database went back: its next transaction is {snapshot.xmax}, {reached} was reached", remedy
            )
        if column is not None and column.timed and snapshot.now + column.lag < self.now:
            seconds = (self.now - snapshot.now) / 1e6
            raise AdstreamError(
                f"the database's clock went back by {seconds:,.1f} s, more than the lag: changes may look old",
                "raise the lag, or " + remedy,
            )


def _settled(progress: Progress) -> Progress:
    """With the edge that waits as the low end, if all transactions that had begun before it have ended."""
    if progress.waiting is None or progress.waiting.ahead > progress.horizon:
        return progress
    return replace(progress, low=progress.waiting.value, waiting=None)
