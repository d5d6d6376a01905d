"""Routing against an oracle that takes one record at a time."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.contract import load
from common.expressions.parse import parse, parse_predicate
from common.operators.buckets import split_by_bucket
from common.operators.route import FILTERED, NO_STATE, REST, Assign, Branch, Route, Rule, Rules
from common.operators.step import BEGINNING, END, Watermarks
from common.streams.columns import timestamps_to_ms

SOURCE = load("ad-firehose")


def rule(where: str, key: str, *value: str) -> Rule:
    found = [parse(text, SOURCE.arrow, "p") for text in (key, *value)]
    return Rule(parse_predicate(where, SOURCE.arrow, "p"), found[0], tuple(found[1:]))


TIME = "value.createdEventTime"
RULES = Rules(
    SOURCE,
    parse_predicate('value.type != "beat"', SOURCE.arrow, "p"),
    (
        Branch(load("routed-clicks"), (rule('value.type == "click"', "value.advertisementId", "value.userId", TIME),)),
        Branch(
            load("routed-interactions"),
            (
                rule('value.type == "hover"', "value.userId", '"Hover"', "value.advertisementId", TIME, "7"),
                rule('value.type in ("hide", "hover")', "key", "value.page", "value.advertisementId", TIME, "None"),
            ),
        ),
    ),
)
ROUTE = Route(RULES)

records = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["c1", "c2"]),
        "value": st.fixed_dictionaries(
            {
                "eventId": st.integers(0, 99).map(str),
                "type": st.sampled_from(["click", "hover", "hide", "beat", "other"]),
                "createdEventTime": st.integers(0, 50),
                "userId": st.sampled_from([None, "", "u", "v"]),
                "advertisementId": st.sampled_from([None, 1, 2]),
                "page": st.sampled_from([None, "Dismiss", "/a"]),
                "seconds": st.none(),
            }
        ),
    }
)
Record = dict[str, Any]


def table_of(found: list[Record]) -> pa.Table:
    return pa.Table.from_pylist(found, schema=SOURCE.arrow)


def expected(record: Record) -> tuple[str, Any, Any]:
    """Where a record goes, and as what: for `unrouted` the branch and the reason."""
    value, key = record["value"], record["key"]
    user, ad, time = value["userId"], value["advertisementId"], value["createdEventTime"]
    if value["type"] == "beat":
        return "filtered", None, None
    if value["type"] == "other":
        return "unrouted", None, "no branch takes it"
    if value["type"] == "click":
        missing = "key is null" if ad is None else "value.userId is null" if user is None else ""
        if missing:
            return "unrouted", "routed-clicks", missing
        return "routed-clicks", ad, (user, time)
    hover = value["type"] == "hover"
    interaction = "Hover" if hover else value["page"]
    new_key = user if hover else key
    problems = {
        "key is null": new_key is None,
        "key is empty": new_key == "",
        "value.interaction is null": interaction is None,
        "value.interaction is '/a', not one of Hover, Dismiss": interaction == "/a",
        "value.advertisementId is null": ad is None,
    }
    for reason, broken in problems.items():
        if broken:
            return "unrouted", "routed-interactions", reason
    return "routed-interactions", new_key, (interaction, ad, time, 7 if hover else None)


def routed(events: pa.Table) -> list[tuple[str, Any, Any]]:
    step = ROUTE.step(ROUTE.state_schema.empty_table(), events, Watermarks(BEGINNING, END))
    found: list[tuple[str, Any, Any]] = [("filtered", None, None)] * step.counters["filtered"]
    for stream in ("routed-clicks", "routed-interactions"):
        assert step.outputs[stream].schema == load(stream).arrow
        for row in step.outputs[stream].to_pylist():
            moment = row["value"]["createdEventTime"]
            value = tuple(round(v.timestamp() * 1_000) if v is moment else v for v in row["value"].values())
            found.append((stream, row["key"], value))
    found += [("unrouted", row["branch"], row["reason"]) for row in step.outputs["unrouted"].to_pylist()]
    assert step.counters["routed"] + step.counters["filtered"] + step.counters["unrouted"] == events.num_rows
    assert step.counters["unrouted"] == step.outputs["unrouted"].num_rows
    return found


@given(st.lists(records, max_size=12))
def test_each_record_goes_where_the_first_rule_says(found: list[Record]) -> None:
    assert Counter(routed(Assign(RULES)(table_of(found)))) == Counter(expected(record) for record in found)


@given(st.lists(records, max_size=12), st.integers(1, 5))
def test_batching_and_parallelism_do_not_matter(found: list[Record], buckets: int) -> None:
    parts = [Assign(RULES)(table_of(found[place : place + 3])) for place in range(0, len(found), 3)]
    shuffled: dict[int, list[pa.Table]] = {}
    for part in parts:
        for bucket, rows in split_by_bucket(part, "partitionKey", buckets).items():
            shuffled.setdefault(bucket, []).append(rows)
    one = [answer for rows in shuffled.values() for answer in routed(pa.concat_tables(rows))]
    assert Counter(one) == Counter(routed(Assign(RULES)(table_of(found))))


@given(st.lists(records, max_size=12))
def test_records_of_one_key_meet_and_keep_their_order(found: list[Record]) -> None:
    """A branch is partitioned by its own key, and the records of several rules are not grouped by rule."""
    assigned = Assign(RULES)(table_of(found))
    step = ROUTE.step(ROUTE.state_schema.empty_table(), assigned, Watermarks())
    for stream in ("routed-clicks", "routed-interactions"):
        wanted = [e for e in map(expected, found) if e[0] == stream]
        given_on = step.outputs[stream]
        assert given_on["key"].to_pylist() == [key for _, key, _ in wanted]
    keys = [row["partitionKey"] for row in assigned.to_pylist()]
    for key, record in zip(keys, found, strict=True):
        stream, own, _ = expected(record)
        if stream.startswith("routed"):
            assert json.loads(key) == own


def test_what_is_not_routed_is_kept_as_it_came() -> None:
    record = {"key": "c1", "value": {"eventId": "1", "type": "other", "createdEventTime": 5, "page": 'a"b'}}
    assigned = Assign(RULES)(table_of([record]))
    rest = ROUTE.step(ROUTE.state_schema.empty_table(), assigned, Watermarks()).outputs["unrouted"].to_pylist()[0]
    assert json.loads(rest["key"]) == "c1"
    nothing = {"userId": None, "advertisementId": None, "seconds": None}
    assert json.loads(rest["value"]) == {**record["value"], **nothing}
    assert rest["eventTime"] == 5


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (2**31, "value.records is 2147483648, too large for its type"),
        (-(2**31), "value.raw is null"),
        (-(2**31) - 1, "value.records is -2147483649, too large for its type"),
    ],
)
def test_numbers_too_large_for_the_branch_are_refused(number: int, reason: str) -> None:
    letters = everything_to("dead-letters", "key", "key", "key", "0", "value.advertisementId", "None", "key")
    record = {"key": "c1", "value": {"eventId": "1", "type": "x", "createdEventTime": 5, "advertisementId": number}}
    assert made(letters, record)["unrouted"]["reason"].to_pylist() == [reason]


def test_a_record_in_a_record_may_be_none() -> None:
    bare = everything_to("promotions", "value.advertisementId", "key", "value.type", "None", "None")
    record = {"key": "c1", "value": {"eventId": "1", "type": "x", "createdEventTime": 5, "advertisementId": 7}}
    value = {"name": "c1", "type": "x", "campaign": None, "customer": None}
    assert made(bare, record)["promotions"].to_pylist() == [{"key": 7, "value": value}]


def everything_to(stream: str, key: str, *value: str) -> Rules:
    branch = Branch(load(stream), (rule("True", key, *value),))
    return Rules(SOURCE, parse_predicate("True", SOURCE.arrow, "p"), (branch,))


def made(rules: Rules, record: Record) -> Mapping[str, pa.Table]:
    """What becomes of a record."""
    return Route(rules).step(NO_STATE.empty_table(), Assign(rules)(table_of([record])), Watermarks()).outputs


def test_rules_reach_workers_as_they_are() -> None:
    assert pickle.loads(pickle.dumps(ROUTE)) == ROUTE  # noqa: S301 what was pickled here
    assert Assign(RULES)(SOURCE.arrow.empty_table()).schema == ROUTE.event_schema


def test_the_time_is_the_sources_own() -> None:
    record = {"key": "c1", "value": {"eventId": "1", "type": "beat", "createdEventTime": 5}}
    assigned = Assign(RULES)(table_of([record, {**record, "value": {**record["value"], "type": "x"}}]))
    assert assigned["eventTime"].to_pylist() == [5, 5]
    assert assigned["rule"].to_pylist() == [FILTERED, REST]
    assert timestamps_to_ms(assigned["value"].chunk(0).field("createdEventTime")).to_pylist() == [5, 5]
