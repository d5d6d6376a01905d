"""A job's numbers over HTTP: for Prometheus, and for whoever must know whether it is alive.

    /metrics                 the numbers of `common.runtime.metrics`, under the names of `families`
    /healthz?patience=5m     200 while the job is well, 503 once it has had arrivals for so long without taking a step

It runs in the process that submits the job, on every engine, and reads what the last step left in the checkpoint's
folder. So it needs no word from the engine's own workers, and the names can't differ from engine to engine.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from common.config.job import format_duration, parse_duration
from common.errors import AdstreamError, reason_of
from common.operators.step import BEGINNING, END
from common.runtime.checkpoint import SCHEMAS
from common.runtime.metrics import Metrics
from common.runtime.run import now_ms, shown
from common.runtime.spec import JobSpec
from common.streams.folder import Position
from common.streams.source import Source, open_unplanned

log = logging.getLogger("adstream")

PATIENCE = "5m"
"""How long a job that has arrivals may take for a step, unless the probe says otherwise."""
LABELS = ("job", "engine")


def families(metrics: Metrics, labels: tuple[str, str], now: int) -> Iterator[Metric]:
    """The numbers as Prometheus has them.

    A counter `late` is `adstream_late_total`, a gauge `sessions_open` is `adstream_sessions_open`, whatever operator
    reports them. What is known of every job besides is named here. Times are in seconds.

    Args:
        metrics: The numbers.
        labels: The values of `LABELS`.
        now: The wall clock, in epoch ms.
    """
    known = {
        "watermark_timestamp_seconds": ("the watermark, in epoch seconds", _seconds(metrics.watermark)),
        "watermark_lag_seconds": ("how far the watermark is behind the wall clock", _lag(metrics.watermark, now)),
        "step_seconds": ("how long the last step took, from when it could begin", metrics.step_seconds),
        "step_timestamp_seconds": ("when the last step was complete, in epoch seconds", metrics.completed / 1000),
    }
    counters: dict[str, tuple[str, float]] = {
        "steps": ("steps that are complete", metrics.steps),
        "busy_seconds": ("how long all steps but the first took, each from when it could begin", metrics.busy_seconds),
    } | {
        name: (f"counter '{name}' of the job, since its first step", value) for name, value in metrics.counters.items()
    }
    gauges = known | {name: (f"gauge '{name}' of the job", value) for name, value in metrics.gauges.items()}
    for kind, found in ((CounterMetricFamily, counters), (GaugeMetricFamily, gauges)):
        for name, (what, value) in found.items():
            family = kind(f"adstream_{re.sub('[^a-zA-Z0-9_]', '_', name)}", what, labels=LABELS)
            family.add_metric(labels, value)
            yield family


class Health:
    """Whether a job takes what arrives. A job that has nothing to take is well, however long that lasts.

    Args:
        checkpoint: The folder of the job's checkpoint.
        source: Opens the job's input.
    """

    def __init__(self, checkpoint: Path, source: Callable[[], Source]) -> None:
        self._checkpoint = checkpoint
        self._open = source
        self._waiting: tuple[int, int] | None = None
        self._one = threading.Lock()

    def probe(self, patience: int, now: int) -> tuple[bool, str]:
        """Whether the job is well, and why.

        How long arrivals have waited is counted from the first probe that finds them.

        Args:
            patience: How long they may wait, in ms.
            now: The wall clock, in epoch ms.
        """
        metrics = Metrics.load(self._checkpoint)
        progress = f"{metrics.steps} steps, watermark {shown(metrics.watermark)}"
        with self._one:
            try:
                arrived = self._arrived(metrics.position)
            except (AdstreamError, OSError) as error:
                # Then the job can't take a step either, and starting it anew would not help.
                return True, f"{progress}; the input can't be asked ({error})"
            if not arrived:
                self._waiting = None
                return True, f"{progress}; nothing waits"
            if self._waiting is None or self._waiting[0] != metrics.steps:
                self._waiting = (metrics.steps, now)
            waited = now - self._waiting[1]
        return waited < patience, f"{progress}; the next step has waited for {format_duration(waited)}"

    def _arrived(self, position: Position) -> bool:
        return self._open().next_step(position) is not None


class JobCollector(Collector):
    """Gives Prometheus' registry the numbers of the moment.

    Args:
        spec: The run.
    """

    def __init__(self, spec: JobSpec) -> None:
        self._checkpoint = spec.workplace
        self._labels = (spec.job, spec.engine)

    def collect(self) -> Iterator[Metric]:
        """As `families`."""
        return families(Metrics.load(self._checkpoint), self._labels, now_ms())


@contextmanager
def exported(spec: JobSpec) -> Iterator[str]:
    """Serves a job's numbers while the context lasts; gives where, as a URL.

    Args:
        spec: The run; `metrics` is where it listens, `HOST:PORT`. Port 0 is any that is free.

    Raises:
        AdstreamError: It can't listen there.
    """
    registry = CollectorRegistry()
    registry.register(JobCollector(spec))
    checkpoint = spec.workplace
    health = Health(checkpoint, lambda: open_unplanned(spec.input, spec.plan().sources, checkpoint / SCHEMAS))
    host, _, port = spec.metrics.rpartition(":")
    try:
        server = ThreadingHTTPServer((host, int(port)), _handler(registry, health))
    except (OSError, OverflowError) as error:
        why = reason_of(error)
        raise AdstreamError(f"metrics can't be served at {spec.metrics} ({why})", "choose another port") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://{host}:{server.server_address[1]}"
    log.info("metrics at %s/metrics", url)
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(registry: CollectorRegistry, health: Health) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/metrics":
                encode, kind = choose_encoder(self.headers.get("Accept", ""))
                self._answer(HTTPStatus.OK, encode(registry), kind)
            elif url.path == "/healthz":
                self._healthz(parse_qs(url.query).get("patience", [PATIENCE])[0])
            else:
                self._say(HTTPStatus.NOT_FOUND, "there are /metrics and /healthz")

        def _healthz(self, patience: str) -> None:
            try:
                well, why = health.probe(parse_duration(patience), now_ms())
            except ValueError as error:
                self._say(HTTPStatus.BAD_REQUEST, f"patience: {error}")
            else:
                self._say(HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, why)

        def _say(self, status: HTTPStatus, text: str) -> None:
            self._answer(status, f"{text}\n".encode(), "text/plain; charset=utf-8")

        def _answer(self, status: HTTPStatus, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
            """Says nothing: the log is the job's."""

    return Handler


def _seconds(watermark: int) -> float:
    """A watermark in epoch seconds; not a number at the beginning, infinity at the end."""
    return {BEGINNING: float("nan"), END: float("inf")}.get(watermark, watermark / 1000)


def _lag(watermark: int, now: int) -> float:
    """How far behind the wall clock, in seconds; not a number at the beginning, nothing at the end."""
    return {BEGINNING: float("nan"), END: 0.0}.get(watermark, (now - watermark) / 1000)
