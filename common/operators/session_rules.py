"""Sessions that no person has: too long, or without a pause (SEMANTICS.md, "Anomalies").

The state is that of the sessions. What stood before a step follows from it: the sessions that were emitted
are still held while they can be corrected, so the findings that a correction makes untrue can be worked out again.

Example:
    >>> operator = SessionRules(Sessions(), longest=14_400_000, pause=20_000, actions=50)
    >>> step = operator.step(operator.state_schema.empty_table(), events, Watermarks(BEGINNING, END))
    >>> step.outputs["anomalies"]  # kind, subject, start, end, observed, expected, score, support
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.operators.anomalies import ANOMALIES, anomalies, changes
from common.operators.groups import Ints, among
from common.operators.sessions import SESSIONS, Sessions
from common.operators.step import Step, Watermarks

LENGTH = "session-length"
NO_PAUSE = "no-pause"
SESSION_KEY = ("userId", "start", "end")


@dataclass(frozen=True)
class SessionRules:
    """Sessions, of which only those are told that break a rule.

    Attributes:
        sessions: What makes the sessions.
        longest: How much time may pass from the first to the last action of a session, in ms.
        pause: How long a break has to be, in ms, to be a pause.
        actions: How many actions make a session without a pause an anomaly; at least 2.

    Raises:
        ValueError: `actions` is less than 2.
    """

    sessions: Sessions
    longest: int = field(metadata={"unit": "ms"})
    pause: int = field(metadata={"unit": "ms"})
    actions: int

    state_key: None = None

    def __post_init__(self) -> None:
        if self.actions < 2:
            raise ValueError(f"a session of {self.actions} actions has no breaks: the least is 2")

    @property
    def state_schema(self) -> pa.Schema:
        """That of the sessions."""
        return self.sessions.state_schema

    @property
    def event_schema(self) -> pa.Schema:
        """That of the sessions."""
        return self.sessions.event_schema

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`anomalies` (upserts and tombstones) and `late`."""
        return {"anomalies": ANOMALIES, "late": self.sessions.outputs["late"]}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """Under other rules, other findings would be taken back than were told."""
        rules = {"longest": self.longest, "pause": self.pause, "actions": self.actions}
        return {**self.sessions.fingerprint, **rules, "operator": "session-rules"}

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Advances the sessions, and judges those that changed.

        Args:
            state: The state of the sessions.
            events: The events of the sessions.
            time: The watermark before and after the batch.

        Returns:
            The step of the sessions, with the outputs `anomalies` (`ANOMALIES`, tombstones first) and `late`.
        """
        step = self.sessions.step(state, events, time)
        found = self._changes(state, step.outputs["sessions"])
        retracted = found["score"].null_count
        counters = {"anomalies_upserted": found.num_rows - retracted, "anomalies_retracted": retracted}
        return replace(
            step,
            outputs={"anomalies": found, "late": step.outputs["late"]},
            counters={**step.counters, **counters},
        )

    def _changes(self, state: pa.Table, changed: pa.Table) -> pa.Table:
        """What the sessions that changed make of the findings that stood before."""
        if changed.num_rows == 0:
            return ANOMALIES.empty_table()
        emitted = state.filter(state["emitted"])
        stood = emitted.filter(pa.array(among(emitted, changed, SESSION_KEY))).select(SESSIONS.names)
        return changes(self._judge(stood), self._judge(changed.filter(pc.is_valid(changed["actions"]))))

    def _judge(self, sessions: pa.Table) -> pa.Table:
        """The findings about `SESSIONS`, without tombstones."""
        if sessions.num_rows == 0:
            return ANOMALIES.empty_table()
        span, longest_break, length = _paces(sessions["actions"].combine_chunks())
        too_long = span > self.longest
        no_pause = (length >= self.actions) & (longest_break < self.pause)
        return pa.concat_tables(
            [
                _findings(LENGTH, sessions, too_long, span, self.longest, span / self.longest, length),
                # A break of nothing is rated as one of a millisecond, the least that can be told from it.
                _findings(
                    NO_PAUSE,
                    sessions,
                    no_pause,
                    longest_break,
                    self.pause,
                    self.pause / np.maximum(longest_break, 1),
                    length,
                ),
            ]
        )


def _findings(
    kind: str, sessions: pa.Table, found: np.ndarray, observed: Ints, expected: int, score: np.ndarray, length: Ints
) -> pa.Table:
    """The findings of one kind, where `found` is true."""
    rows = sessions.filter(pa.array(found))
    limit = np.full(rows.num_rows, expected, dtype=np.float64)
    value = (observed[found].astype(np.float64), limit, score[found], length[found])
    return anomalies(kind, rows["userId"], (rows["start"], rows["end"]), *value)


def _paces(actions: pa.ListArray) -> tuple[Ints, Ints, Ints]:
    """The time from the first to the last action, the longest break, and the number of actions of each session."""
    length = actions.value_lengths().to_numpy().astype(np.int64)
    time = actions.flatten().field("eventTime").to_numpy()
    first = np.cumsum(length) - length
    breaks = np.diff(time, prepend=time[:1])
    breaks[first] = 0
    return time[first + length - 1] - time[first], np.maximum.reduceat(breaks, first), length
