"""Executors that come with the work and go without it: Spark's dynamic allocation, as a job asks for it.

A step's shuffle is of no use behind the step. So an executor may go although it holds shuffles of earlier ones; Spark
would keep it until the driver has collected its garbage.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from common.config.job import parse_duration
from common.errors import AdstreamError
from common.names import pick

OPTIONS = ("executors", "executor-cores", "executor-idle", "shuffle-service")
"""The options of the engine that are told here."""
IDLE = "60s"
BACKLOG = "1s"
"""How long tasks wait for a place before executors are asked for."""
_RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)?")
_YES_OR_NO = ("yes", "no")


@dataclass(frozen=True)
class Allocation:
    """How many executors a job may have.

    Attributes:
        minimum: As many stay when there is nothing to do.
        maximum: There are never more.
        cores: How many tasks an executor steps side by side.
        idle: How long an executor has nothing to do before it goes, in ms.
        shuffle_service: Whether the workers run Spark's external shuffle service, which keeps what executors that are
            gone have shuffled. Without it, Spark tracks who holds what.
    """

    minimum: int
    maximum: int
    cores: int
    idle: int
    shuffle_service: bool

    @classmethod
    def of(cls, options: Mapping[str, str], parallelism: int) -> Allocation | None:
        """What options of the engine ask for; None if they leave the number of executors to the cluster.

        Args:
            options: Those of `OPTIONS` that were given: `executors=1..4`, or `1..` for as many as there are tasks.
            parallelism: How many tasks the job has.

        Raises:
            AdstreamError: A value is none, or an option stands there without `executors`.
        """
        if "executors" not in options:
            if extra := [name for name in OPTIONS if name in options and name != "executor-cores"]:
                raise AdstreamError(f"option {extra[0]}={options[extra[0]]} needs executors", "add executors=1..4")
            return None
        cores = _cores(options.get("executor-cores", "1"))
        found = _RANGE.fullmatch(options["executors"].strip())
        enough = math.ceil(parallelism / cores)
        if found is None or int(found[2] or max(enough, int(found[1]))) < max(1, int(found[1])):
            raise AdstreamError(f"option executors={options['executors']} is no range", "write 1..4, or 1..")
        return cls(
            minimum=int(found[1]),
            maximum=int(found[2]) if found[2] else max(enough, int(found[1])),
            cores=cores,
            idle=_duration("executor-idle", options.get("executor-idle", IDLE)),
            shuffle_service=pick("shuffle-service", options.get("shuffle-service", "no"), _YES_OR_NO) == "yes",
        )

    def properties(self) -> dict[str, str]:
        """As Spark's properties."""
        idle = f"{max(1, self.idle // 1000)}s"
        return {
            "spark.dynamicAllocation.enabled": "true",
            "spark.dynamicAllocation.minExecutors": str(self.minimum),
            "spark.dynamicAllocation.initialExecutors": str(max(1, self.minimum)),
            "spark.dynamicAllocation.maxExecutors": str(self.maximum),
            "spark.dynamicAllocation.executorIdleTimeout": idle,
            "spark.dynamicAllocation.schedulerBacklogTimeout": BACKLOG,
            "spark.executor.cores": str(self.cores),
            **(
                {"spark.shuffle.service.enabled": "true"}
                if self.shuffle_service
                else {
                    "spark.dynamicAllocation.shuffleTracking.enabled": "true",
                    "spark.dynamicAllocation.shuffleTracking.timeout": idle,
                }
            ),
        }


def _cores(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise AdstreamError(f"option executor-cores={text} is no number of cores", "give at least 1")
    return int(text)


def _duration(name: str, text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise AdstreamError(f"option {name}: {error}") from error
