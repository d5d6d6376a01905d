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
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.operators.order import order_by
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
LATE = EVENTS.append(pa.field("watermark", pa.int64(), nullable=False))
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

    gap: int = 1_800_000
    grace: int = 1_800_000
    dedupe: bool = True

    state_schema: pa.Schema = STATE
    event_schema: pa.Schema = EVENTS

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`sessions` (upserts and tombstones) and `late`."""
        return {"sessions": SESSIONS, "late": LATE}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """A state grouped under another gap, or with duplicates kept, can't be read under this one."""
        return {"operator": "sessions", "gap": self.gap, "dedupe": self.dedupe}

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
        late_limit = time.before - self.grace
        is_late = events["eventTime"].to_numpy() <= late_limit
        accepted, late = _split(events, is_late)

        touched = pc.is_in(state["userId"], value_set=_distinct(accepted["userId"])).to_numpy()
        regrouped, untouched = _split(state, ~touched)
        groups = _group(regrouped, accepted, self.gap, self.dedupe)

        held = pa.concat_tables([untouched, groups.sessions]) if untouched.num_rows else groups.sessions
        end = held["end"].to_numpy()
        emitted = held["emitted"].to_numpy()
        due = (end <= time.after) & ~emitted
        upserts = _keep(held, due).drop_columns("emitted")
        sessions = pa.concat_tables([groups.tombstones, upserts]) if groups.tombstones.num_rows else upserts

        emitted = emitted | due
        kept = end > time.after - self.grace
        new_state = _keep(held.set_column(4, STATE.field("emitted"), pa.array(emitted)), kept)
        open_ = _keep(held, ~emitted)
        return Step(
            state=new_state,
            outputs={"sessions": sessions, "late": late.append_column(LATE.field("watermark"), _repeat(time.before, late))},
            counters={
                "late": late.num_rows,
                "duplicates": groups.duplicates,
                "actions_out": _actions(upserts) - groups.actions_taken_back,
                "sessions_upserted": upserts.num_rows,
                "sessions_retracted": groups.tombstones.num_rows,
            },
            gauges={"sessions_held": new_state.num_rows, "sessions_open": open_.num_rows, "actions_open": _actions(open_)},
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


def _group(held: pa.Table, events: pa.Table, gap: int, dedupe: bool) -> _Groups:
    """Groups the actions of held sessions and new events into maximal sessions."""
    if events.num_rows == 0:
        return _Groups(held, SESSIONS.empty_table(), 0, 0)
    actions = held["actions"].combine_chunks()
    flat = actions.flatten()
    lengths = actions.value_lengths().to_numpy()
    users, user = _user_codes(held["userId"], lengths, events["userId"])
    time = np.concatenate([flat.field("eventTime").to_numpy(), events["eventTime"].to_numpy()])
    action = np.concatenate([flat.field("action").to_numpy(), events["action"].to_numpy()])
    ad = np.concatenate([flat.field("advertisementId").to_numpy(), events["advertisementId"].to_numpy()])

    order = order_by([user, time, action, ad])
    user, time, action, ad = user[order], time[order], action[order], ad[order]
    same_user = user[1:] == user[:-1]
    step = np.diff(time)
    first = np.concatenate([[True], ~same_user | (step > gap)])
    session = np.cumsum(first) - 1

    row_of_held = np.repeat(np.arange(len(lengths)), lengths)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = session
    session_of_held = np.zeros(len(lengths), dtype=np.int64)
    session_of_held[row_of_held] = place[: len(row_of_held)]

    if dedupe:
        again = same_user & (step == 0) & (action[1:] == action[:-1]) & (ad[1:] == ad[:-1])
        if again.any():
            unique = np.concatenate([[True], ~again])
            user, time, action, ad, first = user[unique], time[unique], action[unique], ad[unique], first[unique]
    starts = np.flatnonzero(first)
    offsets = np.append(starts, len(time))
    start, end, count = time[starts], time[offsets[1:] - 1] + gap, np.diff(offsets)

    was_emitted = held["emitted"].to_numpy()
    same_key = (held["start"].to_numpy() == start[session_of_held]) & (held["end"].to_numpy() == end[session_of_held])
    unchanged = was_emitted & same_key & (lengths == count[session_of_held])
    stands = np.zeros(len(starts), dtype=np.bool_)
    stands[session_of_held[unchanged]] = True

    values = pa.StructArray.from_arrays([time, ad, action], fields=list(ACTION))
    sessions = pa.Table.from_arrays(
        [
            users.take(pa.array(user[starts])),
            pa.array(start),
            pa.array(end),
            pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=ACTIONS),
            pa.array(stands),
        ],
        schema=STATE,
    )
    gone = _keep(held, was_emitted & ~same_key)
    return _Groups(
        sessions=sessions,
        tombstones=gone.select(["userId", "start", "end"]).append_column(SESSIONS.field("actions"), pa.nulls(gone.num_rows, ACTIONS)),
        duplicates=len(order) - len(time),
        actions_taken_back=int(lengths[was_emitted & ~unchanged].sum()),
    )


def _user_codes(held: pa.ChunkedArray, lengths: Ints, arrived: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """The distinct users, and for each action (held first, then arrived) its user's place among them."""
    users = pa.chunked_array(held.chunks + arrived.chunks, pa.string()).combine_chunks().dictionary_encode()
    codes = users.indices.to_numpy()
    return users.dictionary, np.concatenate([np.repeat(codes[: len(held)], lengths), codes[len(held) :]])


def _distinct(column: pa.ChunkedArray) -> pa.Array:
    return column.unique()


def _split(table: pa.Table, mask: Bools) -> tuple[pa.Table, pa.Table]:
    """The rows where the mask is false, and those where it is true."""
    return _keep(table, ~mask), _keep(table, mask)


def _keep(table: pa.Table, mask: Bools) -> pa.Table:
    """The rows where the mask is true; the table itself, uncopied, where that is all of them."""
    if mask.all():
        return table
    return table.filter(pa.array(mask)) if mask.any() else table.slice(0, 0)


def _actions(sessions: pa.Table) -> int:
    return sum(len(chunk.flatten()) for chunk in sessions["actions"].chunks)


def _repeat(value: int, like: pa.Table) -> pa.Array:
    return pa.array(np.full(like.num_rows, value, dtype=np.int64))
