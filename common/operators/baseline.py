"""A share of a subject's events against its own past: median and MAD of the windows before (SEMANTICS.md, "Anomalies").

The state is a table by subject: the windows that can still be corrected, and as many before them as their baselines
need. A step judges the windows of the subjects that arrived as they were and as they are now, and tells the difference:
a corrected window corrects the findings about all later ones whose baseline it is in.

Example:
    >>> operator = Baseline(rows.windows_schema, "clicks", "views", kind="click-through", grace=0)
    >>> step = operator.step(operator.state_schema.empty_table(), windows, Watermarks(BEGINNING, END))
    >>> step.outputs["anomalies"]  # kind, subject, start, end, observed, expected, score, support
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from common.operators.anomalies import ANOMALIES, anomalies, changes
from common.operators.groups import Bools, Ints, among, codes
from common.operators.order import order_by
from common.operators.step import Step, Watermarks

Floats = npt.NDArray[np.float64]

TO_DEVIATION = 1.4826
"""The standard deviation of a normal distribution, over its MAD."""


@dataclass(frozen=True)
class Baseline:
    """Windows whose share, `part` of `whole`, is far from the median share of the subject's windows before.

    A window is supported when it has at least `support` of `whole`. Only supported ones are judged, and only they are a baseline.

    Attributes:
        event_schema: What `Windows` gives: the subject first, then `start`, `end` and counts.
        part: The count that the share is of.
        whole: The count that it is measured by.
        kind: What its findings are called.
        grace: The grace of the windows, in ms.
        windows: How many supported windows before are the baseline, at most.
        least: How many it takes at least; a window with fewer before it is not judged.
        support: How much of `whole` a window needs.
        limit: From which score on, up or down, a window is an anomaly.
        floor: The least deviation that a score is measured by.

    Raises:
        ValueError: The baseline needs more windows than it has, or none; the support or the floor is not positive.
    """

    event_schema: pa.Schema
    part: str
    whole: str
    kind: str
    grace: int = field(metadata={"unit": "ms"})
    windows: int = 24
    least: int = 8
    support: int = 100
    limit: float = 5.0
    floor: float = 0.02

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.windows:
            raise ValueError(f"a baseline of {self.windows} windows can't need at least {self.least}")
        if self.support < 1 or self.floor <= 0:
            raise ValueError(f"the support {self.support} and the floor {self.floor} must be above 0")

    @property
    def state_schema(self) -> pa.Schema:
        """The windows themselves."""
        return self.event_schema

    @property
    def state_key(self) -> str:
        """The subject."""
        return self.event_schema.names[0]

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """`anomalies` (upserts and tombstones)."""
        return {"anomalies": ANOMALIES}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """Under others, windows that a baseline needs are gone, or other findings would be taken back than were told."""
        return {
            "operator": "baseline",
            "share": f"{self.part}/{self.whole}",
            "grace": self.grace,
            "windows": self.windows,
            "least": self.least,
            "support": self.support,
            "limit": str(self.limit),
            "floor": str(self.floor),
        }

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Takes windows in, and tells which findings that changes.

        Args:
            state: The windows held of the subjects that arrived, in `event_schema`.
            events: Windows that closed or were corrected in this step, each at most once.
            time: The watermark before and after the batch.

        Returns:
            A step with the output `anomalies` (`ANOMALIES`, tombstones first).
        """
        if events.num_rows == 0:
            return Step(state, {"anomalies": ANOMALIES.empty_table()})
        held = state.filter(pa.array(~among(state, events, self.event_schema.names[:3])))
        after = self._sorted(pa.concat_tables([held, events]))
        correctable = time.before - self.grace
        found = changes(self._judge(self._sorted(state), correctable), self._judge(after, correctable))
        retracted = found["score"].null_count
        return Step(
            state=after.filter(pa.array(self._needed(after, time.after - self.grace))),
            outputs={"anomalies": found},
            counters={"anomalies_upserted": found.num_rows - retracted, "anomalies_retracted": retracted},
        )

    def _sorted(self, windows: pa.Table) -> pa.Table:
        return windows.take(pa.array(order_by([codes(windows[self.state_key]), codes(windows["start"])])))

    def _supported(self, windows: pa.Table) -> Bools:
        supported: Bools = windows[self.whole].to_numpy() >= self.support
        return supported

    def _needed(self, windows: pa.Table, horizon: int) -> Bools:
        """Which of sorted windows may be corrected, as they end after the horizon, or are a baseline of such."""
        needed: Bools = windows["end"].to_numpy() > horizon
        before = np.flatnonzero(self._supported(windows) & ~needed)
        subjects = codes(windows[self.state_key])[before]
        newest_first = _places(subjects[::-1])[::-1]
        needed[before[newest_first < self.windows]] = True
        return needed

    def _judge(self, windows: pa.Table, horizon: int) -> pa.Table:
        """The findings about sorted windows that end after the horizon."""
        rows = windows.filter(pa.array(self._supported(windows)))
        place = _places(codes(rows[self.state_key]))
        judged = np.flatnonzero((place >= self.least) & (rows["end"].to_numpy() > horizon))
        shares = rows[self.part].to_numpy() / rows[self.whole].to_numpy()
        past = _before(shares, judged, np.minimum(place[judged], self.windows), self.windows)
        share, median = shares[judged], _median(past)
        deviation = TO_DEVIATION * _median(np.abs(past - median[:, np.newaxis]))
        score = (share - median) / np.maximum(deviation, self.floor)
        found = np.abs(score) >= self.limit
        rows = rows.take(pa.array(judged[found]))
        value = (share[found], median[found], score[found], rows[self.whole].to_numpy())
        return anomalies(self.kind, rows[self.state_key], (rows["start"], rows["end"]), *value)


def _places(subjects: Ints) -> Ints:
    """How many rows before each are of the same subject; those of a subject are side by side."""
    rows = np.arange(len(subjects))
    new = np.append(True, np.diff(subjects) != 0)[: len(rows)]
    places: Ints = rows - np.maximum.accumulate(np.where(new, rows, 0))
    return places


def _before(values: Floats, rows: npt.NDArray[np.intp], counts: Ints, width: int) -> Floats:
    """For each of `rows`, the values of as many rows before it as its count says; NaN up to the width."""
    steps = np.arange(width)
    return np.where(steps < counts[:, np.newaxis], values[np.maximum(rows[:, np.newaxis] - 1 - steps, 0)], np.nan)


def _median(values: Floats) -> Floats:
    """The median of each row, of what is not NaN in it: at least one value."""
    ordered = np.sort(values, axis=1)  # NaN comes last
    count = (~np.isnan(values)).sum(axis=1)[:, np.newaxis]
    lower, upper = (np.take_along_axis(ordered, place, axis=1) for place in ((count - 1) // 2, count // 2))
    median: Floats = ((lower + upper) / 2)[:, 0]
    return median
