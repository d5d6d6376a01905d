from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.contracts.compatibility import check_numbers, check_published, check_stream, check_versions, fingerprint
from common.contracts.contract import STREAMS, Contract, load, load_from, streams, versions
from common.errors import AdstreamError

Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """A copy of the contracts that a test may change."""
    return Path(shutil.copytree(str(STREAMS), tmp_path / "streams"))


@pytest.mark.parametrize("stream", streams())
def test_the_versions_of_a_stream_are_compatible(stream: str) -> None:
    problems = check_stream(stream)
    assert not problems, "\n".join(problems)


def add_version(root: Path, edit: Edit, stream: str = "ad-clicks", part: str = "value") -> None:
    """Adds the next version of a schema, as somebody would who wants to change it, and enters it."""
    number = max(int(path.name.split(".")[1][1:]) for path in (root / stream).glob(f"{part}.v*.avsc"))
    schema = json.loads((root / stream / f"{part}.v{number}.avsc").read_text())
    edit(schema)
    for name in {part, "value"}:
        following = schema if name == part else json.loads((root / stream / f"value.v{number}.avsc").read_text())
        (root / stream / f"{name}.v{number + 1}.avsc").write_text(json.dumps(following))
        enter(root, stream, f"{name}.v{number + 1}", fingerprint(following))


def enter(root: Path, stream: str, name: str, digest: str) -> None:
    path = root / stream / "stream.yaml"
    meta = yaml.safe_load(path.read_text())
    meta["published"][name] = digest
    path.write_text(yaml.safe_dump(meta))


def set_level(root: Path, level: str, stream: str = "ad-clicks") -> None:
    path = root / stream / "stream.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "compatibility": level}))


def optional_field(schema: dict[str, Any]) -> None:
    schema["fields"].append({"name": "country", "type": ["null", "string"], "default": None, "doc": "Where."})


def required_field(schema: dict[str, Any]) -> None:
    schema["fields"].append({"name": "country", "type": "string", "doc": "Where."})


def without_field(schema: dict[str, Any]) -> None:
    del schema["fields"][0]


def retyped_field(schema: dict[str, Any]) -> None:
    schema["fields"][0]["type"] = "string"


def wider_field(schema: dict[str, Any]) -> None:
    schema["fields"][0]["type"] = "double"


def in_microseconds(schema: dict[str, Any]) -> None:
    schema["fields"][1]["type"]["logicalType"] = "timestamp-micros"


def test_a_nullable_field_with_a_default_may_be_added(contracts: Path) -> None:
    add_version(contracts, optional_field)
    assert load_from(contracts, "ad-clicks").version == 2
    assert check_stream("ad-clicks", contracts) == []


def test_docs_may_be_improved(contracts: Path) -> None:
    path = contracts / "ad-clicks" / "value.v1.avsc"
    path.write_text(path.read_text().replace("A user clicked", "Somebody clicked"))
    assert check_stream("ad-clicks", contracts) == []


TO_STRING = "type_mismatch at /fields/0/type: reader type: string not compatible with writer type: long"
TO_LONG = "type_mismatch at /fields/0/type: reader type: long not compatible with writer type: double"
TO_MICROS = "logical_type_mismatch at /createdEventTime: timestamp-micros, not timestamp-millis"


@pytest.mark.parametrize(
    ("edit", "reader", "writer", "reason"),
    [
        (required_field, 2, 1, "reader_field_missing_default_value at /fields/2: country"),
        (without_field, 1, 2, "reader_field_missing_default_value at /fields/0: advertisementId"),
        (retyped_field, 2, 1, TO_STRING),
        (wider_field, 1, 2, TO_LONG),
        (in_microseconds, 2, 1, TO_MICROS),
    ],
)
def test_a_breaking_change_needs_a_new_stream(
    contracts: Path, edit: Edit, reader: int, writer: int, reason: str
) -> None:
    add_version(contracts, edit)
    problems = check_stream("ad-clicks", contracts)
    expected = f"ad-clicks: version {reader} can't read the value of version {writer} ({reason})"
    assert any(line.startswith(expected) for line in problems), problems
    assert all("which 'full_transitive' asks for: a new stream is needed" in line for line in problems)


def test_a_breaking_change_of_a_key_needs_a_new_stream(contracts: Path) -> None:
    add_version(contracts, lambda schema: schema.update(type="long"), part="key")
    problems = check_stream("ad-clicks", contracts)
    assert len(problems) == 2
    assert problems[0].startswith("ad-clicks: version 2 can't read the key of version 1 (type_mismatch at /:")
    assert "a new stream is needed" in problems[0]


def test_a_new_action_breaks_those_who_read_sessions(contracts: Path) -> None:
    def hover(schema: dict[str, Any]) -> None:
        schema["fields"][0]["type"]["items"]["fields"][2]["type"]["symbols"].append("Hover")

    add_version(contracts, hover, stream="ad-sessions")
    (problem,) = check_stream("ad-sessions", contracts)
    assert "version 1 can't read the value of version 2 (missing_enum_symbols" in problem
    assert "{'Hover'}" in problem


@pytest.mark.parametrize(
    ("level", "edit", "compatible"),
    [
        ("backward", without_field, True),
        ("backward", required_field, False),
        ("backward", wider_field, True),
        ("forward", required_field, True),
        ("forward", without_field, False),
        ("forward", wider_field, False),
        ("full", without_field, False),
        ("full", required_field, False),
        ("full", optional_field, True),
    ],
)
def test_a_level_forbids_what_it_should(contracts: Path, level: str, edit: Edit, compatible: bool) -> None:
    set_level(contracts, level)
    add_version(contracts, edit)
    assert (check_stream("ad-clicks", contracts) == []) == compatible


@pytest.mark.parametrize(("level", "compatible"), [("backward", True), ("backward_transitive", False)])
def test_a_transitive_level_looks_at_every_earlier_version(contracts: Path, level: str, compatible: bool) -> None:
    """A field with a default is dropped, and comes back without one: only the first and the third clash."""
    set_level(contracts, level)
    add_version(contracts, optional_field)
    add_version(contracts, lambda schema: schema["fields"][2].pop("default"))
    problems = check_versions(_all_versions(contracts))
    assert (problems == []) == compatible
    assert all("version 3 can't read the value of version 1" in line for line in problems)


@pytest.mark.parametrize(("level", "compatible"), [("forward", True), ("forward_transitive", False)])
def test_forward_transitive_likewise(contracts: Path, level: str, compatible: bool) -> None:
    set_level(contracts, level)

    def with_default(schema: dict[str, Any]) -> None:
        schema["fields"][0]["default"] = 0

    add_version(contracts, with_default)
    add_version(contracts, without_field)
    problems = check_versions(_all_versions(contracts))
    assert (problems == []) == compatible
    assert all("version 1 can't read the value of version 3" in line for line in problems)


def test_a_published_schema_can_not_be_edited(contracts: Path) -> None:
    path = contracts / "ad-clicks" / "value.v1.avsc"
    schema = json.loads(path.read_text())
    without_field(schema)
    path.write_text(json.dumps(schema))
    (problem,) = check_published("ad-clicks", contracts)
    assert problem.startswith("ad-clicks: value.v1.avsc is in use and was changed: undo that")
    assert "make the change in value.v2.avsc" in problem
    assert "a new stream is needed" in problem


def test_a_published_schema_can_not_be_removed(contracts: Path) -> None:
    add_version(contracts, optional_field)
    (contracts / "ad-clicks" / "value.v2.avsc").unlink()
    (problem,) = check_published("ad-clicks", contracts)
    assert problem == "ad-clicks: value.v2.avsc is in use and is gone: bring it back, every version stays"


def test_a_new_schema_must_be_entered(contracts: Path) -> None:
    folder = contracts / "ad-clicks"
    shutil.copy(folder / "value.v1.avsc", folder / "value.v2.avsc")
    digest = fingerprint(load("ad-clicks").value_schema)
    (problem,) = check_published("ad-clicks", contracts)
    assert f"add 'value.v2: {digest}' to 'published'" in problem


@pytest.mark.parametrize("edit", [required_field, without_field, retyped_field, in_microseconds, optional_field])
def test_a_fingerprint_sees_every_change_but_docs(edit: Edit) -> None:
    schema = json.loads(json.dumps(load("ad-clicks").value_schema))
    before = fingerprint(schema)
    schema["doc"] = schema["fields"][0]["doc"] = "Better."
    assert fingerprint(schema) == before
    edit(schema)
    assert fingerprint(schema) != before


def test_a_schema_that_is_not_avro_is_one_line(contracts: Path) -> None:
    add_version(contracts, lambda schema: schema["fields"].append({"name": "x", "type": "nonsense"}))
    with pytest.raises(AdstreamError, match="ad-clicks: the value of version 2 is not an Avro schema"):
        check_stream("ad-clicks", contracts)


def _all_versions(root: Path) -> list[Contract]:
    return [load_from(root, "ad-clicks", version) for version in versions("ad-clicks", root)]


def test_a_key_that_no_version_uses_is_told(contracts: Path) -> None:
    add_version(contracts, lambda _: None, part="key")
    assert check_stream("ad-clicks", contracts) == []
    number = versions("ad-clicks", contracts)[-1]
    (contracts / "ad-clicks" / f"value.v{number}.avsc").unlink()
    (problem, *_) = check_numbers("ad-clicks", contracts)
    assert problem.startswith(f"ad-clicks: key.v{number}.avsc is in no version: add value.v{number}.avsc, even if")


def test_a_version_that_is_missing_between_others_is_told(contracts: Path) -> None:
    folder = contracts / "ad-clicks"
    schema = (folder / "value.v1.avsc").read_text()
    last = versions("ad-clicks", contracts)[-1]
    (folder / f"value.v{last + 2}.avsc").write_text(schema)
    enter(contracts, "ad-clicks", f"value.v{last + 2}", fingerprint(json.loads(schema)))
    assert check_stream("ad-clicks", contracts) == [
        f"ad-clicks: value.v{last + 1}.avsc is missing: number versions without a gap"
    ]
