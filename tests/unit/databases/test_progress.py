"""The windows of a progress over a small database with transactions, against what was committed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.databases.progress import Column, Progress, Snapshot, Window
from common.errors import AdstreamError

IDS = Column(timed=False, lag=0)
Row = tuple[int, int, int]
"""Key, value of the column that grows, the transaction that wrote it."""


@dataclass
class Transaction:
    number: int
    rows: dict[int, int] = field(default_factory=dict)


@dataclass
class SmallDatabase:
    """Rows by key, each with the transaction that wrote it; what is written shows once it is committed."""

    rows: dict[int, Row] = field(default_factory=dict)
    open: list[Transaction] = field(default_factory=list)
    next: int = 1
    clock: int = 0

    def begin(self) -> None:
        self.open.append(Transaction(self.next))
        self.next += 1

    def write(self, which: int, key: int) -> None:
        """A change: its value is drawn as it is written."""
        if self.open:
            self.clock += 1
            self.open[which % len(self.open)].rows[key] = self.clock

    def end(self, which: int, commits: bool) -> None:
        if self.open:
            ended = self.open.pop(which % len(self.open))
            if commits:
                self.rows |= {key: (key, value, ended.number) for key, value in ended.rows.items()}

    @property
    def snapshot(self) -> Snapshot:
        xmin = min((each.number for each in self.open), default=self.next)
        return Snapshot("here", xmin, self.next, self.clock)

    def read(self, window: Window) -> list[Row]:
        low = -1 if window.low is None else window.low
        return sorted(row for row in self.rows.values() if window.since <= row[2] < window.until and row[1] >= low)


def read_to_end(database: SmallDatabase, progress: Progress, column: Column = IDS) -> tuple[Progress, list[Row]]:
    progress = progress.opened(database.snapshot, column, repeats=True)
    assert progress.window is not None
    rows = database.read(progress.window)
    progress = progress.planned(lambda: [("last",)], 1).sent(max((row[1] for row in rows), default=None))
    return progress.closed(column, by_transaction=True), rows


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    actions = st.sampled_from(["begin", "write", "write", "write", "commit", "rollback", "read"])
    return draw(st.lists(st.tuples(actions, st.integers(0, 5), st.integers(0, 6)), min_size=10, max_size=60))


def play(database: SmallDatabase, action: str, which: int, key: int) -> None:
    if action == "begin":
        database.begin()
    elif action == "write":
        database.write(which, key)
    else:
        database.end(which, action == "commit")


@given(histories())
@settings(max_examples=500)
def test_every_version_that_lasts_is_read_once(history: list[tuple[str, int, int]]) -> None:
    """Whatever runs beside the reads, and however late it commits."""
    database, progress, sent = SmallDatabase(), Progress(), list[Row]()
    for action, which, key in history:
        if action == "read":
            progress, rows = read_to_end(database, progress)
            sent += rows
        else:
            play(database, action, which, key)
    while database.open:
        database.end(0, True)
    progress, rows = read_to_end(database, progress)
    sent += rows
    assert len(sent) == len(set(sent))
    assert {key: (key, value, number) for key, value, number in sent} == database.rows


@given(histories())
def test_of_a_key_the_last_one_sent_is_the_newest(history: list[tuple[str, int, int]]) -> None:
    database, progress, last = SmallDatabase(), Progress(), dict[int, Row]()
    for action, which, key in history:
        if action == "read":
            progress, rows = read_to_end(database, progress)
            for row in rows:
                assert row[2] > last.get(row[0], (0, 0, -1))[2]
                last[row[0]] = row
        else:
            play(database, action, which, key)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_a_database_at_rest_is_read_from_its_edge_on(keys: list[int]) -> None:
    """The index is used: a read looks at nothing below the greatest value sent."""
    database = SmallDatabase()
    database.begin()
    for key in keys:
        database.write(0, key)
    database.end(0, True)
    progress, _ = read_to_end(database, Progress())
    assert progress.low == database.clock
    assert progress.opened(database.snapshot, replace(IDS, lag=3), repeats=True).window == Window(
        2, 2, 2, database.clock, database.clock - 3
    )


def test_a_low_value_of_a_transaction_that_ends_late_is_read() -> None:
    database = SmallDatabase()
    database.begin()
    database.begin()
    database.write(1, 1)
    database.write(0, 2)
    database.end(0, True)
    progress, rows = read_to_end(database, Progress())
    assert (rows, progress.low) == ([(2, 2, 1)], None)
    database.end(0, True)
    assert read_to_end(database, progress)[1] == [(1, 1, 2)]


def test_equal_values_at_the_edge_are_not_lost() -> None:
    database = SmallDatabase(rows={1: (1, 7, 1), 2: (2, 7, 1)}, next=2, clock=7)
    progress, _ = read_to_end(database, Progress())
    database.rows[3] = (3, 7, 2)
    database.next = 3
    assert read_to_end(database, progress)[1] == [(3, 7, 2)]


def test_a_time_ahead_of_the_clock_hides_nothing() -> None:
    timed = Column(timed=True, lag=0)
    progress = (
        Progress().opened(Snapshot("here", 5, 5, 100), timed, repeats=True).planned(lambda: [("9",)], 1).sent(10**9)
    )
    assert progress.closed(timed, by_transaction=True).low == 100


def test_a_query_that_does_not_tell_transactions_repeats_the_lag() -> None:
    timed = Column(timed=True, lag=10)
    progress = Progress().opened(Snapshot("here", 5, 9, 100), timed, repeats=True).planned(lambda: [("9",)], 1).sent(90)
    progress = progress.closed(timed, by_transaction=False)
    opened = progress.opened(Snapshot("here", 6, 9, 200), timed, repeats=True)
    assert opened.window is not None and opened.window.low == 80


@pytest.mark.parametrize(
    ("snapshot", "why"),
    [
        (Snapshot("there", 20_000, 20_000, 100), "the database is there, the progress is of here"),
        (Snapshot("here", 8, 8, 100), "the database went back: its next transaction is 8, 20000 was reached"),
        (Snapshot("here", 20_000, 20_000, 89), "the database's clock went back by 0.0 s, more than the lag"),
    ],
)
def test_a_database_that_is_not_what_it_was_is_refused(snapshot: Snapshot, why: str) -> None:
    timed = Column(timed=True, lag=10)
    first = Snapshot("here", 20_000, 20_000, 100)
    progress = Progress().opened(first, timed, repeats=True).closed(timed, by_transaction=True)
    with pytest.raises(AdstreamError, match=why):
        progress.opened(snapshot, timed, repeats=True)


def test_a_database_that_was_restored_or_failed_over_is_refused() -> None:
    """Also when it has given out nearly as many transaction ids again: those that were passed over would be lost."""
    first = Snapshot("here", 10_000_000, 10_000_000, 100, timeline=1)
    progress = Progress().opened(first, IDS, repeats=True).closed(IDS, by_transaction=True)
    with pytest.raises(AdstreamError, match="it is on timeline 2, 1 was read"):
        progress.opened(Snapshot("here", 9_995_000, 9_995_000, 100, timeline=2), IDS, repeats=True)


def test_a_progress_that_has_noted_no_timeline_takes_the_first_one() -> None:
    first = Snapshot("here", 9, 9, 100)
    progress = Progress().opened(first, IDS, repeats=True).closed(IDS, by_transaction=True)
    assert progress.opened(replace(first, timeline=3), IDS, repeats=True).timeline == 3


def test_a_clock_that_went_back_within_the_lag_is_no_matter() -> None:
    timed = Column(timed=True, lag=10)
    progress = Progress().opened(Snapshot("here", 9, 9, 100), timed, repeats=True).closed(timed, by_transaction=True)
    assert progress.opened(Snapshot("here", 9, 9, 90), timed, repeats=True).window is not None


def test_anew_begins_with_the_first_window_and_a_step_of_its_own() -> None:
    progress = Progress(step=4, system="here", horizon=9, low=3)
    assert progress.anew(2) == Progress(step=4)
    assert progress.anew(8) == Progress(step=8)


@pytest.mark.parametrize(("repeats", "since"), [(True, 10_000), (False, 20_000)])
def test_after_a_start_of_the_server_ids_that_may_come_again_are_read_again(repeats: bool, since: int) -> None:
    first = Snapshot("here", 20_000, 20_000, 100, started=1)
    progress = Progress().opened(first, IDS, repeats=repeats).closed(IDS, by_transaction=True)
    opened = progress.opened(replace(first, started=2), IDS, repeats=repeats)
    assert opened.window is not None and opened.window.since == since
    assert opened.opened(replace(first, started=2), IDS, repeats=True).window == replace(opened.window, since=20_000)


@given(st.integers(0, 30), st.integers(1, 4), st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=60))
def test_pages_cover_the_rows_once_whatever_is_killed(count: int, size: int, turns: list[tuple[int, bool]]) -> None:
    """A step that is sent again has the rows it had, even if another number of pages was asked for meanwhile."""
    keys = [f"{number:02d}" for number in range(count)]
    progress, sent = Progress(after=()), dict[int, list[str]]()
    for width, killed in [*turns, *[(3, False)] * 60]:
        ahead = [key for key in keys if not progress.after or (key,) > progress.after]
        ends = [(key,) for number, key in enumerate(ahead, 1) if number % size == 0 or number == len(ahead)]
        progress = progress.planned(partial(tuple, ends), width)
        if not progress.sending:
            break
        rows = [key for key in keys if any(after < (key,) <= to for after, to in progress.pages if after is not None)]
        assert sent.setdefault(progress.step, rows) == rows
        if not killed:
            progress = progress.sent(None)
    assert [key for step in sorted(sent) for key in sent[step]] == keys
