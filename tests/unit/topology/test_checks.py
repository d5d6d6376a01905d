from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import pytest

from common.config.jobs import jobs, settings_type, topology_of
from common.contracts import contract
from common.errors import AdstreamError, ExitCode
from common.operators.sessions import EVENTS, Sessions
from common.topology import checks
from common.topology.checks import check
from common.topology.nodes import KeyBy, Map, Merge, Node, Process, Sink, Source, Topology
from jobs.sessions.events import CLICK, VIEW, AsAction
from jobs.sessions.records import LateRecords, session_records
from jobs.sessions.settings import Settings
from jobs.sessions.topology import topology as sessions_topology

VIEWS = Map("views", Source("ad-views"), AsAction(VIEW))
CLICKS = Map("clicks", Source("ad-clicks"), AsAction(CLICK))


def process(upstream: Node = VIEWS, key: str = "userId", operator: Sessions | None = None) -> Process:
    return Process("sessions", KeyBy(upstream, key), operator or Sessions())


def topology(grouped: Process, *sinks: Sink, **parts: str) -> Topology:
    return Topology("job", sinks or (sessions_sink(grouped), late_sink(grouped)), **parts)


def sessions_sink(grouped: Process, stream: str = "ad-sessions") -> Sink:
    return Sink(stream, Map("session-records", grouped.output("sessions"), session_records))


def late_sink(grouped: Process, stream: str = "late-events") -> Sink:
    return Sink(stream, Map(f"{grouped.id}-late", grouped.output("late"), LateRecords(0)))


def refused(broken: Topology) -> str:
    with pytest.raises(AdstreamError) as caught:
        check(broken)
    assert caught.value.code is ExitCode.REFUSED
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_jobs_own_topology_passes_and_gives_its_plan() -> None:
    assert check(sessions_topology(Settings())).sources == ("ad-views", "ad-clicks")


def test_an_unknown_source_is_refused_with_the_nearest_stream() -> None:
    broken = topology(process(Map("views", Source("ad-view"), AsAction(VIEW))))
    assert refused(broken) == "topology 'job': unknown stream 'ad-view': did you mean 'ad-views'?"


@pytest.mark.parametrize("stream", ["ad-session", "AD_SESSIONS"])
def test_an_unknown_sink_is_refused_with_the_nearest_stream(stream: str) -> None:
    grouped = process()
    assert refused(topology(grouped, sessions_sink(grouped, stream), late_sink(grouped))).endswith(
        f"unknown stream '{stream}': did you mean 'ad-sessions'?"
    )


def test_an_unknown_dead_letter_stream_is_refused() -> None:
    assert "unknown stream 'dead-leters'" in refused(topology(process(), dead_letters="dead-leters"))


def test_a_stream_that_is_read_and_written_is_refused() -> None:
    assert "both reads and writes the stream 'ad-views'" in refused(topology(process(), dead_letters="ad-views"))


def test_two_sinks_on_one_stream_are_refused() -> None:
    grouped = process()
    broken = topology(grouped, sessions_sink(grouped), late_sink(grouped, "ad-sessions"))
    assert "writes the stream 'ad-sessions' from 2 sinks" in refused(broken)


def test_a_sink_on_the_dead_letter_stream_is_a_second_writer() -> None:
    grouped = process()
    broken = topology(grouped, sessions_sink(grouped), late_sink(grouped, "dead-letters"))
    assert "writes the stream 'dead-letters' from 2 sinks" in refused(broken)


def test_a_deprecated_stream_that_is_read_is_refused_with_its_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(stream: str) -> contract.Contract:
        found = contract.load(stream)
        note = "read 'ad-impressions' instead"
        return (
            replace(found, meta=found.meta.model_copy(update={"deprecated": note})) if stream == "ad-views" else found
        )

    monkeypatch.setattr(checks, "load", load)
    said = refused(topology(process()))
    assert said == "topology 'job' reads the deprecated stream 'ad-views': read 'ad-impressions' instead"


def test_two_nodes_of_one_id_are_refused() -> None:
    again = replace(CLICKS, id="views")
    assert refused(topology(process(Merge("actions", (VIEWS, again))))).startswith(
        "topology 'job': 2 nodes have the id 'views'"
    )


def test_one_node_that_is_met_on_two_paths_is_one() -> None:
    assert check(topology(process(Merge("actions", (VIEWS, CLICKS))))).rounds[0][0].id == "sessions"


def test_late_events_without_a_sink_are_refused() -> None:
    grouped = process()
    assert refused(topology(grouped, sessions_sink(grouped))) == (
        "incomplete late strategy: no sink takes them, so late events would be lost: "
        "connect the output 'late' of operator 'sessions' to a sink"
    )


def test_any_other_output_without_a_sink_is_refused() -> None:
    grouped = process()
    assert "no sink takes the output 'sessions' of operator 'sessions'" in refused(
        topology(grouped, late_sink(grouped))
    )


def test_an_output_that_the_operator_does_not_have_is_refused() -> None:
    grouped = process()
    broken = topology(grouped, sessions_sink(grouped), Sink("late-events", grouped.output("layte")))
    assert refused(broken) == "operator 'sessions': unknown output 'layte': did you mean 'late'?"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("userID", "operator 'sessions', key column 'userID': its events don't have it: did you mean 'userId'?"),
        ("action", "operator 'sessions', key column 'action': it is int8: make it string or int64"),
    ],
)
def test_a_key_that_the_events_do_not_have_is_refused(key: str, message: str) -> None:
    assert refused(topology(process(key=key))) == message


def test_a_time_of_another_type_is_refused() -> None:
    in_seconds = Sessions(event_schema=EVENTS.set(1, pa.field("eventTime", pa.float64())))
    said = refused(topology(process(operator=in_seconds)))
    assert said == "operator 'sessions', time column 'eventTime': it is double: make it int64"


def test_a_watermark_that_nothing_moves_is_refused() -> None:
    timeless = Map("ads", Source("ad-engagements"), Gives(EVENTS))
    assert refused(topology(process(timeless))) == (
        "operator 'sessions' goes by event time, but no stream that it reads has one (ad-engagements): "
        "name the field of the time in the stream's contract: event_time in stream.yaml"
    )


def test_a_table_by_a_key_that_the_events_do_not_have_is_refused() -> None:
    broken = replace(Sessions(), state_key="session")
    assert refused(topology(process(operator=broken))).startswith(
        "operator 'sessions', state key column 'session': its events don't have it"
    )


@dataclass(frozen=True)
class Gives:
    """A batch function that gives an empty table of a schema."""

    schema: pa.Schema

    def __call__(self, records: pa.Table) -> pa.Table:
        return self.schema.empty_table()


@pytest.mark.parametrize(
    ("schema", "difference"),
    [
        (pa.schema(list(EVENTS)[:3]), "field 'advertisementId' is missing"),
        (
            EVENTS.set(2, pa.field("action", pa.int16(), nullable=False)),
            "field 'action' is int16 not null instead of int8 not null",
        ),
        (EVENTS.set(0, pa.field("userId", pa.string())), "field 'userId' is string instead of string not null"),
        (EVENTS.append(pa.field("price", pa.int64())), "field 'price' is not wanted"),
        (pa.schema(list(EVENTS)[::-1]), "the order is ['advertisementId', 'action', 'eventTime', 'userId'] instead of"),
    ],
)
def test_an_inlet_that_does_not_give_the_operators_events_is_refused(schema: pa.Schema, difference: str) -> None:
    said = refused(topology(process(Map("views", Source("ad-views"), Gives(schema)))))
    assert said.startswith("incompatible contract, 'ad-views' (version 1) to operator 'sessions': ")
    assert difference in said


def test_an_inlet_that_reads_what_its_contract_lacks_is_refused() -> None:
    said = refused(topology(process(Map("ads", Source("advertisements"), AsAction(VIEW)))))
    assert said.startswith(
        "incompatible contract, 'advertisements' (version 1) to operator 'sessions': a batch function fails on it"
    )


def test_an_outlet_that_does_not_give_its_contracts_records_is_refused() -> None:
    grouped = process()
    broken = topology(grouped, Sink("ad-sessions", grouped.output("sessions")), late_sink(grouped))
    said = refused(broken)
    assert said.startswith(
        "incompatible contract, output 'sessions' of operator 'sessions' to 'ad-sessions' (version 1): field 'key' is missing"
    )


def test_an_output_that_does_not_give_the_next_operators_events_is_refused() -> None:
    first = process()
    second = Process("others", KeyBy(first.output("sessions"), "userId"), Sessions())
    broken = topology(second, sessions_sink(second), late_sink(first), late_sink(second, "ad-engagements"))
    assert refused(broken).startswith(
        "incompatible contract, output 'sessions' of operator 'sessions' to operator 'others': field 'eventTime' is missing"
    )


def test_a_sink_on_a_source_is_refused() -> None:
    grouped = process()
    broken = topology(grouped, sessions_sink(grouped), late_sink(grouped), Sink("ad-engagements", CLICKS))
    assert refused(broken).startswith("the sink 'ad-engagements' hangs on the source 'ad-clicks'")


def test_a_topology_without_an_operator_is_refused() -> None:
    assert refused(Topology("job", ())).startswith("topology 'job' has no keyed operator")


@pytest.mark.parametrize("job", jobs())
def test_every_job_of_the_suite_passes_under_its_defaults(job: str) -> None:
    assert check(topology_of(job, settings_type(job)())).stages
