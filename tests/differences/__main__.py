"""`python -m tests.differences` asks the engines' own session windows, and prints what each was seen to answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from common.engines import registry
from common.engines.flink.submit import PYTHON
from common.runtime.spec import JobSpec
from tests.differences.questions import QUESTIONS, Answer

ROOT = Path(__file__).parents[2]
ASKED = ("spark", "flink", "beam")


def answers(engine: str) -> list[Answer]:
    """Asks an engine in a process of its own.

    Raises:
        AdstreamError: The engine is not available.
        RuntimeError: The process failed.
    """
    registry.require(engine)
    log = ROOT / "build" / "differences" / f"{engine}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        done = subprocess.run(
            [str(PYTHON) if engine == "flink" else sys.executable, "-m", f"tests.differences.{engine}"],
            cwd=ROOT,
            env={**os.environ, **_environment(engine, log.parent)},
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"'{engine}' failed with exit code {done.returncode}: see {log}")
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"engine"')]
    return [Answer(content["engine"], content["question"], tuple(content["seen"])) for content in found]


def _environment(engine: str, folder: Path) -> Mapping[str, str]:
    spec = JobSpec("sessions", engine, "stream", "", str(folder), "")
    environment = dict(registry.environment(spec))
    environment.pop("SPARK_HOME", None)  # it is for spark-submit
    return environment


def main() -> None:
    """Prints a table a question."""
    every = [answer for engine in ASKED for answer in answers(engine)]
    console = Console(width=160)
    for question in QUESTIONS:
        arrived = "; then ".join(f"{arrival.times} and watermark {arrival.watermark}" for arrival in question.arrivals)
        table = Table("engine", "sessions in the order they came out", box=None, title=f"{question.asked}: {arrived}")
        for answer in every:
            if answer.question == question.name:
                table.add_row(answer.engine, "  ".join(answer.seen) or "nothing")
        console.print(table)


if __name__ == "__main__":
    main()
