"""The output folder of a run, as a report reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from common.contracts.contract import load
from common.errors import AdstreamError, reason_of
from common.operators.buckets import concat
from common.runtime.history import TakenStep, taken_steps
from common.runtime.spec import SPEC, JobSpec
from common.runtime.summary import SUMMARY, Summary
from common.streams.materialise import records
from common.topology.graph import sinks
from common.topology.nodes import Topology


@dataclass(frozen=True)
class RunOutput:
    """What the last run into a folder left.

    Attributes:
        root: The folder.
        spec: What was run.
        summary: What it did.
        steps: What its steps did; none of a run in batch mode.
        ended: When it ended, by the wall clock, in epoch ms.
    """

    root: Path
    spec: JobSpec
    summary: Summary
    steps: tuple[TakenStep, ...]
    ended: int

    @classmethod
    def load(cls, root: Path) -> RunOutput:
        """Reads what is known of a run; its streams are read when they are asked for.

        Raises:
            AdstreamError: The folder holds no run that has ended.
        """
        try:
            spec, summary = JobSpec.load(root / SPEC), Summary.load(root)
            ended = int((root / SUMMARY).stat().st_mtime * 1000)
        except FileNotFoundError:
            raise AdstreamError(
                f"'{root}' is not the output of a run",
                f"make one: adstream run sessions --engine local --input DIR --output {root}",
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise AdstreamError(f"'{root}/_run' can't be read ({reason_of(error)})", "run the job again") from error
        steps = () if spec.mode == "batch" else tuple(taken_steps(spec.workplace))
        return cls(root, spec, summary, steps, ended)

    @property
    def topology(self) -> Topology:
        """The job's topology under the run's settings."""
        return self.spec.topology()

    def missing(self, stream: str) -> str:
        """Why nothing can be shown of a stream, in a sentence; empty when its records are here."""
        if stream not in sinks(self.topology):
            return f"The job {self.spec.job} writes no {stream}."
        if self.spec.sink:
            return f"The records of {stream} went to {self.spec.sink}; this page is made of files."
        return "" if any((self.root / stream).glob("*")) else f"No record of {stream} was written."

    def records(self, stream: str) -> pa.Table:
        """The records of a stream in their order, in its contract's Arrow schema.

        Raises:
            AdstreamError: A file can't be read.
        """
        contract = load(stream)
        return concat(list(records(self.root, stream, contract)), contract.arrow)
