"""Reads the cases: `cases/<job>/<group>.yaml`, and facts from other test suites, `cases/sessions/<group>.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from common.operators.step import BEGINNING
from tests.conformance.case import Case, Letter, Step
from tests.conformance.job import Job
from tests.conformance.jobs.every import JOBS
from tests.conformance.jobs.sessions import SESSIONS
from tests.conformance.notation import Change
from tests.conformance.oracle import Event

CASES = Path(__file__).parent / "cases"
_CASE_FIELDS = {"id", "note", "source", "settings", "steps", "end", "plays"}
_STEP_FIELDS = {"in", "raw", "tick", "watermark", "out", "late", "dead"}


def load_cases(folder: Path = CASES) -> tuple[Case, ...]:
    """All cases, job by job and group by group.

    Raises:
        ValueError: A case is not well formed, or two have the same id.
    """
    cases = [
        case
        for job in JOBS
        for group in job.groups
        for case in (*_facts(folder / job.name, group), *_cases(folder / job.name, job, group))
    ]
    ids = [case.id for case in cases]
    twice = {name for name in ids if ids.count(name) > 1}
    if twice:
        raise ValueError(f"these ids are used twice: {', '.join(sorted(twice))}")
    return tuple(cases)


def _cases(folder: Path, job: Job, group: str) -> Iterator[Case]:
    path = folder / f"{group}.yaml"
    if path.exists():
        for content in yaml.safe_load(path.read_text(encoding="utf-8")):
            yield _case(job, group, content)


def _case(job: Job, group: str, content: Mapping[str, Any]) -> Case:
    _known(content, _CASE_FIELDS, content.get("id", group))
    return Case(
        id=content["id"],
        job=job,
        group=group,
        note=content["note"],
        settings=content.get("settings", {}),
        steps=tuple(_step(job, step, content["id"]) for step in content["steps"]),
        end=tuple(map(job.parse_change, content["end"])) if "end" in content else None,
        plays=tuple(content.get("plays", ("straight",))),
        source=content.get("source", ""),
    )


def _step(job: Job, content: Mapping[str, Any], where: str) -> Step:
    _known(content, _STEP_FIELDS, where)
    raw = {stream: tuple(map(_raw, lines)) for stream, lines in content.get("raw", {}).items()}
    return Step(
        events=tuple(map(job.parse_event, content.get("in", ()))),
        raw=raw,
        tick=content.get("tick"),
        watermark=_watermark(job, content),
        out=tuple(map(job.parse_change, content.get("out", ()))),
        late=tuple(map(job.parse_event, content.get("late", ()))),
        dead=tuple(_letters(raw, content.get("dead", {}))),
    )


def _watermark(job: Job, content: Mapping[str, Any]) -> int:
    """Each step says what the watermark is then; where nothing has a time, there is nothing to say."""
    given = content["watermark"] if job.timed else content.get("watermark", "beginning")
    return BEGINNING if given == "beginning" else given


def _letters(raw: Mapping[str, tuple[bytes, ...]], dead: Mapping[str, list[str | None]]) -> Iterator[Letter]:
    """A reason for each raw line; None where a line is no record at all."""
    for stream, reasons in dead.items():
        for offset, (line, reason) in enumerate(zip(raw[stream], reasons, strict=True)):
            if reason is not None:
                yield Letter(stream, offset, line, reason)


def _raw(line: str | bytes) -> bytes:
    return line if isinstance(line, bytes) else line.encode()


def _known(content: Mapping[str, Any], fields: set[str], where: str) -> None:
    unknown = content.keys() - fields
    if unknown:
        raise ValueError(f"{where}: unknown fields {', '.join(sorted(unknown))}")


def _facts(folder: Path, group: str) -> Iterator[Case]:
    """The facts of a group as one case a gap: each fact is a user, a step brings each user's next event."""
    path = folder / f"{group}.jsonl"
    if path.exists():
        facts = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for gap, same in groupby(sorted(facts, key=lambda fact: fact["gap_ms"]), key=lambda fact: fact["gap_ms"]):
            yield _case_of_facts(group, gap, list(same))


def _case_of_facts(group: str, gap: int, facts: list[dict[str, Any]]) -> Case:
    """No click ever comes, so nothing closes before the end; events of equal time are of different advertisements."""
    steps = []
    for place in range(max(len(fact["arrivals"]) for fact in facts)):
        arriving = [fact for fact in facts if place < len(fact["arrivals"])]
        steps.append(Step(tuple(Event(fact["id"], fact["arrivals"][place], 0, place) for fact in arriving), BEGINNING))
    return Case(
        id=f"{group}-facts-gap-{gap}",
        job=SESSIONS,
        group=group,
        note="each fact is a user: " + ", ".join(fact["id"] for fact in facts),
        settings={"gap": gap},
        steps=tuple(steps),
        end=tuple(_session(fact, session) for fact in facts for session in fact["sessions"]),
        plays=("straight", "bounded"),
        source="; ".join(sorted({fact["source"] for fact in facts})),
    )


def _session(fact: Mapping[str, Any], session: Mapping[str, int]) -> Change:
    """A session that a fact tells by its bounds and its number of actions."""
    actions = tuple(
        sorted(
            (time, 0, place) for place, time in enumerate(fact["arrivals"]) if session["start"] <= time < session["end"]
        )
    )
    if len(actions) != session["actions"]:
        raise ValueError(f"{fact['id']}: {session} has {len(actions)} of the fact's arrivals")
    return Change(fact["id"], session["start"], session["end"], actions)
