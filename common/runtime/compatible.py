"""Whether a job can go on from a checkpoint: what would corrupt the kept state is refused, with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from common.contracts.contract import load
from common.errors import AdstreamError
from common.runtime.checkpoint import Manifest
from common.topology.plan import Plan

BUCKETS = "buckets"


def contract_versions(plan: Plan) -> dict[str, int]:
    """The version of the contract of each stream that a job reads or writes."""
    return {stream: load(stream).version for stream in (*plan.sources, *plan.sinks)}


def check(kept: Manifest, now: Manifest, place: str) -> None:
    """Refuses to go on from a checkpoint that is not of the job as it is now.

    Args:
        kept: The checkpoint.
        now: The checkpoint that the job as it is configured now would begin with.
        place: Where the checkpoint is, for the message.

    Raises:
        AdstreamError: It is of another job; its operators, their parameters or the columns of their state, or the
            number of buckets are others; or a contract is older than it was, or one that can't live beside it.
    """
    where = f"checkpoint '{place}'"
    if kept.job != now.job:
        raise AdstreamError(f"{where} is of the job '{kept.job}', not of '{now.job}'", "name that of its own")
    _check_operators(kept.fingerprint, now.fingerprint, where, now.job)
    _check_parameters(kept.fingerprint, now.fingerprint, where, now.job)
    _check_contracts(kept.contracts, now.contracts, where)


def _check_operators(then: Mapping[str, object], now: Mapping[str, object], where: str, job: str) -> None:
    had, has = _operators(then), _operators(now)
    anew = f"or let the job begin anew (adstream reset {job}), or into a new stream (adstream reprocess {job})"
    for operator in sorted(had - has):
        raise AdstreamError(
            f"{where} holds state of the operator '{operator}', which job '{job}' no longer has",
            f"bring the operator back, {anew}",
        )
    for operator in sorted(has - had):
        raise AdstreamError(
            f"{where} has no state of the operator '{operator}', which job '{job}' has now",
            f"take the operator out again, {anew}",
        )


def _check_parameters(then: Mapping[str, object], now: Mapping[str, object], where: str, job: str) -> None:
    for name, value in now.items():
        if then.get(name) != value:
            other = (
                f"bring the state into {value} buckets (adstream checkpoints export and import)"
                if name == BUCKETS
                else f"reprocess into a new stream (adstream reprocess {job})"
            )
            raise AdstreamError(
                f"{where}: made with {name}={then.get(name)}, but the job has {name}={value}",
                f"set {name} back to {then.get(name)}, {other}, or start with a new --checkpoint folder",
            )


def _check_contracts(then: Mapping[str, int], now: Mapping[str, int], where: str) -> None:
    for stream, version in now.items():
        before = then.get(stream, version)
        if version < before:
            raise AdstreamError(
                f"{where}: made with version {before} of the contract of '{stream}', but this code has version {version}",
                "go on with the newer code, or begin anew",
            )
        if version > before:
            # Rarely needed, and what reads Avro's rules takes long to import.
            check_versions = import_module("common.contracts.compatibility").check_versions
            problems = check_versions([load(stream, before), load(stream, version)])
            if problems:
                raise AdstreamError(f"{where}: made with another contract: {problems[0]}", "see adstream contracts")


def _operators(fingerprint: Mapping[str, object]) -> set[str]:
    return {name.partition(".")[0] for name in fingerprint if "." in name}
