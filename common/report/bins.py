"""Moments and durations into few bins, so that a chart of a billion rows is as small as one of ten."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from common.config.job import format_duration

Ints = npt.NDArray[np.int64]

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
PERIODS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 7 * DAY, 30 * DAY)
MOST_PERIODS = 96
WIDTHS = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(SECOND * n for n in (1, 2, 5, 10, 30)),
    *(MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 4, 8)),
    *(DAY * n for n in (1, 7, 30, 365)),
)
MOST_EVEN = 12

DURATIONS = (
    *(SECOND * n for n in (1, 10, 30)),
    *(MINUTE * n for n in (1, 2, 5, 10, 20, 30)),
    *(HOUR * n for n in (1, 2, 4, 8)),
    DAY,
)
"""Where the bins of durations begin, in ms; the first begins at 0, the last has no end."""


def period_of(moments: Ints) -> int:
    """A period (ms) that cuts moments into not much more than `MOST_PERIODS` pieces; the longest for longer times."""
    span = int(moments.max() - moments.min()) if len(moments) else 0
    return next((period for period in PERIODS if span <= period * MOST_PERIODS), PERIODS[-1])


def by_period(moments: Ints, period: int) -> tuple[Ints, Ints]:
    """How many moments are in each period from the first to the last, empty ones included.

    Args:
        moments: Epoch ms.
        period: In ms.

    Returns:
        The starts of the periods, in epoch ms, and the counts.
    """
    if len(moments) == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    places = moments // period
    counts = np.bincount(places - places.min())
    return (places.min() + np.arange(len(counts))) * period, counts


def by_duration(durations: Ints) -> list[tuple[str, int]]:
    """How many durations (ms, not negative) are in each bin of `DURATIONS`, with the bin's name, in order.

    Empty bins before the first and after the last that is not are left out.
    """
    counts = np.bincount(np.searchsorted(DURATIONS, durations, side="right"), minlength=len(DURATIONS) + 1)
    filled = np.flatnonzero(counts)
    if len(filled) == 0:
        return []
    return [(duration_names()[place], int(counts[place])) for place in range(filled[0], filled[-1] + 1)]


def evenly(durations: Ints) -> list[tuple[str, int]]:
    """How many durations (ms, not negative; at least one) are in each of at most `MOST_EVEN` bins of one width.

    The bins begin with the shortest duration; the last one has no end and begins below the longest hundredth at most.
    """
    shortest, longest = int(durations.min()), quantile(durations, 0.99)
    width = next((w for w in WIDTHS if longest // w - shortest // w < MOST_EVEN), WIDTHS[-1])
    first = shortest // width
    last = min(longest // width - first, MOST_EVEN - 1)
    counts = np.bincount(np.minimum(durations // width - first, last), minlength=last + 1)
    starts = [format_duration((first + place) * width) for place in range(last + 2)]
    names = [f"{start} to {end}" for start, end in pairwise(starts)]
    return list(zip([*names[:-1], f"{starts[last]} or more"], counts.tolist(), strict=True))


def duration_names() -> Sequence[str]:
    """The names of the bins of durations, in order."""
    texts = [format_duration(duration) for duration in DURATIONS]
    between = [f"{start} to {end}" for start, end in pairwise(texts)]
    return [f"below {texts[0]}", *between, f"{texts[-1]} or more"]


def quantile(values: Ints, share: float) -> int:
    """The smallest value that a share of all values does not exceed; of at least one value."""
    place = max(0, int(np.ceil(share * len(values))) - 1)
    return int(np.partition(values, place)[place])
