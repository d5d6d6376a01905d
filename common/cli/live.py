"""`adstream generate --to-kafka`: made-up streams that go on on a broker."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import pyarrow as pa

from common.cli.console import err, show_pairs
from common.cli.services import stack
from common.datasets.generate import advertisements
from common.datasets.impressions import ADVERTISEMENTS
from common.datasets.live import as_it_arrives, live_traffic, records
from common.datasets.settings import GeneratorSettings
from common.errors import ExitCode
from common.runtime.run import now_ms
from common.streams.kafka.address import Address, is_address
from common.streams.kafka.producer import produce_batches

TOLD_EVERY_SECONDS = 1.0


def produce(settings: GeneratorSettings, broker: str, rate: float, limit: int) -> int:
    """Sends made-up streams as they happen, a line a second, and what was sent at the end; gives the exit code.

    Args:
        settings: What to make.
        broker: `HOST:PORT`, with the registry of the local services, or a whole address.
        rate: Events a second.
        limit: After how many records it ends; 0 for at ^C, which is then no failure.

    Raises:
        AdstreamError: The broker or the registry is not reached (`UNAVAILABLE`), or denies it.
    """
    address = Address.parse(broker) if is_address(broker) else Address(broker, stack(None).endpoint("registry", "url"))
    ticker = _Ticker()
    # The advertisements are there before anybody looks at one.
    known = produce_batches(address, [{ADVERTISEMENTS: advertisements(settings.advertisements)}], _silent)
    sent = produce_batches(address, _batches(settings, rate, ticker), ticker.told, limit)
    rows = {"events": sent, ADVERTISEMENTS: known, "seconds": f"{ticker.seconds:.1f}"}
    show_pairs("made up", {**rows, "where": f"kafka://{address.bootstrap}"})
    return ExitCode.INTERRUPTED if sent < limit else ExitCode.OK


def _batches(settings: GeneratorSettings, rate: float, ticker: _Ticker) -> Iterator[Mapping[str, pa.Table]]:
    for events in as_it_arrives(live_traffic(settings, rate, now_ms()), now_ms, time.sleep):
        ticker.behind_ms = now_ms() - int(events.arrival[0])
        yield records(events, settings.users)


def _silent(sent: int) -> None:
    """Says nothing."""


class _Ticker:
    """Says once a second how many records were sent, and how far behind their arrival."""

    def __init__(self) -> None:
        self.behind_ms = 0
        self._started = 0.0
        self._last = (0.0, 0)

    @property
    def seconds(self) -> float:
        """How long it has been since the first records were sent."""
        return time.monotonic() - self._started if self._started else 0.0

    def told(self, sent: int) -> None:
        """Takes how many records were sent so far."""
        now = time.monotonic()
        if not self._started:
            self._started, self._last = now, (now, sent)
        then, before = self._last
        if now - then < TOLD_EVERY_SECONDS:
            return
        pace = (sent - before) / (now - then)
        err.print(f"{sent:,} events sent, {pace:,.0f}/s, {self.behind_ms} ms behind")
        self._last = (now, sent)
