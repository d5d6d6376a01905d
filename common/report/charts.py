"""The charts of a report, in Altair.

Colours are variables of the page's style, so one chart serves light and dark; elsewhere, as in a notebook, those of light hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import altair as alt

from common.report.flow import Picture

Chart: TypeAlias = alt.Chart | alt.LayerChart
Rows: TypeAlias = Sequence[Mapping[str, Any]]

HEIGHT = 220
MOST_CHARACTERS = 60
"""As many fit side by side below a chart of half the page's width."""
ROW = 22
"""The height of a bar that has a name, in px."""
INK, MUTED, GRID = "var(--ink, #1b2330)", "var(--muted, #667085)", "var(--grid, #e4e7ec)"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif'
"""The fonts by name, as a browser can't measure text in a font that is a variable."""
MAIN, SECOND = "var(--main, #3563e9)", "var(--second, #e07b22)"
ALARM, SURFACE = "var(--alarm, #d1344b)", "var(--surface, #ffffff)"
KINDS = ("read", "operator", "written")
HALF_BOX, HALF_BOX_HEIGHT = 0.3, 0.24
DURATION = re.compile(r"\w+ (\d+(d|h|m|s|ms))+")
"""A parameter that is so telling that it stands below its operator."""
LEAD = 0.05
"""How far a link goes straight out of a box and into one, in layers."""


def specification(chart: Chart, description: str) -> dict[str, Any]:
    """A chart as Vega-Lite, as wide as its place on the page.

    Args:
        chart: One of those below.
        description: What it shows, for those who can't see it.
    """
    styled = (
        chart.properties(width="container", description=description, background="transparent")
        .configure(font=FONT, padding=2)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=MUTED, titleColor=MUTED, gridColor=GRID, domainColor=GRID, tickColor=GRID,
            titleFontWeight="normal", labelFontSize=11, titleFontSize=11, labelLimit=260, titlePadding=8,
        )
        .configure_legend(labelColor=INK, titleColor=MUTED, labelFontSize=11, orient="top", title=None, symbolSize=70)
        .configure_text(color=MUTED, fontSize=11)
    )  # fmt: skip
    made: dict[str, Any] = styled.to_dict()
    return made


def over_time(rows: Rows, count: str, color: str = MAIN) -> Chart:
    """Counts by period.

    Args:
        rows: `from` and `until` (epoch ms), `period` as text, and the count.
        count: The name of the count.
        color: The colour of the bars.
    """
    axis = alt.Axis(grid=False, labelOverlap=True, tickCount=8)
    return (
        _chart(rows)
        .mark_rect(color=color, stroke=SURFACE, strokeWidth=1)
        .encode(
            x=alt.X("from:T", title=None, scale=alt.Scale(type="utc"), axis=axis),
            x2="until:T",
            y=_counts(count),
            y2=alt.datum(0),
            tooltip=[alt.Tooltip("period:N", title="from, UTC"), alt.Tooltip(f"{count}:Q", format=",")],
        )
        .properties(height=HEIGHT)
    )


def histogram(rows: Rows, what: str, count: str, color: str = MAIN) -> Chart:
    """Counts of bins that are in order.

    Args:
        rows: The name of the bin, and the count.
        what: The column with the name.
        count: The column with the count.
        color: The colour of the bars.
    """
    crowded = sum(len(str(row[what])) for row in rows) > MOST_CHARACTERS
    axis = alt.Axis(labelAngle=-35 if crowded else 0, labelOverlap=False)
    return (
        _chart(rows)
        .mark_bar(color=color, cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X(f"{what}:N", sort=None, title=None, axis=axis, scale=alt.Scale(paddingInner=0.12)),
            y=_counts(count),
            tooltip=[alt.Tooltip(f"{what}:N"), alt.Tooltip(f"{count}:Q", format=",")],
        )
        .properties(height=HEIGHT)
    )


def bars(rows: Rows, what: str, count: str, color: str = MAIN, details: Sequence[str] = ()) -> Chart:
    """One bar a name, with the count at its end; of names in order.

    Args:
        rows: The name, the count, and details.
        what: The column with the name.
        count: The column with the count.
        color: The colour of the bars.
        details: Columns that the tooltip tells, too.
    """
    names = alt.Axis(domain=False, ticks=False, labelColor=INK, labelPadding=6, labelLimit=440)
    room = 1.15 * max(1, *(row[count] for row in rows))  # for the count at the end of the longest
    base = _chart(rows).encode(
        y=alt.Y(f"{what}:N", sort=None, title=None, axis=names),
        x=alt.X(f"{count}:Q", title=None, axis=None, scale=alt.Scale(domain=[0, room])),
        tooltip=[alt.Tooltip(f"{what}:N"), alt.Tooltip(f"{count}:Q", format=","), *(f"{name}:N" for name in details)],
    )
    bar = base.mark_bar(color=color, cornerRadiusEnd=2, height={"band": 0.7})
    text = base.mark_text(align="left", dx=5).encode(text=alt.Text(f"{count}:Q", format=","))
    return alt.layer(bar, text).properties(height=ROW * len(rows))


def rates(rows: Rows, what: str, overall: float, *, horizontal: bool) -> Chart:
    """Rates with the interval in which they are believed to lie, beside the rate of all.

    Args:
        rows: The name, `rate`, `low`, `high`, and `views` and `clicked`, which they come from.
        what: The column with the name.
        overall: The rate of all.
        horizontal: Whether names stand at the left; else below.
    """
    names = alt.Axis(
        domain=not horizontal, ticks=False, grid=False, labelColor=INK if horizontal else MUTED, labelAngle=0
    )
    axis, scale = alt.Axis(format=".2~%", tickCount=6, domain=False), alt.Scale(zero=False, padding=12)
    if horizontal:
        name: alt.X | alt.Y = alt.Y(f"{what}:N", sort=None, title=None, axis=names)
        low: alt.X | alt.Y = alt.X("low:Q", title=None, axis=axis, scale=scale)
        high: alt.X2 | alt.Y2 = alt.X2("high:Q")
        rate: alt.X | alt.Y = alt.X("rate:Q")
    else:
        name = alt.X(f"{what}:N", sort=None, title=None, axis=names)
        low = alt.Y("low:Q", title=None, axis=axis, scale=scale)
        high, rate = alt.Y2("high:Q"), alt.Y("rate:Q")
    tooltip = [
        alt.Tooltip(f"{what}:N"),
        alt.Tooltip("rate:Q", format=".2%", title="click-through"),
        alt.Tooltip("views:Q", format=","),
        alt.Tooltip("clicked:Q", format=","),
    ]
    base = _chart(rows).encode(name, tooltip=tooltip)
    interval = base.mark_rule(color=MAIN, opacity=0.4, strokeWidth=5, strokeCap="round").encode(low, high)
    dot = base.mark_point(color=MAIN, filled=True, size=60, opacity=1).encode(rate)
    mean = (
        _chart([{"rate": overall, "of": "all views"}])
        .mark_rule(color=SECOND, strokeDash=[4, 3], strokeWidth=1.5)
        .encode(rate, tooltip=[alt.Tooltip("of:N"), alt.Tooltip("rate:Q", format=".2%")])
    )
    return alt.layer(mean, interval, dot).properties(height=ROW * len(rows) if horizontal else HEIGHT)


def lines(rows: Rows, what: str, seconds: str) -> Chart:
    """Delays by step, a line each.

    Args:
        rows: `step`, the delay's name, its seconds, and `shown`, these for people.
        what: The column with the name.
        seconds: The column with the seconds.
    """
    kinds = list(dict.fromkeys(str(row[what]) for row in rows))
    return (
        _chart(rows)
        .mark_line(point={"filled": True, "size": 18}, strokeWidth=2)
        .encode(
            x=alt.X("step:Q", title="step", axis=alt.Axis(grid=False, tickMinStep=1, format="d")),
            y=alt.Y(f"{seconds}:Q", title="seconds", axis=alt.Axis(tickCount=5, format="~s")),
            color=alt.Color(f"{what}:N", scale=alt.Scale(domain=kinds, range=[MAIN, SECOND][: len(kinds)])),
            tooltip=["step:Q", f"{what}:N", alt.Tooltip("shown:N", title="behind")],
        )
        .properties(height=HEIGHT)
    )


def flow(picture: Picture) -> Chart:
    """The streams and operators of a topology, and what flows between them."""
    heights = [height for _, height in picture.places.values()]
    heights += [height for route in picture.routes.values() for _, height in route]
    layers = max(layer for layer, _ in picture.places.values())
    across = alt.Scale(domain=[-0.4, layers + 0.4], nice=False)
    down = alt.Scale(domain=[max(heights) + 0.5, min(heights) - 0.5], nice=False)

    def at(x: str, y: str) -> tuple[alt.X, alt.Y]:
        return alt.X(f"{x}:Q", axis=None, scale=across), alt.Y(f"{y}:Q", axis=None, scale=down)

    link = _chart(_points(picture)).encode(*at("x", "y"), detail="link:N", order="order:Q")
    end = _chart([_end(route) for route in picture.routes.values()]).encode(*at("x", "y"))
    labels = [_label(link, route) for link, route in picture.routes.items() if link.label]
    label = _chart(labels).encode(*at("x", "y"), text=alt.Text("label:N"))
    boxes = _chart([_box(picture, name) for name in picture.boxes])
    color = alt.Color("kind:N", legend=None, scale=alt.Scale(domain=KINDS, range=[MUTED, MAIN, SECOND]))
    tooltip = [alt.Tooltip("name:N"), alt.Tooltip("kind:N"), alt.Tooltip("notes:N", title="with")]
    chart = alt.layer(
        link.mark_line(interpolate="monotone", color=MUTED, strokeWidth=1.3).transform_filter("!datum.side"),
        link.mark_line(interpolate="monotone", color=MUTED, strokeWidth=1.3, strokeDash=[4, 3]).transform_filter(
            "datum.side"
        ),
        end.mark_point(shape="triangle-right", filled=True, size=45, color=MUTED, opacity=1),
        boxes.mark_rect(cornerRadius=7, fill=SURFACE, strokeWidth=1.6).encode(
            *at("x", "y"), x2="x2:Q", y2="y2:Q", stroke=color, tooltip=tooltip
        ),
        boxes.mark_text(color=INK, fontSize=11, fontWeight=600).encode(*at("middle", "height"), text="name:N"),
        boxes.mark_text(dy=30, fontSize=10).encode(*at("middle", "height"), text="below:N"),
        label.mark_text(dy=-7, fontSize=10, fontStyle="italic", stroke=SURFACE, strokeWidth=4),
        label.mark_text(dy=-7, fontSize=10, fontStyle="italic"),
    )
    return chart.properties(height=int(92 * (max(heights) - min(heights) + 1)))


def _chart(rows: Rows) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))


def _counts(count: str) -> alt.Y:
    return alt.Y(f"{count}:Q", title=None, axis=alt.Axis(tickCount=5, format="~s", tickMinStep=1, domain=False))


def _points(picture: Picture) -> list[dict[str, Any]]:
    """The points of every link, straight where it leaves a box and enters one."""
    points = []
    for number, (link, route) in enumerate(picture.routes.items()):
        (start, first), (end, last) = route[0], route[-1]
        out, into = start + HALF_BOX, end - HALF_BOX
        course = [(out, first), (out + LEAD, first), *route[1:-1], (into - LEAD, last), (into - 0.02, last)]
        points += [
            {"link": number, "order": order, "side": link.side, "x": x, "y": y} for order, (x, y) in enumerate(course)
        ]
    return points


def _end(route: Sequence[tuple[int, float]]) -> dict[str, float]:
    layer, height = route[-1]
    return {"x": layer - HALF_BOX - 0.015, "y": height}


def _label(link: Any, route: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """Where a link's label stands: half-way, or at its first stop."""
    (start, first), (end, last) = route[0], route[1]
    return {"x": (start + end) / 2, "y": (first + last) / 2, "label": link.label}


def _box(picture: Picture, name: str) -> dict[str, Any]:
    box, (layer, height) = picture.boxes[name], picture.places[name]
    return {
        "x": layer - HALF_BOX,
        "x2": layer + HALF_BOX,
        "y": height - HALF_BOX_HEIGHT,
        "y2": height + HALF_BOX_HEIGHT,
        "middle": layer,
        "height": height,
        "name": box.name,
        "kind": box.kind,
        "notes": ", ".join(box.notes),
        "below": " · ".join(note for note in box.notes if DURATION.fullmatch(note)),
    }
