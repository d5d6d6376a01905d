"""A join over a reference as nodes of a topology: three keyed operators and what is between them."""

from __future__ import annotations

from common.operators.foreign_key import References, Responses, Subscriptions
from common.operators.reference import ForeignKey
from common.topology.nodes import KeyBy, Map, Merge, Node, Output, Process


def foreign_key(id_: str, join: ForeignKey, rows: Node, targets: Node) -> Output:
    """Joins rows with the targets that they refer to; the picture stands in `common/operators/foreign_key.py`.

    Args:
        id_: The id of the operator that joins; those of the other nodes begin with it.
        join: Which rows refer to which targets.
        rows: Upserts and tombstones of rows, in `join.row_schema`.
        targets: Upserts and tombstones of targets, in `join.target_schema`.

    Returns:
        The joined rows that changed, with the columns of `join.key`, `left` and `right`.
    """
    referring, answering, joining = References(join), Subscriptions(join), Responses(join)
    references = Process(
        f"{id_}-references", KeyBy(Map(f"{id_}-referring", rows, referring.events), join.key.name), referring
    )
    subscribers = Merge(
        f"{id_}-subscribers",
        (
            Map(f"{id_}-subscribing", references.output("subscriptions"), answering.subscription_events),
            Map(f"{id_}-targets", targets, answering.target_events),
        ),
    )
    subscriptions = Process(f"{id_}-subscriptions", KeyBy(subscribers, join.reference.name), answering)
    sides = Merge(
        f"{id_}-sides",
        (
            Map(f"{id_}-rows", rows, joining.row_events),
            Map(f"{id_}-responding", subscriptions.output("responses"), joining.response_events),
        ),
    )
    return Process(id_, KeyBy(sides, join.key.name), joining).output("joined")
