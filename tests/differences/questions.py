"""Questions about sessions that engines answer differently, as tiny inputs. The gap is 10 s, all times are in ms."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

GAP = 10_000
LATENESS = 60_000
"""How late an event may be where an engine can be told so and the question needs it."""
USER = "ada"
CLOCK = "clock"
"""The user whose events move the watermark, where an engine derives it from events."""


@dataclass(frozen=True)
class Arrival:
    """Events that arrive together, and the watermark after them.

    Attributes:
        times: The times of the events, all of `USER`.
        watermark: What the watermark becomes.
    """

    times: tuple[int, ...]
    watermark: int


@dataclass(frozen=True)
class Question:
    """A question.

    Attributes:
        name: What it is called.
        asked: What is asked.
        arrivals: The input. It ends with the watermark at infinity.
        lateness: How late an event may be, in ms.
    """

    name: str
    asked: str
    arrivals: tuple[Arrival, ...]
    lateness: int = 0


@dataclass(frozen=True)
class Answer:
    """What a run gave.

    Attributes:
        engine: The engine, with its version and what of it was used.
        question: The name of the question.
        seen: The sessions in the order they came out, with start, end and count of events; or the refusal.
    """

    engine: str
    question: str
    seen: tuple[str, ...]

    def line(self) -> str:
        """The answer as a line of JSON."""
        return json.dumps(asdict(self))


QUESTIONS = (
    Question("exact-gap", "an event exactly the gap after the last one", (Arrival((0, 10_000), 10_000),)),
    Question(
        "exact-gap-at-close",
        "the same, when the watermark is 1 ms before the session's end",
        (Arrival((0,), 9_999), Arrival((10_000,), 10_000)),
    ),
    Question(
        "too-late",
        "an event behind the watermark, of no session",
        (Arrival((0,), 100_000), Arrival((50_000,), 100_001)),
    ),
    Question(
        "too-late-beside-open",
        "an event whose own window has passed, in reach of a session that is open",
        (Arrival((100_000,), 105_000), Arrival((92_000,), 105_001)),
    ),
    Question(
        "near-purged",
        "an event in reach of a session that was emitted and purged",
        (Arrival((0,), 12_000), Arrival((9_000,), 13_000)),
    ),
    Question(
        "correction",
        "an event that is late and allowed, in a session that was emitted",
        (Arrival((0,), 12_000), Arrival((5_000,), 13_000)),
        LATENESS,
    ),
    Question("redelivered", "an event that comes twice", (Arrival((0, 0), 0),)),
)


def session(start: int, end: int, events: int) -> str:
    """A session as answers show it."""
    return f"{start}..{end} ({events})"


def short(error: Exception) -> str:
    """The first line of an engine's refusal."""
    return f"refused: {str(error).strip().splitlines()[0][:200]}"
