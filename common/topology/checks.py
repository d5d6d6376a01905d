"""What must hold before any engine starts; each check fails with one line.

The checks need no data: a batch function is tried on a table without rows, and what it gives is held
against the schema that comes next. So a contract that no longer fits is found in milliseconds, on the
machine where the job is submitted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import pyarrow as pa

from common.contracts.contract import Contract, load, streams
from common.errors import AdstreamError
from common.names import nearest, pick
from common.tables.layout import Layout
from common.topology.graph import nodes, sinks, sources, tables
from common.topology.nodes import Map, Merge, Output, Process, TableSink, Topology
from common.topology.plan import EVENT_TIME, Plan, Stage, compile_plan

KEY_TYPES = (pa.string(), pa.int64())


def check(topology: Topology) -> Plan:
    """Makes every check that needs no data.

    Returns:
        The topology's plan, fit for any engine.

    Raises:
        AdstreamError: A check failed; its message names the node or stream, and the remedy.
    """
    check_streams(topology)
    check_tables(topology)
    check_ids(topology)
    check_outputs(topology)
    plan = compile_plan(topology)
    for stage in plan.stages:
        check_stage(stage)
    contracts = {stream: load(stream) for stream in (*plan.sources, *plan.sinks)}
    for inlet in plan.inlets:
        check_inlet(inlet.apply, contracts[inlet.stream], plan.stage(inlet.stage))
    check_times(plan, contracts)
    for link in plan.links:
        check_link(link.apply, link.output, plan.stage(link.origin), plan.stage(link.stage))
    for outlet in plan.outlets:
        check_outlet(outlet.apply, outlet.output, plan.stage(outlet.origin), contracts[outlet.stream])
    return plan


def check_streams(topology: Topology) -> None:
    """Every stream has a contract, one writer and no loop; none that is read is deprecated."""
    known, read, written = streams(), sources(topology), sinks(topology)
    for stream in (*read, *written):
        pick("stream", stream, known, f"topology '{topology.name}'")
    for stream in read:
        if stream in written:
            raise AdstreamError(
                f"topology '{topology.name}' both reads and writes the stream '{stream}'",
                "write to a stream of its own: a job that feeds itself never catches up",
            )
        if note := load(stream).meta.deprecated:
            raise AdstreamError(f"topology '{topology.name}' reads the deprecated stream '{stream}'", note)
    for stream, writers in Counter(written).items():
        if writers > 1:
            raise AdstreamError(
                f"topology '{topology.name}' writes the stream '{stream}' from {writers} sinks",
                "merge them before one sink: a stream has a single writer",
            )


def check_tables(topology: Topology) -> None:
    """A job keeps tables or writes streams; a table has one sink, and its partitions a column."""
    kept = Counter(sink.stream for sink in topology.sinks if isinstance(sink, TableSink))
    if not kept:
        return
    if len(kept) < len({sink.stream for sink in topology.sinks}):
        raise AdstreamError(
            f"topology '{topology.name}' both writes streams and keeps tables", "let a job of its own keep the tables"
        )
    for stream, count in (kept + Counter([topology.dead_letters])).items():
        pick("stream", stream, streams(), f"topology '{topology.name}'")
        if count > 1:
            raise AdstreamError(
                f"topology '{topology.name}' keeps the table '{stream}' twice", "merge them before one sink"
            )
    for stream, partition in tables(topology).items():
        Layout(load(stream), partition).check()


def check_ids(topology: Topology) -> None:
    """No two nodes share an id: it names a node in checkpoints, logs and pictures."""
    ids = Counter(node.id for node in nodes(topology) if isinstance(node, Map | Merge | Process))
    for name, count in ids.items():
        if count > 1:
            raise AdstreamError(
                f"topology '{topology.name}': {count} nodes have the id '{name}'", "give each node an id of its own"
            )


def check_outputs(topology: Topology) -> None:
    """Every output that a sink takes exists, and every output that exists is taken."""
    found = nodes(topology)
    for process in (node for node in found if isinstance(node, Process)):
        taken = {node.name for node in found if isinstance(node, Output) and node.process == process}
        for name in taken:
            pick("output", name, process.operator.outputs, f"operator '{process.id}'")
        for name in process.operator.outputs:
            if name not in taken:
                raise _lost(process.id, name)


def _lost(process: str, output: str) -> AdstreamError:
    remedy = f"connect the output '{output}' of operator '{process}' to a sink"
    if output == "late":
        return AdstreamError("incomplete late strategy: no sink takes them, so late events would be lost", remedy)
    return AdstreamError(f"no sink takes the output '{output}' of operator '{process}', its rows would be lost", remedy)


def check_stage(stage: Stage) -> None:
    """Events have the columns that they are shuffled by, kept by, and that the watermark follows."""
    schema, state_key = stage.operator.event_schema, stage.operator.state_key
    wanted: list[tuple[str, str, tuple[pa.DataType, ...]]] = [("key", stage.key, KEY_TYPES)]
    wanted += [("state key", state_key, KEY_TYPES)] if state_key is not None else []
    wanted += [("time", EVENT_TIME, (pa.int64(),))] if stage.timed else []
    for purpose, column, types in wanted:
        where = f"operator '{stage.id}', {purpose} column '{column}'"
        if column not in schema.names:
            raise AdstreamError(f"{where}: its events don't have it", nearest(column, schema.names))
        if schema.field(column).type not in types:
            allowed = " or ".join(str(type_) for type_ in types)
            raise AdstreamError(f"{where}: it is {schema.field(column).type}", f"make it {allowed}")


def check_times(plan: Plan, contracts: Mapping[str, Contract]) -> None:
    """Of the streams that an operator reads by event time, one at least has a time, or its watermark never moves."""
    for stage in plan.stages:
        streams = [inlet.stream for inlet in plan.inlets if inlet.stage == stage.id]
        if stage.timed and streams and not any(contracts[stream].meta.event_time for stream in streams):
            raise AdstreamError(
                f"operator '{stage.id}' goes by event time, but no stream that it reads has one ({', '.join(streams)})",
                "name the field of the time in the stream's contract: event_time in stream.yaml",
            )


def check_inlet(function: Callable[[pa.Table], pa.Table], contract: Contract, stage: Stage) -> None:
    """Records of a source's contract become the operator's events."""
    place = f"'{contract.stream}' (version {contract.version}) to operator '{stage.id}'"
    _check_schema(_tried(function, contract.arrow, place), stage.operator.event_schema, place)


def check_link(function: Callable[[pa.Table], pa.Table], output: str, origin: Stage, stage: Stage) -> None:
    """An operator's rows become the events of the next."""
    place = f"output '{output}' of operator '{origin.id}' to operator '{stage.id}'"
    _check_schema(_tried(function, origin.operator.outputs[output], place), stage.operator.event_schema, place)


def check_outlet(function: Callable[[pa.Table], pa.Table], output: str, origin: Stage, contract: Contract) -> None:
    """The operator's rows become records of a sink's contract."""
    place = f"output '{output}' of operator '{origin.id}' to '{contract.stream}' (version {contract.version})"
    _check_schema(_tried(function, origin.operator.outputs[output], place), contract.arrow, place)


def _tried(function: Callable[[pa.Table], pa.Table], schema: pa.Schema, place: str) -> pa.Schema:
    """The schema that a chain of batch functions gives for rows of `schema`."""
    try:
        return function(schema.empty_table()).schema
    except Exception as error:  # a batch function is the job's own code and may raise anything
        reason = " ".join(str(error).split())
        raise AdstreamError(
            f"incompatible contract, {place}: a batch function fails on it ({type(error).__name__}: {reason})",
            "fit the function to the contract",
        ) from error


def _check_schema(given: pa.Schema, wanted: pa.Schema, place: str) -> None:
    if given.equals(wanted):
        return
    raise AdstreamError(f"incompatible contract, {place}: {_difference(given, wanted)}", "fit the functions in between")


def _difference(given: pa.Schema, wanted: pa.Schema) -> str:
    """The first thing in which two schemas differ."""
    for field in wanted:
        if field.name not in given.names:
            return f"field '{field.name}' is missing"
        if not given.field(field.name).equals(field):
            return f"field '{field.name}' is {_shown(given.field(field.name))} instead of {_shown(field)}"
    extra = [name for name in given.names if name not in wanted.names]
    return f"field '{extra[0]}' is not wanted" if extra else f"the order is {given.names} instead of {wanted.names}"


def _shown(field: pa.Field) -> str:
    return f"{field.type}" if field.nullable else f"{field.type} not null"
