"""Random runs from a seed, as cases: disorder, late and redelivered events, silent streams, corrections."""

from __future__ import annotations

import random

from common.operators.step import BEGINNING
from tests.conformance.case import BETWEEN_STEPS, Case, Step
from tests.conformance.expected import expect
from tests.conformance.oracle import Event

USERS = ("ada", "böb", "eve", "日本", "u1", "u2", "u3")


def random_case(seed: int, steps: int, events: int) -> Case:
    """A case that the oracle has given its expectations.

    Args:
        seed: The same seed gives the same case.
        steps: How many steps it has.
        events: How many events a step has on average.
    """
    rng = random.Random(seed)
    settings = {
        "gap": rng.choice([1, 10, 25]),
        "grace": rng.choice([1, 15, 60, 200]),
        "out_of_orderness": rng.choice([0, 0, 20]),
        "idle_after": rng.choice([0, 0, 2]) * BETWEEN_STEPS,
        "buckets": rng.choice([1, 4, 7]),
    }
    seen: list[Event] = []
    taken = []
    for number in range(steps):
        arriving = _batch(rng, now=number * 12, size=rng.randint(0, 2 * events), seen=seen)
        seen += arriving
        tick = number * 12 if rng.random() < 0.7 else None
        taken.append(Step(tuple(arriving), BEGINNING, tick=tick))
    note = f"a random run of {steps} steps from seed {seed} with {settings}"
    return expect(Case(f"random-{seed}", "random", note, settings, tuple(taken), end=()))


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
