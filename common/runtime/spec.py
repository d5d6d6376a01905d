"""What the command line hands to an engine's process: one run of one job, as a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from common.config.job import JobSettings
from common.config.jobs import settings_type, topology_of
from common.contracts.contract import OPERATIONS, load
from common.files import staged
from common.storage import is_remote
from common.topology.nodes import Topology
from common.topology.plan import Plan, compile_plan

SPEC = "_run/spec.json"
"""Below the output folder: what was asked of the last run."""
DATABASE = "postgresql://"
"""What begins the address of a database."""

Mode = Literal["batch", "stream"]
Format = Literal["jsonl", "avro", "parquet", "delta"]


@dataclass(frozen=True)
class JobSpec:
    """One run of a job.

    Attributes:
        job: The job's name: a folder of `jobs`.
        engine: The engine's name.
        mode: `batch` reads all there is, in any order, and ends with the watermark at infinity;
            `stream` takes one file of each stream a step.
        input: The folder of the input streams, or the address of their broker.
        output: The folder of the output streams, and of what is known about the run.
        checkpoint: The place of the kept state, a folder or a URL; used in `stream` mode only.
        format: How output streams are written.
        settings: The validated settings of the job, by name.
        until_caught_up: Stop when all files there are were taken; the state stays for the next run.
        drain: When stopping, end with the watermark at infinity: every session is emitted.
        options: Options of the engine itself, such as `master`.
        sink: The address of the broker that output streams are written to, or of the database or the place in an
            object store that tables are written to; empty for the output folder.
        metrics: Where the job's numbers are served while it runs, `HOST:PORT`; empty for nowhere.
        into: Beside the streams that the job writes live, another set of them on the broker, by this name; empty for
            the live ones. Such a run is a job of its own to the broker.
        until: Up to which offset each partition is read; empty for all there is.
    """

    job: str
    engine: str
    mode: Mode
    input: str
    output: str
    checkpoint: str
    format: Format = "jsonl"
    settings: Mapping[str, Any] = field(default_factory=dict)
    until_caught_up: bool = False
    drain: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    sink: str = ""
    metrics: str = ""
    into: str = ""
    until: Mapping[str, int] = field(default_factory=dict)

    @property
    def workplace(self) -> Path:
        """A folder for what belongs to the job but is no state: locks, metrics, schemas, an engine's own files.

        It is the checkpoint's, where that is a folder.
        """
        return Path(self.output, "_checkpoint") if is_remote(self.checkpoint) else Path(self.checkpoint)

    @property
    def in_database(self) -> bool:
        """Whether the sink is a database."""
        return self.sink.startswith(DATABASE)

    @property
    def parallelism(self) -> int:
        """How many tasks run side by side."""
        return int(self.settings.get("parallelism", JobSettings.model_fields["parallelism"].default))

    @property
    def identity(self) -> str:
        """Who the run is to a broker: two runs of one identity fence each other."""
        return f"{self.job}.{self.into}" if self.into else self.job

    def topics(self, plan: Plan) -> dict[str, str]:
        """The topic of each stream that the job writes.

        With `into` that is its name where the job has one stream of answers, and `<into>-<stream>` for all others.
        """
        answers = [stream for stream in plan.sinks if load(stream).meta.namespace != OPERATIONS]
        if not self.into:
            return {stream: stream for stream in plan.sinks}
        return {s: self.into if [s] == answers else f"{self.into}-{s}" for s in plan.sinks}

    def save(self, path: Path) -> None:
        """Writes the spec as JSON: whoever looks at the file meanwhile reads a whole one."""
        with staged(path) as place:
            place.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> JobSpec:
        """Reads a spec that `save` wrote."""
        return cls(**json.loads(Path(path).read_text()))

    def typed_settings(self) -> JobSettings:
        """The settings as the job's own type."""
        return settings_type(self.job)(**self.settings)

    def topology(self) -> Topology:
        """The job's topology under these settings."""
        return topology_of(self.job, self.typed_settings())

    def plan(self) -> Plan:
        """The job's plan under these settings."""
        return compile_plan(self.topology())
