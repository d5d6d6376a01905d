"""Where a job goes on in its input streams: read from its checkpoint, and moved while it does not run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from common.errors import AdstreamError
from common.names import pick
from common.runtime.checkpoint import Manifest
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from common.streams.folder import Position
from common.streams.kafka.source import KafkaSource
from common.streams.source import BROKER, PLANS


@dataclass(frozen=True)
class Offsets:
    """A job's place in streams on a broker.

    Attributes:
        run: The job, as it was run last.
        source: Its input streams.
        manifest: Its checkpoint.
    """

    run: Run
    source: KafkaSource
    manifest: Manifest

    @classmethod
    def open(cls, spec: JobSpec) -> Offsets:
        """Reads a job's checkpoint.

        Raises:
            AdstreamError: It reads a folder, a stream has other partitions than it had, or the broker is not reached
                (`UNAVAILABLE`).
        """
        if not spec.input.startswith(BROKER):
            raise AdstreamError(
                f"job '{spec.job}' reads the folder {spec.input}, which has no offsets",
                f"'adstream checkpoints show {spec.job}' tells its place",
            )
        run = Run.open(spec)
        source, manifest = KafkaSource.open(spec.input, run.plan.sources), run.kept()
        source.check_partitions(manifest.position)
        return cls(run, source, manifest)

    @property
    def taken(self) -> dict[str, int]:
        """The offset that is taken next, by partition; where the job would begin if it never ran."""
        return dict(self.manifest.position.counts) or self.source.beginning(self.source.address.start)

    def advanced(self) -> dict[str, int]:
        """As `taken`, but past what has expired."""
        firsts = self.source.firsts()
        return {name: max(offset, firsts[name]) for name, offset in self.taken.items()}

    def with_set(self, offsets: Mapping[str, int]) -> dict[str, int]:
        """As `taken`, but with the offsets of some partitions given.

        Raises:
            AdstreamError: There is no such partition, or it does not have such an offset.
        """
        firsts, ends = self.source.firsts(), self.source.ends()
        for name, offset in offsets.items():
            pick("partition", name, self.source.partitions)
            if not firsts[name] <= offset <= ends[name]:
                raise AdstreamError(
                    f"partition '{name}' has no offset {offset}", f"choose from {firsts[name]} to {ends[name]}, its end"
                )
        return {**self.taken, **offsets}

    def move(self, offsets: Mapping[str, int]) -> None:
        """Lets the job go on elsewhere. Its state and its watermark stay: what comes again may be late or known.

        Args:
            offsets: The offset that is taken next, of every partition.

        Raises:
            AdstreamError: The sink has a step that the checkpoint lacks.
        """
        if self.run.sink.delivered() >= self.manifest.step:
            raise AdstreamError(
                f"step {self.manifest.step} of job '{self.run.spec.job}' was delivered, but it ended before it was saved",
                "run it once more, with --until-caught-up, then move it",
            )
        self.run.checkpoint.storage.clear(PLANS)
        self.run.checkpoint.save(replace(self.manifest, position=Position(dict(offsets), {})))
