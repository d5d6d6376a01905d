"""A simulated day as a picture: the load, the tasks, and how long records wait."""

from __future__ import annotations

from pathlib import Path

from tests.scaling.simulate import Day

WIDTH, HEIGHT, LEFT, GAP = 1000, 170, 50, 40


def draw(days: dict[str, Day], path: Path) -> None:
    """Writes a picture with two panels a day: tasks over load, and minutes of lag."""
    panels = [panel for name, day in days.items() for panel in _panels(name, day)]
    height = len(panels) * (HEIGHT + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + LEFT + 20}" height="{height}" font-family="sans-serif" font-size="12">'
    ]
    parts.append('<rect width="100%" height="100%" fill="white"/>')
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate({LEFT},{GAP + number * (HEIGHT + GAP)})">{panel}</g>')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>\n"]))


def _panels(name: str, day: Day) -> list[str]:
    load = [moment.load for moment in day.moments]
    tasks = [float(moment.parallelism) for moment in day.moments]
    lag = [moment.lag / 60_000 for moment in day.moments]
    top = max(*load, *tasks)
    first = (
        _frame(f"{name}: load in tasks (grey), tasks (blue)", top)
        + _line(load, top, "#999")
        + _line(tasks, top, "#0057b8")
    )
    most = max(1.0, *lag)
    return [first, _frame(f"{name}: minutes that the next record has waited", most) + _line(lag, most, "#c1272d")]


def _frame(title: str, top: float) -> str:
    hours = "".join(
        f'<text x="{WIDTH * hour / 24:.0f}" y="{HEIGHT + 14}" text-anchor="middle">{hour}</text>'
        for hour in range(0, 25, 3)
    )
    return (
        f'<text x="0" y="-6">{title}</text><rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#ccc"/>'
        f'<text x="-6" y="10" text-anchor="end">{top:.0f}</text><text x="-6" y="{HEIGHT}" text-anchor="end">0</text>{hours}'
    )


def _line(values: list[float], top: float, colour: str) -> str:
    points = " ".join(
        f"{WIDTH * place / len(values):.1f},{HEIGHT * (1 - value / top):.1f}" for place, value in enumerate(values)
    )
    return f'<polyline points="{points}" fill="none" stroke="{colour}"/>'
