"""What engines have in common in how they take the settings below `checkpoint` (`common.config.checkpoint`)."""

from __future__ import annotations

from common.config.job import format_duration
from common.errors import AdstreamError
from common.runtime.spec import JobSpec


def only_own_tables(spec: JobSpec) -> None:
    """Refuses a state backend where the suite's tables are all the state there is.

    Raises:
        AdstreamError: The spec asks for one.
    """
    backend = spec.typed_settings().checkpoint.state_backend
    if backend != "suite":
        raise AdstreamError(
            f"checkpoint.state_backend={backend}: engine '{spec.engine}' holds its state in the suite's own tables",
            "leave it out, or run the job on flink",
        )


def saved(spec: JobSpec, when: str) -> tuple[str, ...]:
    """What is said of an interval where checkpoints are taken at other moments.

    Args:
        spec: The run.
        when: When they are taken.
    """
    interval = spec.typed_settings().checkpoint.interval
    if interval is None or spec.mode == "batch":
        return ()
    asked = f"checkpoint.interval={format_duration(interval)}"
    return (f"{asked} has no meaning on engine '{spec.engine}', which saves a checkpoint {when}",)
