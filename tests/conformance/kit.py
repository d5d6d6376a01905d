"""The verdict: is the outcome what the case says? Every difference stands beside what was right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from common.operators.step import BEGINNING, END
from tests.conformance.case import Case, Letter, Step
from tests.conformance.folder import file_name
from tests.conformance.job import Change, Job
from tests.conformance.outcome import Dead, Late, Outcome

MOST_SHOWN = 40
"""How many lines a message may have."""


class ConformanceError(AssertionError):
    """An engine's answer is not the suite's."""


@dataclass(frozen=True)
class Ending:
    """How the run of a streamed case ends.

    Attributes:
        steps: How many steps it takes.
        watermark: The watermark after the last, in ms.
    """

    steps: int
    watermark: int

    @classmethod
    def of(cls, case: Case) -> Ending:
        """The ending of a run of the case alone."""
        return cls(len(case.steps), case.steps[-1].watermark) if case.end is None else cls(len(case.steps) + 1, END)


def check(case: Case, outcome: Outcome, ending: Ending) -> None:
    """Checks each step of a streamed case: its upserts and tombstones, late events, dead letters, watermark.

    Args:
        case: The case.
        outcome: What came out for it.
        ending: How its run ends, whether or not it had the run for itself.

    Raises:
        ConformanceError: Something differs; the message shows it, and what agrees beside it.
    """
    __tracebackhide__ = True
    end = [] if case.end is None else [Step((), END, out=case.end)]
    steps = [*case.steps, *end]
    faults = [*_run_faults(outcome, ending)]
    before = BEGINNING
    for number, step in enumerate(steps):
        faults += _differences(
            case.job,
            f"step {number}",
            outcome.at(number),
            step.out,
            [Late(event, before) for event in step.late],
            _letters(number, step),
        )
        before = step.watermark
    stray = sorted(number for number in outcome.steps if number >= len(steps))
    faults += [f"step {number}: there is none, but it has output" for number in stray]
    _raise(case, faults)


def check_bounded(case: Case, outcome: Outcome) -> None:
    """Checks that a run over everything at once gives the table that the streamed case ends with.

    Raises:
        ConformanceError: Something differs.
    """
    __tracebackhide__ = True
    letters = [letter for number, step in enumerate(case.steps) for letter in _letters(number, step)]
    faults = [*_run_faults(outcome, Ending(1, END))]
    faults += _differences(case.job, "the whole input", outcome.at(0), case.table(), [], letters)
    _raise(case, faults)


def _run_faults(outcome: Outcome, ending: Ending) -> Iterator[str]:
    """What the run says of itself."""
    if outcome.failure is not None:
        yield f"the run failed: {outcome.failure.error()}"
    elif outcome.summary is None:
        yield "the run left no summary"
    else:
        if outcome.summary.steps != ending.steps:
            yield f"{outcome.summary.steps} steps were taken, not {ending.steps}"
        if outcome.summary.watermark != ending.watermark:
            yield f"the last watermark is {outcome.summary.watermark}, not {ending.watermark}"
        if not outcome.summary.balanced:
            yield f"the balance is wrong: {outcome.summary.accounted} records accounted for, {dict(outcome.summary.metrics)}"


def _differences(
    job: Job,
    where: str,
    actual: tuple[Sequence[Change], Sequence[Late], Sequence[Dead]],
    changes: Sequence[Change],
    late: Sequence[Late],
    letters: Sequence[tuple[str, Letter]],
) -> Iterator[str]:
    """The streams of a step that differ, each with all its records."""
    for stream in job.outputs:
        yield from _difference(
            f"{where}, {stream}",
            *([job.show_change(each) for each in side if each.stream == stream] for side in (changes, actual[0])),
        )
    yield from _difference(
        f"{where}, late-events", *([_show_late(job, each) for each in side] for side in (late, actual[1]))
    )
    reasons = {_place(file, letter): letter.reason for file, letter in letters}
    yield from _difference(
        f"{where}, dead-letters",
        [f"{place}: {reason}" for place, reason in reasons.items()],
        [_show_dead(dead, reasons) for dead in actual[2]],
    )


def _difference(where: str, expected: Iterable[str], actual: Iterable[str]) -> Iterator[str]:
    right, got = Counter(expected), Counter(actual)
    if right == got:
        return
    yield f"{where}:"
    for text in sorted(right | got):
        for sign, many in ((" ", right & got), ("-", right - got), ("+", got - right)):
            yield from [f"  {sign} {text}"] * many[text]


def _letters(number: int, step: Step) -> list[tuple[str, Letter]]:
    """A step's dead letters with the files they are in."""
    return [(file_name(number), letter) for letter in step.dead]


def _place(file: str, letter: Letter | Dead) -> str:
    return f"{letter.stream}/{file}, line {letter.offset}, {letter.raw!r}"


def _show_dead(dead: Dead, reasons: dict[str, str]) -> str:
    """A dead letter, with the reason that is asked for where its own contains it."""
    place = _place(dead.partition, dead)
    wanted = reasons.get(place)
    return f"{place}: {wanted if wanted is not None and wanted in dead.reason else dead.reason}"


def _show_late(job: Job, late: Late) -> str:
    return f"{job.show_event(late.event)} at watermark {late.watermark}"


def _raise(case: Case, faults: list[str]) -> None:
    __tracebackhide__ = True  # the message says all there is to know
    if faults:
        more = [f"… and {len(faults) - MOST_SHOWN} lines more"] if len(faults) > MOST_SHOWN else []
        head = f"{case.id}: {case.note}\n(- is missing, + should not be there)"
        raise ConformanceError("\n".join([head, *faults[:MOST_SHOWN], *more]))
