from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.engines.local.translate import run
from common.errors import AdstreamError
from common.operators.buckets import bucket_of
from common.operators.replica import CHANGE, ECHO, MARK, SNAPSHOT, TRUNCATION
from common.operators.step import BEGINNING, END
from common.runtime.spec import JobSpec
from common.streams.conform import conform
from common.streams.materialise import table
from jobs.publish.changes import EVENTS, AsChange


def change(op: str, key: int | None, place: int, name: str | None = None, deleted: bool = False) -> dict[str, Any]:
    after = None if name is None else {"id": key, "name": name, "type": "Pets", "is_deleted": deleted}
    source = {"lsn": place, "ts_ms": 1_700_000_000_000}
    return {"key": None if key is None else {"id": key}, "value": {"op": op, "after": after, "source": source}}


LOG = [
    change("r", 1, 10, "Ducks"),
    change("r", 2, 10, "Gerbils"),
    change("t", None, 20),
    change("c", 3, 30, "Anvils"),
    change("c", 4, 31, "Grahams"),
    change("u", 3, 40, "Anvils & co"),
    change("d", 4, 50),
    {"key": {"id": 4}, "value": None},
    change("c", 5, 60, "gone", deleted=True),
    change("u", 3, 30, "stale"),
]


def records(*log: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(log), schema=load("advertisement-changes").arrow)


def test_envelopes_become_events_without_what_is_internal() -> None:
    events = AsChange(1)(records(LOG[0], LOG[5], LOG[6], LOG[7], LOG[8]))
    assert events.schema == EVENTS
    assert [(e["key"], e["position"], e["kind"], e["row"]) for e in events.to_pylist()] == [
        ("1", 10, SNAPSHOT, {"name": "Ducks", "type": "Pets"}),
        ("3", 40, CHANGE, {"name": "Anvils & co", "type": "Pets"}),
        ("4", 50, CHANGE, None),
        ("5", 60, CHANGE, None),
        ("4", BEGINNING, MARK, None),
    ]


def test_a_truncation_reaches_every_bucket() -> None:
    events = AsChange(7)(records(LOG[2]))
    assert events["kind"].to_pylist() == [TRUNCATION] + [ECHO] * 6
    assert bucket_of(events["key"], 7).tolist() == list(range(7))


def test_a_change_without_a_key_stops_the_job() -> None:
    with pytest.raises(AdstreamError, match="a change without a key: give the table a primary key"):
        AsChange(1)(records(change("c", None, 1, "nobody")))


def test_the_job_publishes_the_table_and_sets_aside_what_is_no_envelope(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "advertisement-changes"
    folder.mkdir(parents=True)
    dropped = change("c", 6, 70, "x")
    del dropped["value"]["after"]["type"]
    for number, lines in enumerate((LOG[:5], [*LOG[5:], dropped])):
        (folder / f"{number}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    output = tmp_path / "out"
    spec = JobSpec("publish", "local", "stream", str(tmp_path / "in"), str(output), str(output), until_caught_up=True)
    summary = run(spec)
    assert summary.balanced
    assert table(output, "advertisements", load("advertisements")).to_pylist() == [
        {"key": 3, "value": {"name": "Anvils & co", "type": "Pets"}}
    ]
    letters = table(output, "dead-letters", load("dead-letters")).to_pylist()
    assert [letter["value"]["reason"] for letter in letters] == ["value.after.type is missing"]


def test_what_debezium_does_not_know_of_a_row_is_a_dead_letter_unless_the_row_is_gone() -> None:
    unknown = "__debezium_unavailable_value"
    log = [change("u", 1, 10, unknown), change("u", 2, 20, unknown, deleted=True), change("d", 3, 30), LOG[0], LOG[7]]
    other = change("u", 4, 40, "Ducks")
    other["value"]["after"]["type"] = unknown
    contract = load("advertisement-changes")
    assert conform(records(*log, other), contract, END).reasons() == {
        row: f"value.after.is_deleted is False and value.after.{field} is '{unknown}', which breaks the rule "
        f"'{field}-is-known' (value.after.is_deleted or value.after.{field} != \"{unknown}\")"
        for row, field in ((0, "name"), (5, "type"))
    }
