"""Traffic that happens now: made a little ahead, and handed out as it arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa

from common.datasets.generate import DAMAGES, by_stream, event_records
from common.datasets.settings import GeneratorSettings
from common.datasets.traffic import Events, Traffic

DAY = 86_400_000
SPAN = 3_650 * DAY
"""How long the traffic goes on, in ms: for ever, as far as anybody will wait."""
WARM_UP = 600_000
"""How long the traffic has gone on when it is first handed out, in ms: about as long as a visit lasts."""
SLICE = 5_000
"""How much of it is made at once, in ms."""
TICK_SECONDS = 0.02


def live_traffic(settings: GeneratorSettings, rate: float, now: int) -> Iterator[Events]:
    """Traffic that was there before now and does not end, slice by slice, in the order of arrival.

    Args:
        settings: Whose it is and what goes wrong with it. How much, since when and for how long is set here, and
            there is no daily cycle.
        rate: Events a second, on average, beside redeliveries and malformed records.
        now: The wall clock, in epoch ms.
    """
    endless = {
        "events": round(rate * SPAN / 1000),
        "start": now - WARM_UP,
        "span": SPAN,
        "files": SPAN // SLICE,
        "swing": 0.0,
    }
    # Not validated: nobody may ask for so many files.
    traffic = Traffic(settings.model_copy(update=endless), DAMAGES["avro"])
    return (events for file in traffic.files() for events in file)


def as_it_arrives(
    traffic: Iterator[Events], clock: Callable[[], int], sleep: Callable[[float], None]
) -> Iterator[Events]:
    """Events when their moment of arrival has come; not those that had arrived before the traffic was made.

    Args:
        traffic: Events in the order of arrival.
        clock: The wall clock, in epoch ms.
        sleep: Waits for so many seconds.
    """
    begun = False
    for events in traffic:
        arrival, done = events.arrival, 0
        if not begun:
            done = int(np.searchsorted(arrival, clock(), side="right"))
            begun = done < len(events)
        while done < len(events):
            due = int(np.searchsorted(arrival, clock(), side="right"))
            if due > done:
                yield events.take(np.arange(done, due))
                done = due
            else:
                sleep(TICK_SECONDS)


def records(events: Events, users: int) -> Mapping[str, pa.Table]:
    """Events as records of their contracts, by stream.

    Args:
        events: The events.
        users: How many people there are: users from there on are bots.
    """
    return {stream: event_records(stream, of_stream, users) for stream, of_stream in by_stream(events)}
