"""The kit's report: a table of groups by engines, and why something is missing.

`python -m tests.conformance.report` runs the kit and prints it; so does pytest after any run of `test_conformance.py`.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.jobs.every import JOBS


@dataclass(frozen=True)
class Result:
    """How a run of a case went.

    Attributes:
        engine: The engine.
        group: The case's group.
        status: `passed`, `failed`, `notyet`, `never` or `skipped`.
        reason: Why it was not expected to pass, or was not run.
    """

    engine: str
    group: str
    status: str
    reason: str = ""


def lines(results: Iterable[Result]) -> Iterator[str]:
    """The table, a row a group and a column an engine, then the reasons."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    reasons: Counter[tuple[str, str, str]] = Counter()
    for result in results:
        counts[result.group, result.engine][result.status] += 1
        if result.reason:
            reasons[result.engine, result.status, result.reason] += 1
    engines = list(dict.fromkeys(engine for _, engine in counts))
    yield "".join([f"{'group':<24}", *(f"{engine:>20}" for engine in engines)])
    for group in (group for job in JOBS for group in job.groups):
        if any((group, engine) in counts for engine in engines):
            yield "".join([f"{group:<24}", *(f"{_cell(counts[group, engine]):>20}" for engine in engines)])
    for (engine, status, reason), many in reasons.items():
        yield f"{engine}: {many} {status}: {reason}"


def _cell(counts: Counter[str]) -> str:
    """How many passed, if any; and what did not."""
    others = [f"{many} {status}" for status, many in sorted(counts.items()) if status != "passed"]
    passed = [str(counts["passed"])] if counts["passed"] else []
    return ", ".join([*passed, *others]) or "-"


if __name__ == "__main__":
    import pytest

    sys.exit(pytest.main([str(Path(__file__).with_name("test_conformance.py")), *sys.argv[1:]]))
