"""What flows where: one stream of mixed events, split by the rules of the config.

                                          ┌─ a stream a branch, in its own contract
ad-firehose ─ assign ─ by partitionKey ─ route
                                          └─ unrouted
"""

from __future__ import annotations

from common.operators.route import UNROUTED, Assign, Route
from common.topology.nodes import KeyBy, Map, Process, Sink, Source, Topology
from jobs.routing.records import UnroutedRecords
from jobs.routing.rules import compile_rules
from jobs.routing.settings import Settings


def topology(settings: Settings) -> Topology:
    """The topology of `routing` under these settings.

    Raises:
        AdstreamError: A rule is wrong (`jobs.routing.rules.compile_rules`).
    """
    rules = compile_rules(settings)
    assigned = Map("assign", Source(settings.source), Assign(rules))
    route = Process("route", KeyBy(assigned, "partitionKey"), Route(rules))
    branches = (branch.contract.stream for branch in rules.branches)
    return Topology(
        name="routing",
        sinks=(
            *(Sink(stream, route.output(stream)) for stream in branches),
            Sink("unrouted", Map("unrouted-records", route.output(UNROUTED), UnroutedRecords(settings.source))),
        ),
        balance=("routed", "filtered", "unrouted", "dead_letters"),
    )
