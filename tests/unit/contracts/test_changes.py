from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.contracts.changes import NOTHING, Change, Difference, changes, consequences
from common.contracts.compatibility import fingerprint
from common.contracts.contract import STREAMS, StreamMeta, load

STREAM = "ad-clicks"


@pytest.fixture
def before() -> Path:
    assert isinstance(STREAMS, Path)
    return STREAMS


@pytest.fixture
def after(tmp_path: Path) -> Path:
    """A copy of the contracts that a test changes."""
    return Path(shutil.copytree(str(STREAMS), tmp_path / "streams"))


def set_meta(root: Path, **values: Any) -> None:
    path = root / STREAM / "stream.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **values}))


def add_version(root: Path, edit: Callable[[list[dict[str, Any]]], object]) -> None:
    """The next version of the value, entered as it should be."""
    schema = json.loads((root / STREAM / "value.v1.avsc").read_text())
    edit(schema["fields"])
    (root / STREAM / "value.v2.avsc").write_text(json.dumps(schema))
    meta = yaml.safe_load((root / STREAM / "stream.yaml").read_text())
    set_meta(root, published={**meta["published"], "value.v2": fingerprint(schema)})


def the_change(before: Path, after: Path) -> Change:
    (change,) = changes(before, after)
    assert change.stream == STREAM
    return change


def breaks(change: Change) -> set[str]:
    return {difference.breaks for difference in change.differences}


def test_contracts_that_stayed_are_not_told(before: Path, after: Path) -> None:
    assert changes(before, after) == ()
    path = after / STREAM / "stream.yaml"
    path.write_text(f"# as it was\n{path.read_text()}")
    assert changes(before, after) == ()


def test_a_field_that_may_be_absent_asks_nothing_of_readers(before: Path, after: Path) -> None:
    add_version(after, lambda fields: fields.append({"name": "country", "type": ["null", "string"], "default": None}))
    assert the_change(before, after).differences == (
        Difference("version 2 is new: value.country was added (string, may be null)"),
    )


def test_a_version_that_readers_can_not_read_breaks_the_rules(before: Path, after: Path) -> None:
    add_version(after, lambda fields: fields.pop(0))
    change = the_change(before, after)
    assert change.differences[0].what == "version 2 is new: value.advertisementId is gone"
    assert breaks(change) == {"nobody", "rules"}
    assert any("version 1 can't read the value of version 2" in each.what for each in change.differences)


@pytest.mark.parametrize(
    ("level", "asked"),
    [("backward", "before any writer is"), ("forward_transitive", "after all writers are"), ("full", NOTHING)],
)
def test_a_level_says_who_goes_first(before: Path, after: Path, level: str, asked: str) -> None:
    set_meta(after, compatibility=level)
    add_version(after, lambda fields: fields.append({"name": "country", "type": ["null", "string"], "default": None}))
    new = the_change(before, after).differences[0]
    assert asked in new.reader
    assert new.breaks == "nobody"


def test_a_published_version_can_not_be_rewritten_with_its_entry(before: Path, after: Path) -> None:
    """Who changes a file and its entry at once passes the check of the contracts, but not the comparison."""
    path = after / STREAM / "value.v1.avsc"
    schema = json.loads(path.read_text())
    schema["fields"].pop(0)
    path.write_text(json.dumps(schema))
    meta = yaml.safe_load((after / STREAM / "stream.yaml").read_text())
    set_meta(after, published={**meta["published"], "value.v1": fingerprint(schema)})
    (difference,) = the_change(before, after).differences
    assert difference.what.startswith("ad-clicks: value.v1.avsc was in use, and is another one now")
    assert difference.breaks == "rules"


def test_a_published_version_can_not_vanish_with_its_entry(before: Path, after: Path) -> None:
    add_version(after, lambda fields: fields.append({"name": "country", "type": ["null", "string"], "default": None}))
    middle = Path(shutil.copytree(after, after.parent / "middle"))
    (after / STREAM / "value.v2.avsc").unlink()
    meta = yaml.safe_load((after / STREAM / "stream.yaml").read_text())
    set_meta(after, published={name: entry for name, entry in meta["published"].items() if name != "value.v2"})
    (difference,) = the_change(middle, after).differences
    assert "value.v2.avsc was in use, and is no longer entered" in difference.what
    assert difference.breaks == "rules"


@pytest.mark.parametrize(
    ("values", "what", "asked", "broken"),
    [
        ({"owner": "ads"}, "owner: ad-serving → ads", "ask ads from now on", "nobody"),
        ({"partitions": 24}, "partitions: 12 → 24", "begin anew (adstream reset)", "readers"),
        ({"kind": "entity"}, "kind: event → entity", "expect tombstones", "readers"),
        ({"event_time": None}, "event_time: createdEventTime → none", "expect other watermarks", "readers"),
        ({"encoding": "json"}, "encoding: avro → json", "decode records anew", "readers"),
        ({"retention": "1d"}, "retention: 30d → 1d", "never be further behind than 1d", "nobody"),
        ({"retention": "40d"}, "retention: 30d → 40d", NOTHING, "nobody"),
        ({"retention": None}, "retention: 30d → for ever", NOTHING, "nobody"),
        ({"tags": {"pii": ["key", "value"]}}, "tags: pii key → pii key value", "treat the fields", "nobody"),
        ({"deprecated": "read x"}, "deprecated: none → read x", "move away: read x", "nobody"),
        ({"compaction": True}, "compaction: False → True", "expect only the last record of each key", "nobody"),
        ({"consumers": ["ads"]}, "consumers: none → ads", NOTHING, "nobody"),
        (
            {"rules": {"ad-known": "value.advertisementId > 0"}},
            "rules: none → ad-known value.advertisementId > 0",
            "they are dead letters",
            "nobody",
        ),
        ({"compatibility": "backward"}, "compatibility: full_transitive → backward", "keeps 'backward' only", "nobody"),
    ],
)
def test_what_else_a_contract_says_is_compared(
    before: Path, after: Path, values: dict[str, Any], what: str, asked: str, broken: str
) -> None:
    set_meta(after, **values)
    (difference,) = the_change(before, after).differences
    assert difference.what == what
    assert asked in difference.reader
    assert difference.breaks == broken


def test_another_list_of_allowed_values_is_told(before: Path, after: Path) -> None:
    path = after / "customer-rows" / "countries.csv"
    path.write_text(path.read_text() + "XK\n")
    (change,) = changes(before, after)
    assert [difference.what for difference in change.differences] == ["countries.csv: its values are others"]


def test_streams_come_and_go(before: Path, after: Path, tmp_path: Path) -> None:
    shutil.rmtree(after / STREAM)
    gone = the_change(before, after)
    assert gone.differences == (Difference("the stream is gone", "read another stream", "readers"),)
    assert the_change(after, before).differences == (Difference("the stream is new"),)
    (tmp_path / "none").mkdir()
    assert {change.differences[0].what for change in changes(tmp_path / "none", before)} == {"the stream is new"}


def test_a_list_of_values_that_a_rule_names_is_compared(before: Path, after: Path) -> None:
    path = after / "customer-rows" / "countries.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    (change,) = changes(before, after)
    (difference,) = change.differences
    assert difference.what == "countries.csv: its values are others"
    assert difference.breaks == "nobody"


def test_every_field_of_a_contract_has_a_consequence() -> None:
    """A field that is new in contracts must not be told as if it were of no weight."""
    meta = load(STREAM).meta
    assert consequences(meta, meta).keys() == StreamMeta.model_fields.keys() - {"published"}
