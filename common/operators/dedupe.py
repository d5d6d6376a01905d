"""Redelivered events, told by an id: the first is given on, the others are counted (SEMANTICS.md, "Duplicates").

The state holds one row an event that was given on, for as long as one that repeats it could still be accepted.

Example:
    >>> operator = Dedupe(event_schema, ("eventId",), ttl=86_400_000)
    >>> step = operator.step(operator.state_schema.empty_table(), events, Watermarks(BEGINNING, END))
    >>> step.outputs["unique"]  # event_schema
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from common.operators.anchored import anchors
from common.operators.rows import codes_of, keep, late_rows, late_schema, order_of, split
from common.operators.step import Step, Watermarks

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Dedupe:
    """Events of one id less than `ttl` apart are one event.

    Events of one id must meet: they are keyed by it, or by what it belongs to.

    Attributes:
        event_schema: The events; with `eventTime` (`int64`, ms).
        ids: The columns that make the id, without nulls.
        ttl: How long after an event one of the same id is a repetition, and how long before it, in ms.
        grace: How far an event may be behind the watermark and still be taken, in ms.
        limit: How many events a bucket remembers; beyond it the oldest are forgotten too early, and counted.

    Raises:
        ValueError: `ttl` is not positive.
    """

    event_schema: pa.Schema
    ids: tuple[str, ...]
    ttl: int = field(default=86_400_000, metadata={"unit": "ms"})
    grace: int = field(default=1_800_000, metadata={"unit": "ms"})
    limit: int = 1_000_000

    state_key: None = None

    def __post_init__(self) -> None:
        if self.ttl < 1:
            raise ValueError(f"a ttl of {self.ttl} ms makes no two events one: the least is 1 ms")

    @property
    def state_schema(self) -> pa.Schema:
        """The ids, and the `eventTime`, of what was given on."""
        return pa.schema([self.event_schema.field(name) for name in (*self.ids, "eventTime")])

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`unique`, and `late` with the `watermark` (ms) that decided."""
        return {"unique": self.event_schema, "late": late_schema(self.event_schema)}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """What was remembered of other ids, or for another time, does not tell what is a repetition now."""
        return {"operator": "dedupe", "ids": ",".join(self.ids), "ttl": self.ttl, "grace": self.grace}

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Gives on what is new.

        Of the events of a batch that repeat each other, the earliest is given on; of those of one time, the one
        whose content sorts first.

        Args:
            state: `state_schema`, in any order.
            events: `event_schema`, in any order.
            time: The watermark before and after the batch.
        """
        accepted, late = split(events, events["eventTime"].to_numpy() <= time.before - self.grace)
        unique = keep(accepted, self._first(state, accepted))
        remembered = pa.concat_tables([state, unique.select(state.column_names)])
        needed = keep(remembered, remembered["eventTime"].to_numpy() + self.ttl > time.after - self.grace)
        kept = self._newest(needed)
        return Step(
            state=kept,
            outputs={"unique": unique, "late": late_rows(late, time.before)},
            counters={
                "late": late.num_rows,
                "duplicates": accepted.num_rows - unique.num_rows,
                "unique": unique.num_rows,
                "forgotten_early": needed.num_rows - kept.num_rows,
            },
            gauges={"ids_held": kept.num_rows},
        )

    def _first(self, state: pa.Table, accepted: pa.Table) -> Bools:
        """Which of the accepted events repeat neither a remembered one nor each other."""
        first = np.zeros(accepted.num_rows, dtype=np.bool_)
        held = state.num_rows
        every = pa.concat_tables([state, accepted.select(state.column_names)])
        codes, times = codes_of(every, self.ids), every["eventTime"].to_numpy()
        fresh = ~_near(codes[:held], times[:held], codes[held:], times[held:], self.ttl)
        places = np.flatnonzero(fresh)
        code, moment = codes[held:][places], times[held:][places]
        order = order_of([code, moment], accepted.take(pa.array(places)))
        first[places[order[anchors(code[order], moment[order], self.ttl - 1)]]] = True
        return first

    def _newest(self, remembered: pa.Table) -> pa.Table:
        if remembered.num_rows <= self.limit:
            return remembered
        order = order_of([remembered["eventTime"].to_numpy()], remembered)
        return remembered.take(pa.array(order[-self.limit :] if self.limit else order[:0]))


def _near(held_codes: Ints, held_times: Ints, codes: Ints, times: Ints, ttl: int) -> Bools:
    """Which rows have a held one of their code less than `ttl` away."""
    if not len(held_codes):
        return np.zeros(len(codes), dtype=np.bool_)
    moments, rank = np.unique(np.concatenate([held_times, times]), return_inverse=True)
    held = np.sort(held_codes * len(moments) + rank[: len(held_codes)])
    place = np.searchsorted(held, codes * len(moments) + rank[len(held_codes) :], side="right")
    near = np.zeros(len(codes), dtype=np.bool_)
    for neighbour in (place - 1, place):
        exists = (neighbour >= 0) & (neighbour < len(held))
        code, moment = np.divmod(held[np.where(exists, neighbour, 0)], len(moments))
        near |= exists & (code == codes) & (np.abs(moments[moment] - times) < ttl)
    return near
