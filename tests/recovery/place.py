"""A venue that is set up."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.recovery.faults import Fault


@dataclass(frozen=True)
class Place:
    """Where a job can run now, and what can be done to it there.

    Attributes:
        faults: The faults, by name.
        options: The engine's options.
    """

    faults: Mapping[str, Fault]
    options: Mapping[str, str] = field(default_factory=dict)


def flink_options(rng: random.Random) -> dict[str, str]:
    """Checkpoints often enough that there are some; where state is kept is the seed's choice."""
    return {
        "execution.checkpointing.interval": "200 ms",
        "execution.checkpointing.min-pause": "50 ms",
        "state.backend.type": rng.choice(["hashmap", "rocksdb"]),
    }
