"""What a task reports to the driver: one row of frames, whatever it stepped and staged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from common.runtime.run import BucketResult
from common.streams.sink import Part


@dataclass(frozen=True)
class Report:
    """What one task did. Records go from the task to the sink; only this goes to the driver.

    Attributes:
        results: The buckets that the task stepped.
        parts: The output files that it staged.
        latest: The latest event time of each partition in this step, in epoch ms, as far as the task saw it.
    """

    results: tuple[BucketResult, ...]
    parts: tuple[Part, ...]
    latest: Mapping[str, int] = field(default_factory=dict)

    def payload(self) -> bytes:
        """The report as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def load(cls, text: bytes) -> Report:
        """Reads a report that `payload` wrote."""
        content: dict[str, Any] = json.loads(text)
        return cls(
            results=tuple(BucketResult.of(result) for result in content["results"]),
            parts=tuple(Part(**part) for part in content["parts"]),
            latest=content["latest"],
        )


@dataclass(frozen=True)
class Reports:
    """The reports of all tasks of a step."""

    reports: tuple[Report, ...]

    @classmethod
    def load(cls, texts: Iterable[bytes]) -> Reports:
        """Reads the payloads that the driver collected."""
        return cls(tuple(Report.load(text) for text in texts))

    def results(self) -> Iterator[BucketResult]:
        """The buckets that were stepped."""
        return (result for report in self.reports for result in report.results)

    def parts(self) -> Iterator[Part]:
        """The output files that were staged."""
        return (part for report in self.reports for part in report.parts)

    def latest(self) -> dict[str, int]:
        """The latest event time of each partition that had an event in this step."""
        latest: dict[str, int] = {}
        for report in self.reports:
            for partition, moment in report.latest.items():
                latest[partition] = max(moment, latest.get(partition, moment))
        return latest
