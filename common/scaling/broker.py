"""How long records wait on a broker."""

from __future__ import annotations

from common.runtime.checkpoint import SCHEMAS
from common.runtime.spec import JobSpec
from common.streams.folder import Position
from common.streams.kafka.lag import lags
from common.streams.kafka.source import KafkaSource


def waiting(spec: JobSpec, streams: tuple[str, ...], position: Position) -> int:
    """How long the record has waited that has waited longest among those that a job takes next, in ms.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), or denies it.
    """
    source = KafkaSource.open(spec.input, streams, str(spec.workplace / SCHEMAS))
    taken = dict(position.counts) or source.beginning(source.address.start)
    return max((lag.waiting_ms or 0 for lag in lags(source, taken)), default=0)
