"""The panels of a report: what each shows, in a chart and a sentence, or why it shows nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.config.job import format_duration
from common.operators.step import BEGINNING, END
from common.report import bins, charts, tables
from common.report.charts import Chart
from common.report.flow import picture
from common.report.output import RunOutput
from common.report.sessions import LAST_PLACE, Sessions, sessions

Ints = npt.NDArray[np.int64]

SESSIONS, ENGAGEMENTS, LATE, DEAD = "ad-sessions", "ad-engagements", "late-events", "dead-letters"
MOST_NAMES = 15
MOST_ACTIONS = 20
CONFIDENCE = 1.96
"""Standard deviations of an interval that holds the truth 19 times in 20."""
LIVE = bins.DAY
"""A step whose newest event is older than this replays the past: how far it is behind the clock means nothing."""


@dataclass(frozen=True)
class Panel:
    """One thing that a report shows.

    Attributes:
        title: What it is about.
        text: What the chart says, in numbers; or why there is none.
        chart: The chart.
        wide: Whether it takes the page's whole width.
    """

    title: str
    text: str
    chart: Chart | None = None
    wide: bool = False


@dataclass(frozen=True)
class Panels:
    """The panels of a run; each stream is read once, when a panel asks for it."""

    output: RunOutput

    @cached_property
    def sessions(self) -> Sessions | None:
        """The sessions that stand; None when the run wrote no record of one."""
        return None if self.output.missing(SESSIONS) else sessions([self.output.records(SESSIONS)])

    @cached_property
    def engagements(self) -> pa.Table | None:
        """Each advertisement's conversions and name, the most conversions first; None when nothing was written."""
        if self.output.missing(ENGAGEMENTS):
            return None
        order = [("conversions", "descending"), ("advertisement", "ascending")]
        return tables.engagements(self.output.records(ENGAGEMENTS)).sort_by(order)

    @cached_property
    def names(self) -> Mapping[int, str]:
        """The names of advertisements that have one."""
        if self.engagements is None:
            return {}
        named = self.engagements.filter(self.engagements["name"].is_valid())
        return dict(zip(named["advertisement"].to_pylist(), named["name"].to_pylist(), strict=True))

    def results(self) -> Iterator[Panel]:
        """Sessions, clicks and conversions."""
        found = self.sessions
        if found is None or len(found.start) == 0:
            yield Panel("Sessions", self.output.missing(SESSIONS) or "No session stands.")
        else:
            yield _sessions_over_time(found.start)
            yield _lengths(found.span)
            yield _actions(found.actions)
            yield self._click_through(found)
        yield self._conversions()
        if found is not None and found.views:
            yield _places(found)

    def misfits(self) -> Iterator[Panel]:
        """What came late, what was corrected, and what broke its contract."""
        yield self._late()
        yield self._corrections()
        yield self._dead_letters()

    def course(self) -> Iterator[Panel]:
        """How the run went, and what ran."""
        yield self._watermark()
        yield self._balance()
        flow = picture(self.output.topology)
        text = (
            "Streams and operators; what stands on an arrow is the key whose records meet. "
            f"adstream plan {self.output.spec.job} draws the functions between them, too."
        )
        yield Panel("What flows where", text, charts.flow(flow), wide=True)

    def _click_through(self, found: Sessions) -> Panel:
        shown = found.advertisements.slice(0, MOST_NAMES)
        rows = [
            {"advertisement": self._name(row["advertisement"]), **row_of_rate(row["views"], row["clicked"])}
            for row in shown.to_pylist()
            if row["views"]
        ]
        count, rate = found.advertisements.num_rows, found.clicked / max(found.views, 1)
        text = (
            f"{rate:.2%} of {found.views:,} views were clicked (dashed). {_of_all(len(rows), count, 'advertisements')}, "
            "the most viewed first, each with the range that holds its true rate 19 times in 20."
        )
        return Panel("Click-through by advertisement", text, charts.rates(rows, "advertisement", rate, horizontal=True))

    def _conversions(self) -> Panel:
        title, found = "Conversions by advertisement", self.engagements
        if found is None:
            return Panel(title, self.output.missing(ENGAGEMENTS))
        converted = found.filter(pc.greater(found["conversions"], 0))
        if converted.num_rows == 0:
            return Panel(title, f"None of {found.num_rows:,} advertisements has a conversion.")
        rows = [
            {**row, "advertisement": self._name(row["advertisement"]), "type": row["type"] or "unknown"}
            for row in converted.slice(0, MOST_NAMES).to_pylist()
        ]
        text = (
            f"{pc.sum(converted['conversions']).as_py():,} conversions of {converted.num_rows:,} among "
            f"{found.num_rows:,} advertisements. {_of_all(len(rows), converted.num_rows, 'of them')}, the most first."
        )
        return Panel(title, text, charts.bars(rows, "advertisement", "conversions", details=["type"]))

    def _name(self, advertisement: int) -> str:
        return self.names.get(advertisement, f"advertisement {advertisement}")

    def _late(self) -> Panel:
        title, count = "Late events by lateness", self.output.summary.metrics.get("late", 0)
        missing = self.output.missing(LATE)
        if missing:
            return Panel(title, "No event came too late." if count == 0 and not self.output.spec.sink else missing)
        late = tables.lateness(self.output.records(LATE))["late"].to_numpy()
        if len(late) == 0:
            return Panel(title, "No event came too late.")
        rows = [{"behind the watermark": name, "events": events} for name, events in bins.evenly(late)]
        text = (
            f"{len(late):,} events were {self._grace()} or more behind the watermark; half of them by "
            f"{_shown(bins.quantile(late, 0.5))} or less, 9 in 10 by {_shown(bins.quantile(late, 0.9))} or less."
        )
        return Panel(title, text, charts.histogram(rows, "behind the watermark", "events", charts.SECOND))

    def _grace(self) -> str:
        grace = self.output.spec.settings.get("grace")
        return "the grace" if grace is None else f"the grace of {format_duration(grace)}"

    def _corrections(self) -> Panel:
        title, found = "Corrections", self.sessions
        if found is None:
            return Panel(title, self.output.missing(SESSIONS))
        if len(found.taken_back) == 0:
            return Panel(title, "No late event made an emitted session untrue: no session was taken back.")
        period = bins.period_of(np.concatenate([found.start, found.taken_back]))
        rows = _periods(found.taken_back, period, "sessions taken back")
        text = (
            f"{len(found.taken_back):,} emitted sessions were taken back by a tombstone as a late event made them "
            f"longer or joined two of them, in periods of {format_duration(period)} by their start."
        )
        return Panel(title, text, charts.over_time(rows, "sessions taken back", charts.SECOND))

    def _dead_letters(self) -> Panel:
        title, missing = "Dead letters by reason", self.output.missing(DEAD)
        if missing:
            count = self.output.summary.metrics.get("dead_letters", 0)
            return Panel(title, "Every record kept its contract." if count == 0 else missing)
        found = tables.reasons(self.output.records(DEAD))
        if found.num_rows == 0:
            return Panel(title, "Every record kept its contract.")
        rows = [
            {"reason": f"{row['stream']}: {row['reason']}", "records": row["records"]}
            for row in found.slice(0, MOST_NAMES).to_pylist()
        ]
        text = (
            f"{pc.sum(found['records']).as_py():,} records broke their contract, and were set aside with their bytes."
        )
        return Panel(title, text, charts.bars(rows, "reason", "records", charts.ALARM), wide=True)

    def _watermark(self) -> Panel:
        title = "Watermark lag"
        if self.output.spec.mode == "batch":
            return Panel(title, "A batch is one step: its watermark goes from the beginning to the end.")
        steps = [step for step in self.output.steps if BEGINNING < step.watermark < END]
        if not steps:
            return Panel(title, "No step with a watermark was written down.")
        rows = []
        for step in steps:
            rows.append(_delay(step.step, "behind the newest event", step.newest - step.watermark))
            if step.completed - step.newest < LIVE:
                rows.append(_delay(step.step, "behind the clock", step.completed - step.watermark))
        behind = np.array([step.newest - step.watermark for step in steps])
        text = (
            f"After {len(steps):,} steps the watermark was {_shown(int(behind[-1]))} behind the newest event; "
            f"at most it was {_shown(int(behind.max()))}. "
            f"It stays behind by {_shown(self.output.spec.settings['out_of_orderness'])}, the out_of_orderness, in any case."
        )
        return Panel(title, text, charts.lines(rows, "delay", "seconds"))

    def _balance(self) -> Panel:
        summary = self.output.summary
        rows = [{"records": name.replace("_", " "), "count": summary.metrics.get(name, 0)} for name in summary.balance]
        read = summary.metrics.get("records_in", 0)
        if summary.balanced:
            text = f"Each of the {read:,} records that came in is accounted for."
        else:
            text = f"{read - summary.accounted:,} of {read:,} records that came in are NOT accounted for."
        color = charts.MAIN if summary.balanced else charts.ALARM
        return Panel(
            "Balance of records",
            text,
            charts.bars(rows, "records", "count", color),
            wide=self.output.spec.mode == "batch",
        )


def row_of_rate(views: int, clicked: int) -> dict[str, Any]:
    """The rate of clicked views, and the interval of Wilson in which the true one lies 19 times in 20."""
    rate, square = clicked / views, CONFIDENCE**2
    middle = (rate + square / (2 * views)) / (1 + square / views)
    half = CONFIDENCE / (1 + square / views) * (rate * (1 - rate) / views + square / (4 * views**2)) ** 0.5
    return {
        "rate": rate,
        "low": max(0.0, min(middle - half, rate)),
        "high": min(1.0, max(middle + half, rate)),
        "views": views,
        "clicked": clicked,
    }


def _sessions_over_time(starts: Ints) -> Panel:
    period = bins.period_of(starts)
    rows = _periods(starts, period, "sessions")
    busiest = max(rows, key=lambda row: int(row["sessions"]))
    text = (
        f"{len(starts):,} sessions by their start, in periods of {format_duration(period)}; "
        f"the busiest, from {busiest['period']}, has {busiest['sessions']:,}."
    )
    return Panel("Sessions over time", text, charts.over_time(rows, "sessions"), wide=True)


def _lengths(span: Ints) -> Panel:
    rows = [{"length": name, "sessions": count} for name, count in bins.by_duration(span)]
    half, most = (_shown(bins.quantile(span, share)) for share in (0.5, 0.9))
    text = (
        f"From the first to the last action: up to {half} in half of the sessions, up to {most} in 9 of 10, "
        f"{_shown(int(span.max()))} at most."
    )
    return Panel("Length of sessions", text, charts.histogram(rows, "length", "sessions"))


def _actions(actions: Ints) -> Panel:
    counts = np.bincount(np.minimum(actions, MOST_ACTIONS))[1:]
    rows = [{"actions": _open_ended(place, MOST_ACTIONS), "sessions": int(n)} for place, n in enumerate(counts, 1)]
    text = (
        f"{actions.mean():.1f} actions a session; {np.mean(actions == 1):.0%} of the sessions have one, "
        f"the largest has {actions.max():,}."
    )
    return Panel("Actions of sessions", text, charts.histogram(rows, "actions", "sessions"))


def _places(found: Sessions) -> Panel:
    rows = [
        {"place": _open_ended(row["place"], LAST_PLACE), **row_of_rate(row["views"], row["clicked"])}
        for row in found.places.to_pylist()
        if row["views"]
    ]
    rate = found.clicked / max(found.views, 1)
    text = "By the place of a view among the views of its session: do people click early, or late?"
    return Panel("Click-through by position", text, charts.rates(rows, "place", rate, horizontal=False), wide=True)


def _periods(moments: Ints, period: int, count: str) -> list[dict[str, Any]]:
    return [
        {"from": int(start), "until": int(start) + period, "period": moment(int(start)), count: int(number)}
        for start, number in zip(*bins.by_period(moments, period), strict=True)
    ]


def moment(ms: int) -> str:
    """A moment (epoch ms) for people, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(ms / 1000))


def _delay(step: int, name: str, ms: int) -> dict[str, Any]:
    return {"step": step, "delay": name, "seconds": ms / 1000, "shown": _shown(ms)}


def _open_ended(place: int, last: int) -> str:
    return f"{place}+" if place == last else str(place)


def _of_all(shown: int, count: int, what: str) -> str:
    return f"All {what}" if shown == count else f"{shown:,} of {count:,}"


def _shown(ms: int) -> str:
    """A duration for people: no milliseconds from a second on, no seconds from an hour on."""
    unit = 1 if ms < bins.SECOND else bins.SECOND if ms < bins.HOUR else bins.MINUTE
    return format_duration(max(ms, 0) // unit * unit)
