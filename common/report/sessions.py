"""What the records of `ad-sessions` say after all corrections, as small tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.report.tables import last_of_each
from common.streams.columns import enum_texts, item_counts, timestamps_to_ms

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LAST_PLACE = 20
"""Views further back in a session than this are counted with those here."""


@dataclass(frozen=True)
class Sessions:
    """The sessions that stand, and what was taken back.

    Attributes:
        start: When each standing session begins, in epoch ms.
        span: The time from its first to its last action, in ms.
        actions: How many actions it has.
        users: How many users have one.
        taken_back: The starts of the sessions that a tombstone took back, in epoch ms.
        advertisements: `advertisement`, `views`, `clicks`, `clicked` (views that a click followed), most views first.
        places: `place` (from 1: a view's place among the views of its session), `views`, `clicked`.
    """

    start: Ints
    span: Ints
    actions: Ints
    users: int
    taken_back: Ints
    advertisements: pa.Table
    places: pa.Table

    @property
    def views(self) -> int:
        """How many views are in them."""
        return pc.sum(self.advertisements["views"]).as_py() or 0

    @property
    def clicked(self) -> int:
        """How many of these were clicked."""
        return pc.sum(self.advertisements["clicked"]).as_py() or 0


@dataclass(frozen=True)
class _Columns:
    """Records as columns: a row a record, and a row an action, in the records' order."""

    user: pa.Array
    start: pa.Array
    end: pa.Array
    lengths: Ints
    advertisement: Ints
    time: Ints
    click: Bools


def sessions(records: Iterable[pa.Table]) -> Sessions:
    """Counts the records of `ad-sessions`; memory follows 20 bytes an action.

    A view was clicked when a click on its advertisement follows in the session before the next view of it.

    Args:
        records: Records in the Arrow schema of the contract, those of each key in order.
    """
    parts = [_columns(batch) for table in records for batch in table.to_batches()]
    every = _Columns(
        pa.concat_arrays([pa.array([], pa.string()), *(part.user for part in parts)]),
        pa.concat_arrays([pa.array([], pa.int64()), *(part.start for part in parts)]),
        pa.concat_arrays([pa.array([], pa.int64()), *(part.end for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.lengths for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.advertisement for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.time for part in parts)]),
        np.concatenate([np.zeros(0, np.bool_), *(part.click for part in parts)]),
    )
    stands = np.zeros(len(every.lengths), dtype=np.bool_)
    stands[last_of_each([every.user, every.start, every.end])] = True
    stands &= every.lengths > 0
    rows = np.flatnonzero(stands)
    lengths, ends = every.lengths[rows], np.cumsum(every.lengths)[rows]
    of_standing = np.repeat(stands, every.lengths)
    session = np.repeat(np.arange(len(rows)), lengths)
    advertisement, click = every.advertisement[of_standing], every.click[of_standing]
    clicked = clicked_views(session, advertisement, click)
    starts = every.start.to_numpy()
    return Sessions(
        start=starts[rows],
        span=every.time[ends - 1] - every.time[ends - lengths],
        actions=lengths,
        users=pc.count_distinct(every.user.take(pa.array(rows))).as_py(),
        taken_back=starts[every.lengths == 0],
        advertisements=_by_advertisement(advertisement, click, clicked),
        places=_by_place(session, click, clicked),
    )


def clicked_views(session: Ints, advertisement: Ints, click: Bools) -> Bools:
    """Which actions are views that were clicked.

    Args:
        session: The session of each action; a session's actions are in order.
        advertisement: The advertisement of each action.
        click: Whether it is a click; else a view.
    """
    order = np.lexsort((np.arange(len(click)), advertisement, session))
    pair, place = np.stack([session[order], advertisement[order]]), np.arange(len(order))
    begins = np.append(True, (pair[:, 1:] != pair[:, :-1]).any(axis=0))[: len(order)]
    begin = np.maximum.accumulate(np.where(begins, place, 0))
    view = np.maximum.accumulate(np.where(click[order], -1, place))
    clicked = np.zeros(len(click), dtype=np.bool_)
    clicked[order[view[click[order] & (view >= begin)]]] = True
    return clicked


def _columns(batch: pa.RecordBatch) -> _Columns:
    key, value = batch.column("key"), batch.column("value")
    actions = pc.struct_field(value, "actions")
    action = actions.flatten()
    return _Columns(
        key.field("userId"),
        timestamps_to_ms(key.field("window").field("start")),
        timestamps_to_ms(key.field("window").field("end")),
        item_counts(actions),
        action.field("advertisementId").to_numpy(),
        timestamps_to_ms(action.field("eventTime")).to_numpy(),
        pc.equal(enum_texts(action.field("action")), "Click").to_numpy(zero_copy_only=False),
    )


def _by_advertisement(advertisement: Ints, click: Bools, clicked: Bools) -> pa.Table:
    ids, places = np.unique(advertisement, return_inverse=True)
    columns = {
        "advertisement": ids,
        "views": np.bincount(places[~click], minlength=len(ids)),
        "clicks": np.bincount(places[click], minlength=len(ids)),
        "clicked": np.bincount(places[clicked], minlength=len(ids)),
    }
    return pa.table(columns).sort_by([("views", "descending"), ("advertisement", "ascending")])


def _by_place(session: Ints, click: Bools, clicked: Bools) -> pa.Table:
    seen = np.cumsum(~click)
    begins = np.searchsorted(session, session)
    number: Ints = seen - (seen - ~click)[begins]
    place = np.minimum(number, LAST_PLACE)
    views = np.bincount(place[~click], minlength=1)[1:]
    return pa.table(
        {
            "place": np.arange(1, len(views) + 1),
            "views": views,
            "clicked": np.bincount(place[clicked], minlength=len(views) + 1)[1:],
        }
    )
