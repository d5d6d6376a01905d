"""What is done to a job and when, drawn from a seed: the same seed gives the same schedule."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

RESCALES = {2: (4, 5, 1), 4: (2,), 5: (3,), 3: (2,), 1: (2,)}
"""At which parallelisms a job may go on, by the one that it ran at."""
LONGEST_DELAY = 0.2


@dataclass(frozen=True)
class Strike:
    """One fault.

    Attributes:
        fault: Its name.
        step: It strikes once so many steps are complete,
        delay: and so many seconds have passed since.
        parallelism: At which the job is started from then on.
        seed: What the fault itself draws from, such as which of several processes dies.
    """

    fault: str
    step: int
    delay: float
    parallelism: int
    seed: int


@dataclass(frozen=True)
class Schedule:
    """The life of one job.

    Attributes:
        seed: What it was drawn from.
        parallelism: At which the job is started first.
        strikes: What befalls it, in order.
    """

    seed: int
    parallelism: int
    strikes: tuple[Strike, ...]

    @classmethod
    def draw(cls, seed: int, faults: Sequence[str], steps: int, strikes: int) -> Schedule:
        """The schedule of a seed.

        Args:
            seed: The seed. Those of neighbouring seeds are dealt from one deck, so that every fault comes before one
                comes twice.
            faults: What may befall the job.
            steps: How many steps the job takes in all.
            strikes: How many faults befall it.
        """
        rng = random.Random(seed)
        drawn, parallelism = [], 2
        for number in range(strikes):
            parallelism = rng.choice(RESCALES[parallelism])
            earliest, latest = steps * number // (strikes + 1) + 1, steps * (number + 1) // (strikes + 1)
            drawn.append(
                Strike(
                    fault=_dealt(faults, seed * strikes + number),
                    step=rng.randint(earliest, max(earliest, latest)),
                    delay=round(rng.uniform(0, LONGEST_DELAY), 3),
                    parallelism=parallelism,
                    seed=rng.getrandbits(32),
                )
            )
        return cls(seed, 2, tuple(drawn))


def _dealt(faults: Sequence[str], place: int) -> str:
    """The card at a place of decks that lie one on another, each shuffled in its own way."""
    deck, card = divmod(place, len(faults))
    return random.Random(deck).sample(faults, len(faults))[card]
