"""The page of a report: one file, with the charts' library in it, that needs no network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import altair as alt
import vl_convert
from jinja2 import Environment, StrictUndefined

from common.config.described import described
from common.config.jobs import settings_type
from common.report.charts import specification
from common.report.output import RunOutput
from common.report.panels import Panel, Panels, moment

TEMPLATES = files("common.report")
EMBED = """
for (const figure of document.querySelectorAll("figure[data-chart]")) {
  const spec = JSON.parse(document.getElementById(figure.dataset.chart).textContent);
  vegaEmbed(figure, spec, {renderer: "svg", actions: false, tooltip: {theme: "custom"}});
}
"""


@dataclass(frozen=True)
class _Section:
    """Panels under one heading."""

    title: str
    panels: tuple[_Figure, ...]


@dataclass(frozen=True)
class _Figure:
    """A panel as the template takes it; `spec` is empty where there is nothing to draw."""

    id: str
    title: str
    text: str
    spec: str
    wide: bool


def page(output: RunOutput) -> str:
    """The report of a run, as HTML.

    Raises:
        AdstreamError: A file of an output stream can't be read.
    """
    panels = Panels(output)
    sections = (
        _section("What came out", panels.results()),
        _section("What did not fit", panels.misfits()),
        _section("How it ran", panels.course()),
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_text("page.html.jinja"))
    return template.render(
        job=output.spec.job,
        engine=output.spec.engine,
        mode=output.spec.mode,
        ended=moment(output.ended),
        span=_span(panels),
        balanced=output.summary.balanced,
        numbers=numbers(panels),
        sections=sections,
        settings=settings(output),
        run=_run(output),
        style=_text("page.css"),
        script=_script(),
    )


def numbers(panels: Panels) -> dict[str, str]:
    """The numbers at the head of the page, by name."""
    found, metrics = panels.sessions, panels.output.summary.metrics
    shown: dict[str, str] = {}
    if found is not None:
        shown |= {
            "sessions": f"{len(found.start):,}",
            "users": f"{found.users:,}",
            "actions": f"{int(found.actions.sum()):,}",
            "click-through": f"{found.clicked / found.views:.2%}" if found.views else "none",
        }
    if panels.engagements is not None:
        shown["conversions"] = f"{sum(panels.engagements['conversions'].to_pylist()):,}"
    shown |= {
        "records in": f"{metrics.get('records_in', 0):,}",
        "late": f"{metrics.get('late', 0):,}",
        "dead letters": f"{metrics.get('dead_letters', 0):,}",
    }
    return shown


def settings(output: RunOutput) -> list[tuple[str, str, str]]:
    """The run's settings: name, value, and what it means."""
    return described(settings_type(output.spec.job), output.spec.settings)


def _run(output: RunOutput) -> Mapping[str, str]:
    spec, summary = output.spec, output.summary
    rows = {"input": spec.input, "output": spec.sink or spec.output, "format": spec.format}
    rows |= {"steps": f"{summary.steps:,}", "seconds": f"{summary.seconds:.1f}"}
    read = summary.metrics.get("records_in", 0)
    if summary.mode == "batch" and summary.seconds:
        rows["records a second"] = f"{read / summary.seconds:,.0f}"
    return rows | dict(spec.options)


def _span(panels: Panels) -> str:
    found = panels.sessions
    if found is None or len(found.start) == 0:
        return ""
    return f"{moment(int(found.start.min()))} to {moment(int((found.start + found.span).max()))} UTC"


def _section(title: str, panels: Iterable[Panel]) -> _Section:
    name = title.lower().replace(" ", "-")
    return _Section(title, tuple(_shown(f"{name}-{place}", panel) for place, panel in enumerate(panels)))


def _shown(name: str, panel: Panel) -> _Figure:
    spec = "" if panel.chart is None else _in_script(specification(panel.chart, f"{panel.title}. {panel.text}"))
    return _Figure(name, panel.title, panel.text, spec, panel.wide)


def _in_script(spec: Mapping[str, Any]) -> str:
    """JSON that can stand in a script element, whatever text is in it."""
    return json.dumps(spec, separators=(",", ":")).replace("<", "\\u003c")


@cache
def _script() -> str:
    """The charts' library with what starts it; it takes seconds to put together."""
    version = alt.SCHEMA_VERSION.lstrip("v").rpartition(".")[0]
    bundle: str = vl_convert.javascript_bundle(EMBED, vl_version=version)
    return bundle.replace("</script", "<\\/script")


def _text(name: str) -> str:
    return TEMPLATES.joinpath(name).read_text(encoding="utf-8")
