"""`adstream checkpoints`: what a job keeps, looked at, verified, and taken elsewhere."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from common.cli.console import out, show_pairs
from common.cli.last import LastCheckpoint, LastOutput, last_spec
from common.cli.options import Config, Job, Set
from common.cli.request import job_settings
from common.config.job import format_duration
from common.engines.launch import only_writer
from common.errors import AdstreamError, ExitCode, UnavailableError
from common.operators.step import BEGINNING
from common.runtime.checkpoint import MANIFEST, Checkpoint, Manifest
from common.runtime.clock import Clock
from common.runtime.compatible import contract_versions
from common.runtime.inspection import flaws, held
from common.runtime.portable import bring_in, export
from common.runtime.run import Run, now_ms, shown
from common.runtime.spec import JobSpec
from common.storage import absolute

Step = Annotated[int | None, Parameter(help="Of which step; the last one if absent.", show_default=False)]

app = App(name="checkpoints", help="What a job keeps: list, show, verify, delete, export and import it.")


@app.command(name="list")
def list_(job: Job, /, *, output: LastOutput, checkpoint: LastCheckpoint = "") -> None:
    """List the complete checkpoints of a job, the last one first.

    adstream checkpoints list sessions --output out
    """
    place = _checkpoint(last_spec(job, output, checkpoint))
    table = Table("step", "age", "watermark", "rows", "files", "bytes", box=None)
    sizes = place.storage.files("state")
    for name, manifest in _known(place):
        files = list(manifest.files())
        rows = sum(stored.live for _, _, stored in manifest.stored())
        table.add_row(
            str(manifest.step),
            _age(place, name),
            shown(manifest.clock.watermark),
            f"{rows:,}",
            f"{len(files):,}",
            f"{sum(sizes.get(file, 0) for file in files):,}",
        )
    out.print(table)


@app.command
def show(job: Job, /, *, output: LastOutput, checkpoint: LastCheckpoint = "", step: Step = None) -> None:
    """Show a checkpoint: its place in the streams, and what each operator holds.

    adstream checkpoints show sessions --output out
    """
    spec = last_spec(job, output, checkpoint)
    place = _checkpoint(spec)
    name, manifest = _of_step(place, step)
    streams = Table("partition", "next", "last", "latest event", box=None)
    for partition in sorted({*manifest.position.counts, *manifest.clock.latest}):
        taken, last = manifest.position.counts.get(partition, 0), manifest.position.last.get(partition, "")
        streams.add_row(partition, f"{taken:,}", last, shown(manifest.clock.latest.get(partition, BEGINNING)))
    operators = Table("operator", "keys", "rows", "bytes", "files", box=None)
    for each in held(place, spec.plan(), manifest):
        keys = "-" if each.keys is None else f"{each.keys:,}"
        operators.add_row(each.operator, keys, f"{each.rows:,}", f"{each.bytes:,}", f"{each.files:,}")
    facts = {"step": manifest.step, "age": _age(place, name), "watermark": shown(manifest.clock.watermark)}
    parameters = {key: value for key, value in manifest.fingerprint.items() if not key.endswith(".state")}
    contracts = {f"contract of {stream}": version for stream, version in manifest.contracts.items()}
    show_pairs(f"checkpoint of '{job}'", {**facts, "where": place.place, **parameters, **contracts})
    out.print(streams, operators, sep="\n\n")


@app.command
def verify(job: Job, /, *, output: LastOutput, checkpoint: LastCheckpoint = "") -> int:
    """Read every file of a job's checkpoints, and name those that are torn; exit code 1 if there are any.

    adstream checkpoints verify sessions --output out
    """
    spec = last_spec(job, output, checkpoint)
    place, hints = _checkpoint(spec), list[str]()
    for name, manifest in _known(place):
        started, found = time.monotonic(), list(flaws(place, manifest))
        for flaw in found:
            out.print(f"step {manifest.step}: {place.place}/{flaw.name}: {flaw.reason}")
        state = f"{len(found)} torn" if found else "whole"
        files, seconds = len(list(manifest.files())), time.monotonic() - started
        out.print(f"step {manifest.step} ({name}): {files:,} files, {state}, {seconds:.1f} s")
        if found and name == MANIFEST:
            hints.append(_way_back(spec, output))
        elif found:
            hints.append(f"adstream checkpoints delete {job} --output {output} --step {manifest.step} drops it")
    for hint in hints:
        out.print(hint)
    return ExitCode.DIFFERENT if hints else ExitCode.OK


@app.command
def delete(job: Job, /, *, output: LastOutput, checkpoint: LastCheckpoint = "", step: Step = None) -> None:
    """Delete a checkpoint of a job that does not run: an older one, or the last, to fall back to the one before.

    adstream checkpoints delete sessions --output out --step 12
    """
    with only_writer(output):
        spec = last_spec(job, output, checkpoint)
        place = _checkpoint(spec)
        last = place.load() if step is not None else None
        if last is not None and step != last.step:
            place.storage.delete([_of_step(place, step)[0]])
            out.print(f"the checkpoint of step {step} is deleted")
            return
        before = _before(spec)
        place.fall_back()
        out.print(f"job '{job}' goes on from step {before.step}")


@app.command(name="export")
def export_(
    job: Job,
    /,
    *,
    output: LastOutput,
    to: Annotated[Path, Parameter(help="A new folder.")],
    checkpoint: LastCheckpoint = "",
    step: Step = None,
) -> None:
    """Write a checkpoint as Parquet tables: offsets, watermarks, and what each operator holds.

    adstream checkpoints export sessions --output out --to exported
    """
    spec = last_spec(job, output, checkpoint)
    place = _checkpoint(spec)
    _, manifest = _of_step(place, step)
    rows = export(place, spec.plan(), manifest, to)
    show_pairs(f"checkpoint of '{job}', exported", {"step": manifest.step, **rows, "where": to})


@app.command(name="import")
def import_(
    job: Job,
    /,
    *,
    source: Annotated[Path, Parameter(name="--from", help="The folder of the tables.")],
    checkpoint: Annotated[str, Parameter(help="The place of the new checkpoint: an empty folder, or s3://…")],
    config: Config = None,
    assignments: Set = (),
) -> None:
    """Make a checkpoint of exported tables, for a run with --checkpoint; also in another number of buckets.

    adstream checkpoints import sessions --from exported --checkpoint kept --set buckets=128
    """
    settings = job_settings(job, config, assignments)
    where = absolute(checkpoint)
    spec = JobSpec(job, "local", "stream", "", "", where, settings=settings.model_dump())
    plan = spec.plan()
    start = Manifest.start(plan, Clock(settings.out_of_orderness), settings.buckets, contract_versions(plan))
    manifest = bring_in(source, Checkpoint(where), plan, start)
    rows = sum(stored.live for _, _, stored in manifest.stored())
    facts = {"step": manifest.step, "buckets": settings.buckets, "rows": rows, "where": where}
    show_pairs(f"checkpoint of '{job}', imported", facts)


def _checkpoint(spec: JobSpec) -> Checkpoint:
    return Checkpoint(spec.checkpoint, spec.typed_settings().checkpoint.retention)


def _before(spec: JobSpec) -> Manifest:
    """The checkpoint that a job can fall back to.

    Raises:
        AdstreamError: There is none, or what the job writes to keeps the steps since, which can't be taken again.
    """
    before = _checkpoint(spec).before()
    if before is None:
        raise AdstreamError(
            f"job '{spec.job}' has no checkpoint before its last one",
            f"retain more of them (checkpoint.retention), or let it begin anew (adstream reset {spec.job})",
        )
    run = Run.open(spec)
    try:
        run.check_sink(before)
    except UnavailableError:
        raise
    except AdstreamError as error:
        raise AdstreamError(
            f"job '{spec.job}' can't go on from step {before.step} ({error.problem})",
            "restore the files of the last checkpoint from a copy, or let the job begin anew "
            f"(adstream reset {spec.job})",
        ) from error
    return before


def _way_back(spec: JobSpec, output: Path) -> str:
    """What can be done where the last checkpoint is torn."""
    try:
        return f"adstream checkpoints delete {spec.job} --output {output} falls back to step {_before(spec).step}"
    except AdstreamError as error:
        return str(error)


def _known(place: Checkpoint) -> list[tuple[str, Manifest]]:
    known = list(place.retained())
    if not known:
        raise AdstreamError(f"checkpoint '{place.place}': there is none yet", "run the job with --mode stream")
    return known


def _of_step(place: Checkpoint, step: int | None) -> tuple[str, Manifest]:
    known = _known(place)
    for name, manifest in known:
        if step in (None, manifest.step):
            return name, manifest
    steps = ", ".join(str(manifest.step) for _, manifest in known)
    raise AdstreamError(f"there is no checkpoint of step {step}", f"there are those of {steps}")


def _age(place: Checkpoint, name: str) -> str:
    ms = now_ms() - place.storage.modified(name)
    return format_duration(max(ms, 0) // 1000 * 1000)
