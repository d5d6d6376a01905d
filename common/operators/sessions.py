"""Event-time sessions with corrections: the rules of SEMANTICS.md, vectorised.

The state holds one row a session that can still change, emitted or not. A step regroups the held
sessions of the users that arrived, leaves all others as they are, emits what the watermark has
closed, takes back what a late event made untrue, and forgets what nothing can touch any more.

Example:
    >>> operator = Sessions(gap=1_800_000, grace=0)
    >>> step = operator.step(STATE.empty_table(), events, Watermarks(BEGINNING, END))
    >>> step.outputs["sessions"]  # userId, start, end, actions (null: a tombstone)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.operators.order import order_by
from common.operators.rows import keep, late_rows, late_schema, split
from common.operators.step import END, Step, Watermarks

ACTION = pa.struct(
    [
        pa.field("eventTime", pa.int64(), nullable=False),
        pa.field("advertisementId", pa.int64(), nullable=False),
        pa.field("action", pa.int8(), nullable=False),
    ]
)
ACTIONS = pa.list_(pa.field("item", ACTION, nullable=False))
EVENTS = pa.schema(
    [
        pa.field("userId", pa.string(), nullable=False),
        pa.field("eventTime", pa.int64(), nullable=False),
        pa.field("action", pa.int8(), nullable=False),
        pa.field("advertisementId", pa.int64(), nullable=False),
    ]
)
SESSIONS = pa.schema(
    [
        pa.field("userId", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("actions", ACTIONS),
    ]
)
LATE = late_schema(EVENTS)
STATE = SESSIONS.append(pa.field("emitted", pa.bool_(), nullable=False))

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sessions:
    """Session windows over `EVENTS`, keyed by `userId`.

    Attributes:
        gap: The longest break inside a session, in ms; a break of exactly `gap` does not end it.
        grace: How far an event may be behind the watermark and still be counted, in ms.
        dedupe: Whether events equal in user, time, action and advertisement count once.
    """

    gap: int = field(default=1_800_000, metadata={"unit": "ms"})
    grace: int = field(default=1_800_000, metadata={"unit": "ms"})
    dedupe: bool = True

    state_schema: pa.Schema = STATE
    state_key: None = None
    event_schema: pa.Schema = EVENTS

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`sessions` (upserts and tombstones) and `late`."""
        return {"sessions": SESSIONS, "late": LATE}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """A state grouped under another gap, or with duplicates kept, can't be read under this one.

        Nor one of another grace: with a longer one, an event would be accepted beside a session that is forgotten.
        """
        return {"operator": "sessions", "gap": self.gap, "grace": self.grace, "dedupe": self.dedupe}

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Advances the sessions by one batch (SEMANTICS.md, "Late events", rules 1 to 4).

        Args:
            state: `STATE`, at most one bucket's worth of users; in any order.
            events: `EVENTS`, in any order.
            time: The watermark before and after the batch.

        Returns:
            A step with the outputs `sessions` (`SESSIONS`; `actions` is null in a tombstone;
            tombstones first) and `late` (`LATE`).
        """
        accepted, late = split(events, events["eventTime"].to_numpy() <= time.before - self.grace)
        touched = pc.is_in(state["userId"], value_set=accepted["userId"].unique()).to_numpy()
        regrouped, untouched = split(state, ~touched)
        groups = _group(regrouped, accepted, self.gap, dedupe=self.dedupe)

        held = pa.concat_tables([untouched, groups.sessions]) if untouched.num_rows else groups.sessions
        end = held["end"].to_numpy()
        was_emitted = held["emitted"].to_numpy()
        due = (end <= time.after) & ~was_emitted
        upserts = keep(held, due).drop_columns("emitted")
        sessions = pa.concat_tables([groups.tombstones, upserts]) if groups.tombstones.num_rows else upserts

        emitted = was_emitted | due
        kept = end > time.after - self.grace
        new_state = keep(held.set_column(4, STATE.field("emitted"), pa.array(emitted)), kept)
        open_ = keep(held, ~emitted)
        return Step(
            state=new_state,
            outputs={
                "sessions": sessions,
                "late": late_rows(late, time.before),
            },
            counters={
                "late": late.num_rows,
                "duplicates": groups.duplicates,
                "actions_out": _count_actions(upserts) - groups.actions_taken_back,
                "sessions_upserted": upserts.num_rows,
                "sessions_retracted": groups.tombstones.num_rows,
            },
            gauges={
                "sessions_held": new_state.num_rows,
                "sessions_open": open_.num_rows,
                "actions_open": _count_actions(open_),
            },
            due=self._due(end[kept], emitted[kept]),
        )

    def _due(self, end: Ints, emitted: Bools) -> int:
        """When the next held session closes, or the next emitted one may be forgotten."""
        moments = np.where(emitted, end + self.grace, end)
        return int(moments.min()) if len(moments) else END


@dataclass(frozen=True)
class _Groups:
    """Regrouped sessions of the users that arrived, and what that made untrue."""

    sessions: pa.Table  # STATE; emitted where the session stands as it was emitted
    tombstones: pa.Table  # SESSIONS
    duplicates: int
    actions_taken_back: int


@dataclass(frozen=True)
class _Actions:
    """Actions as columns; `user` counts the distinct users."""

    user: Ints
    time: Ints
    action: npt.NDArray[np.int8]
    ad: Ints

    def take(self, rows: npt.NDArray[np.intp] | Bools) -> _Actions:
        return _Actions(self.user[rows], self.time[rows], self.action[rows], self.ad[rows])

    def follows(self, within: int) -> Bools:
        """Of sorted actions, whether each is the same user's and at most `within` ms after the one before."""
        near = (self.user[1:] == self.user[:-1]) & (np.diff(self.time) <= within)
        return np.concatenate([[False], near])

    def repeats(self) -> Bools:
        """Of sorted actions, whether each equals the one before in everything."""
        repeats = self.follows(0)
        repeats[1:] &= (self.action[1:] == self.action[:-1]) & (self.ad[1:] == self.ad[:-1])
        return repeats


def _group(held: pa.Table, events: pa.Table, gap: int, *, dedupe: bool) -> _Groups:
    """Groups the actions of held sessions and new events into maximal sessions."""
    if events.num_rows == 0:
        return _Groups(held, SESSIONS.empty_table(), 0, 0)
    lengths = held["actions"].combine_chunks().value_lengths().to_numpy()
    users, unsorted = _actions_of(held, lengths, events)
    order = order_by([unsorted.user, unsorted.time, unsorted.action, unsorted.ad])
    actions = unsorted.take(order)
    first = ~actions.follows(gap)
    session_of_held = _session_of_held(lengths, order, np.cumsum(first) - 1)
    if dedupe:
        unique = ~actions.repeats()
        actions, first = actions.take(unique), first[unique]
    starts = np.flatnonzero(first)
    sessions = _sessions(users, actions, starts, gap)

    start, end, count = (sessions[name].to_numpy()[session_of_held] for name in ("start", "end", "count"))
    was_emitted = held["emitted"].to_numpy()
    same_key = (held["start"].to_numpy() == start) & (held["end"].to_numpy() == end)
    unchanged = was_emitted & same_key & (lengths == count)
    stands = np.zeros(len(starts), dtype=np.bool_)
    stands[session_of_held[unchanged]] = True
    gone = keep(held, was_emitted & ~same_key).select(["userId", "start", "end"])
    return _Groups(
        sessions=sessions.drop_columns("count").append_column(STATE.field("emitted"), pa.array(stands)),
        tombstones=gone.append_column(SESSIONS.field("actions"), pa.nulls(gone.num_rows, ACTIONS)),
        duplicates=len(order) - len(actions.time),
        actions_taken_back=int(lengths[was_emitted & ~unchanged].sum()),
    )


def _actions_of(held: pa.Table, lengths: Ints, events: pa.Table) -> tuple[pa.Array, _Actions]:
    """The distinct users, and all actions: those of held sessions first, in their order, then the events."""
    keys = pa.chunked_array(held["userId"].chunks + events["userId"].chunks, pa.string()).combine_chunks()
    users = keys.dictionary_encode()
    codes = users.indices.to_numpy().astype(np.int64)
    flat = held["actions"].combine_chunks().flatten()

    def column(name: str) -> npt.NDArray[Any]:
        return np.concatenate([flat.field(name).to_numpy(), events[name].to_numpy()])

    user = np.concatenate([np.repeat(codes[: held.num_rows], lengths), codes[held.num_rows :]])
    return users.dictionary, _Actions(user, column("eventTime"), column("action"), column("advertisementId"))


def _session_of_held(lengths: Ints, order: npt.NDArray[np.intp], session: Ints) -> Ints:
    """The session that each held one became part of: a held session is never split."""
    session_of_action = np.empty(len(order), dtype=np.int64)
    session_of_action[order] = session
    first_actions: Ints = np.cumsum(lengths) - lengths
    place: Ints = session_of_action[first_actions]
    return place


def _sessions(users: pa.Array, actions: _Actions, starts: npt.NDArray[np.intp], gap: int) -> pa.Table:
    """Sorted actions as `SESSIONS` rows, with the `count` of their actions."""
    offsets = np.append(starts, len(actions.time))
    values = pa.StructArray.from_arrays([actions.time, actions.ad, actions.action], fields=list(ACTION))
    return pa.Table.from_arrays(
        [
            users.take(pa.array(actions.user[starts])),
            pa.array(actions.time[starts]),
            pa.array(actions.time[offsets[1:] - 1] + gap),
            pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=ACTIONS),
            pa.array(np.diff(offsets)),
        ],
        schema=SESSIONS.append(pa.field("count", pa.int64(), nullable=False)),
    )


def _count_actions(sessions: pa.Table) -> int:
    return sum(len(chunk.flatten()) for chunk in sessions["actions"].chunks)
