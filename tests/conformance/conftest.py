"""Gives the engines' answers to the tests, and prints the kit's report."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.conformance.answers import Answers, Exercise
from tests.conformance.report import Result, lines

PROPERTY = "conformance"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in _of_the_kit(items):
        parameters = item.callspec.params
        item.user_properties.append((PROPERTY, (parameters["engine"], parameters["exercise"].case.group)))


@pytest.fixture(scope="session")
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The answers to what is selected in this session."""
    selected: dict[str, list[Exercise]] = defaultdict(list)
    for item in _of_the_kit(request.session.items):
        selected[item.callspec.params["engine"]].append(item.callspec.params["exercise"])
    return Answers(tmp_path_factory.mktemp("conformance"), selected)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    results = [
        Result(*where, *_status(outcome, report))
        for outcome in ("passed", "failed", "error", "xfailed", "skipped")
        for report in terminalreporter.stats.get(outcome, [])
        for name, where in getattr(report, "user_properties", ())
        if name == PROPERTY
    ]
    if results:
        terminalreporter.section("conformance")
        for line in lines(results):
            terminalreporter.write_line(line)


def _of_the_kit(items: list[pytest.Item]) -> list[pytest.Function]:
    """The runs of cases on the suite's engines."""
    return [
        item
        for item in items
        if isinstance(item, pytest.Function)
        and hasattr(item, "callspec")
        and "exercise" in item.callspec.params
        and "engine" in item.callspec.params
    ]


def _status(outcome: str, report: pytest.TestReport) -> tuple[str, str]:
    """A result's status and reason; marks are written as `notyet: reason` or `never: reason`."""
    if outcome == "xfailed":
        status, _, reason = report.wasxfail.removeprefix("reason: ").partition(": ")
        return status, reason
    if outcome == "skipped":
        return "skipped", str(report.longrepr[2]).removeprefix("Skipped: ") if report.longrepr else ""
    return ("passed" if outcome == "passed" else "failed"), ""
