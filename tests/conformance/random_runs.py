"""Random runs from a seed, as cases: disorder, late and redelivered events, silent streams, corrections."""

from __future__ import annotations

import random
from typing import get_args

from common.operators.step import BEGINNING
from jobs.engagements.conversions import Attribution
from tests.conformance.case import BETWEEN_STEPS, Case, Step
from tests.conformance.job import Job
from tests.conformance.jobs.engagements import Described
from tests.conformance.jobs.eventification import EVENTIFICATION, Row
from tests.conformance.jobs.sessions import SESSIONS
from tests.conformance.oracle import Event

USERS = ("ada", "böb", "eve", "日本", "u1", "u2", "u3")


def random_case(seed: int, steps: int, events: int, job: Job = SESSIONS) -> Case:
    """A case that the oracle has given its expectations.

    Args:
        seed: The same seed gives the same case.
        steps: How many steps it has.
        events: How many views and clicks a step has on average.
        job: A job over views and clicks, with or without advertisements.
    """
    rng = random.Random(seed)
    settings = {
        "gap": rng.choice([1, 10, 25]),
        "grace": rng.choice([1, 15, 60, 200]),
        "out_of_orderness": rng.choice([0, 0, 20]),
        "idle_after": rng.choice([0, 0, 2]) * BETWEEN_STEPS,
        "buckets": rng.choice([1, 4, 7]),
    }
    described = "advertisements" in job.sources
    if described:
        settings["attribution"] = rng.choice(get_args(Attribution))
    seen: list[Event] = []
    taken = []
    for number in range(steps):
        arriving = _batch(rng, now=number * 12, size=rng.randint(0, 2 * events), seen=seen)
        seen += arriving
        tick = number * 12 if rng.random() < 0.7 else None
        entities = [_described(rng) for _ in range(rng.randint(0, 3))] if described else []
        taken.append(Step((*arriving, *entities), BEGINNING, tick=tick))
    note = f"a random run of {steps} steps from seed {seed} with {settings}"
    return job.expect(Case(f"random-{seed}", job, "random", note, settings, tuple(taken), end=()))


def random_catalogue(seed: int, steps: int, rows: int) -> Case:
    """As `random_case`, for the tables of `eventification`: rows come, change, turn and go.

    Args:
        seed: The same seed gives the same case.
        steps: How many steps it has.
        rows: How many records a step has on average.
    """
    rng = random.Random(seed)
    settings = {"join": rng.choice(["left", "inner"]), "buckets": rng.choice([1, 4, 7])}
    taken = tuple(Step(tuple(_row(rng) for _ in range(rng.randint(0, 2 * rows))), BEGINNING) for _ in range(steps))
    note = f"a random run of {steps} steps from seed {seed} with {settings}"
    return EVENTIFICATION.expect(Case(f"random-{seed}", EVENTIFICATION, "random", note, settings, taken, end=()))


def _row(rng: random.Random) -> Row:
    """A row of one of the tables, each of a few ids and few values, so that much of it meets."""
    table, told = rng.choice([("ad", ("a", "b")), ("ad", ("b", "b")), ("c", ("s",)), ("c", ("t",)), ("k", ("j", "DE"))])
    reference = rng.choice([None, 1, 2, 3]) if table != "k" else None
    gone = rng.random() < 0.2
    return Row(table, rng.randint(1, 4), None if gone else told, None if gone else reference)


def _batch(rng: random.Random, now: int, size: int, seen: list[Event]) -> list[Event]:
    """Events about `now`, some far behind it, some seen before."""
    batch = []
    for _ in range(size):
        if seen and rng.random() < 0.15:
            batch.append(rng.choice(seen[-100:]))
            continue
        behind = rng.choice([rng.randint(-10, 20), rng.randint(0, 60), rng.randint(0, 250)])
        batch.append(Event(rng.choice(USERS), max(0, now - behind), rng.randint(0, 1), rng.randint(1, 3)))
    return batch


def _described(rng: random.Random) -> Described:
    """An advertisement that came, changed, or was deleted."""
    ad = rng.randint(1, 4)
    return Described(ad, None, None) if rng.random() < 0.3 else Described(ad, rng.choice("abc"), "Pets")
