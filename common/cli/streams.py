"""`adstream streams`: topics and schemas of a broker, from the contracts of the streams."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from common.cli.broker import Broker, address_of
from common.cli.console import err, out, show_pairs
from common.cli.options import Config, Set
from common.cli.request import job_settings
from common.config.job import format_duration
from common.config.jobs import topology_of
from common.contracts.contract import Tags, load, streams, versions
from common.contracts.tagging import retag
from common.databases.liberation import LIBERATE
from common.databases.outbox import JOB as OUTBOX
from common.errors import AdstreamError, ExitCode
from common.names import pick
from common.streams.decoded import DEAD_LETTERS
from common.streams.kafka import admin
from common.streams.kafka.permissions import Permission, grant, make_login, permissions, writer_permissions
from common.topology.checks import check as check_topology

Streams = Annotated[str, Parameter(help="Their names; all if absent.", show_default=False)]
Stream = Annotated[str, Parameter(help="The name of a stream, such as ad-views.")]
FieldTags = Annotated[Sequence[str], Parameter(negative="", show_default=False)]

app = App(name="streams", help="The streams of a broker, from their contracts.")


@app.command(name="list")
def list_() -> None:
    """List the streams that have a contract, with who answers for them.

    adstream streams list
    """
    table = Table("stream", "kind", "owner", "namespace", "partitions", "kept", "note", box=None)
    for name in streams():
        meta = load(name).meta
        note = f"deprecated: {meta.deprecated}" if meta.deprecated else ""
        table.add_row(name, meta.kind, meta.owner, meta.namespace, str(meta.partitions), _kept(name), note)
    out.print(table)


@app.command
def create(*names: Streams, broker: Broker = "") -> None:
    """Create topics and register schemas, each as its contract wants it; what is there stays as it is.

    The compatibility level is set before the first schema. Internal streams of jobs are created too.

        adstream streams create
        adstream streams create ad-views ad-clicks --broker 'kafka://127.0.0.1:9092?registry=http://127.0.0.1:8081'
    """
    address = address_of(broker)
    for done in admin.create(address, names):
        topic = "created" if done.topic else "there already"
        out.print(f"{done.stream}: {topic}, {done.schemas} schemas registered")


@app.command
def check(*names: Streams, broker: Broker = "") -> int:
    """Compare topics and schemas with their contracts; exit code 1 when they differ.

    adstream streams check
    """
    problems = admin.differences(address_of(broker), names)
    for problem in problems:
        out.print(problem)
    if not problems:
        out.print("all is as the contracts say")
    return ExitCode.DIFFERENT if problems else ExitCode.OK


@app.command
def describe(stream: Stream, /, *, broker: Broker = "") -> None:
    """Show who answers for a stream, and what is in its partitions.

    adstream streams describe ad-sessions
    """
    contract = load(pick("stream", stream, streams()))
    meta = contract.meta
    rows: dict[str, object] = {"owner": meta.owner, "namespace": meta.namespace, "kind": meta.kind}
    rows |= {"versions": ", ".join(map(str, versions(stream))), "compatibility": meta.compatibility}
    rows |= {"kept": _kept(stream), **_tags(meta.tags), "deprecated": meta.deprecated or "no"}
    show_pairs(stream, rows)
    table = Table("partition", "first", "end", "offsets", box=None)
    for partition in admin.partitions(address_of(broker), stream):
        numbers = partition.number, partition.first, partition.end, partition.end - partition.first
        table.add_row(*(str(number) for number in numbers))
    out.print(table)


@app.command
def tag(stream: Stream, /, *, add: FieldTags = (), remove: FieldTags = ()) -> None:
    """Show which fields of a stream need care, or change that in its contract.

    A tag stands in stream.yaml: 'pii' for personal data, 'financial' for money.

        adstream streams tag ad-sessions
        adstream streams tag ad-sessions --add pii=key.userId --remove financial=value

    Parameters
    ----------
    add
        TAG=FIELD, with the tag pii or financial. Repeatable.
    remove
        TAG=FIELD. Repeatable.
    """
    tags = retag(stream, _by_tag("--add", add), _by_tag("--remove", remove))
    show_pairs(stream, _tags(tags))


@app.command
def acl(
    writer: Annotated[str, Parameter(help="A job, liberate-STREAM, or outbox.")],
    /,
    *,
    publishes: Annotated[
        Sequence[str],
        Parameter(negative="", show_default=False, help="A stream that the outbox is for. Repeatable."),
    ] = (),
    principal: Annotated[
        str, Parameter(help="Whom to grant it to; the job's name if absent.", show_default=False)
    ] = "",
    apply: Annotated[bool, Parameter(negative="", help="Grant it on the broker.")] = False,
    broker: Broker = "",
    config: Config = None,
    assignments: Set = (),
) -> None:
    """Show what a job may do on a broker, derived from its topology, and grant it; also for what frees a database.

    A stream that it writes must have no other writer, but for dead letters and late events.

        adstream streams acl sessions
        adstream streams acl sessions --principal sessions-job --apply --broker 'kafka://…&user=admin'
        adstream streams acl liberate-advertisements
        adstream streams acl outbox --publishes advertisements
    """
    wanted, shared = _may(writer, publishes, config, assignments)
    whom = principal or writer
    table = Table("resource", "name", "operations", "why", title=f"User:{whom}", title_justify="left", box=None)
    for permission in wanted:
        table.add_row(permission.resource, permission.name, ", ".join(permission.operations), permission.why)
    out.print(table)
    if apply:
        grant(address_of(broker), whom, wanted, shared)
        out.print(f"granted to User:{whom}")


@app.command
def login(name: Annotated[str, Parameter(help="The name of the login.")], /, *, broker: Broker = "") -> None:
    """Make a login for a job (SASL/SCRAM), and print its password, which is kept nowhere.

    adstream streams login sessions-job --broker 'kafka://…&user=admin'
    """
    password = make_login(address_of(broker), name)
    err.print(f"the password of '{name}', for ADSTREAM_KAFKA_PASSWORD:")
    print(password)


def _may(
    writer: str, publishes: Sequence[str], config: Path | None, assignments: Sequence[str]
) -> tuple[tuple[Permission, ...], Collection[str]]:
    """What a writer needs on a broker, and which of its outputs others may write too."""
    if writer == OUTBOX:
        if not publishes:
            raise AdstreamError("an outbox may be for any stream", "name those it is for: --publishes STREAM")
        written = dict.fromkeys(pick("stream", name, streams(), "--publishes") for name in publishes)
        return writer_permissions(OUTBOX, dict.fromkeys((*written, DEAD_LETTERS))), (DEAD_LETTERS,)
    if publishes:
        raise AdstreamError(f"--publishes has no meaning for '{writer}'", "leave it out: what it writes is known")
    if writer.startswith(LIBERATE):
        stream = pick("stream", writer.removeprefix(LIBERATE), streams())
        return writer_permissions(writer, (stream, DEAD_LETTERS)), (DEAD_LETTERS,)
    topology = topology_of(writer, job_settings(writer, config, assignments))
    check_topology(topology)
    return permissions(topology), admin.shared_outputs(writer)


def _kept(stream: str) -> str:
    meta = load(stream).meta
    retention = "for ever" if meta.retention is None else format_duration(meta.retention)
    return f"{retention}, last of each key" if meta.compaction else retention


def _tags(tags: Tags) -> dict[str, object]:
    return {tag: ", ".join(paths) or "none" for tag, paths in tags.model_dump().items()}


def _by_tag(option: str, texts: Sequence[str]) -> dict[str, set[str]]:
    tags: dict[str, set[str]] = {}
    for text in texts:
        tag, equals, path = text.partition("=")
        if not equals:
            raise AdstreamError(f"{option} '{text}' is not TAG=FIELD", "write pii=key.userId")
        tags.setdefault(tag, set()).add(path)
    return tags
