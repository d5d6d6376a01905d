from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import avro.schema
import fastavro
import orjson
import pyarrow as pa
import pytest

from common.contracts.contract import STREAMS, load, load_from, schema_files, streams, versions
from common.errors import AdstreamError, ExitCode

MS = pa.timestamp("ms", tz="UTC")
ALL = pytest.mark.parametrize("stream", streams())


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """A copy of the contracts that a test may change."""
    return Path(shutil.copytree(str(STREAMS), tmp_path / "streams"))


def test_the_streams_of_the_suite() -> None:
    assert set(streams()) >= {
        "ad-clicks",
        "ad-engagements",
        "ad-sessions",
        "ad-views",
        "advertisements",
        "dead-letters",
        "late-events",
    }


@pytest.mark.parametrize("stream", ["ad-clicks", "ad-views"])
def test_an_event_is_a_user_and_what_they_did(stream: str) -> None:
    value = pa.struct(
        [pa.field("advertisementId", pa.int64(), nullable=False), pa.field("createdEventTime", MS, nullable=False)]
    )
    expected = pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("value", value, nullable=False)])
    assert load(stream).arrow.equals(expected)


def test_a_session_may_be_taken_back() -> None:
    schema = load("ad-sessions").arrow
    assert schema.field("value").nullable
    assert not schema.field("key").nullable
    action = schema.field("value").type.field("actions").type.value_type.field("action")
    assert action.type == pa.dictionary(pa.int8(), pa.string())


@ALL
def test_only_entities_have_tombstones(stream: str) -> None:
    contract = load(stream)
    assert contract.arrow.names == ["key", "value"]
    assert contract.arrow.field("value").nullable == (contract.meta.kind == "entity")


@ALL
def test_a_contract_travels_to_workers(stream: str) -> None:
    contract = load(stream)
    again = pickle.loads(pickle.dumps(contract))  # noqa: S301
    assert again == contract
    assert again.arrow.equals(contract.arrow)


@ALL
def test_every_record_field_and_enum_says_what_it_means(stream: str) -> None:
    for name, schema in schema_files(stream).items():
        silent = [place for place, part in _documented(schema, name) if not part.get("doc", "").endswith(".")]
        assert not silent


@ALL
def test_avro_libraries_accept_every_schema(stream: str) -> None:
    for schema in schema_files(stream).values():
        avro.schema.parse(orjson.dumps(schema).decode())
        fastavro.parse_schema(schema)


@ALL
def test_the_metadata_names_fields_that_exist(stream: str) -> None:
    contract = load(stream)
    paths = set(_paths(contract.arrow.field("key"), "key")) | set(_paths(contract.arrow.field("value"), "value"))
    assert set(contract.meta.tags.pii) | set(contract.meta.tags.financial) <= paths
    if contract.meta.event_time:
        assert contract.arrow.field("value").type.field(contract.meta.event_time).type == MS


@ALL
def test_user_ids_are_tagged(stream: str) -> None:
    contract = load(stream)
    of_users = [path for path in _paths(contract.arrow.field("key"), "key") if path.endswith("userId")]
    assert set(of_users) <= set(contract.meta.tags.pii)


@ALL
def test_schemas_live_in_the_namespace_of_the_stream(stream: str) -> None:
    contract = load(stream)
    for schema in (contract.key_schema, contract.value_schema):
        # The key of a stream of others may be missing: then it is a union.
        for branch in schema if isinstance(schema, list) else [schema]:
            if branch != "null" and branch["type"] == "record":
                assert branch["namespace"] == contract.meta.namespace


@ALL
def test_a_stream_that_keeps_records_for_ever_is_compacted(stream: str) -> None:
    meta = load(stream).meta
    assert meta.retention or meta.compaction


def test_tags() -> None:
    assert load("ad-clicks").meta.tags.pii == ("key",)
    assert load("ad-sessions").meta.tags.pii == ("key.userId", "value.actions")
    assert load("ad-engagements").meta.tags.financial == ("value.sum",)


def test_an_unknown_stream_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(AdstreamError, match=r"unknown stream 'ad-click': did you mean 'ad-clicks'\?") as refused:
        load("ad-click")
    assert refused.value.code == ExitCode.REFUSED
    with pytest.raises(AdstreamError, match="choose one of ad-anomalies, ad-clicks, ad-engagements"):
        load("zzz")


def test_an_unknown_version_is_refused_with_those_there_are() -> None:
    with pytest.raises(AdstreamError, match="'ad-clicks' has no version 7: it has 1"):
        load("ad-clicks", 7)


def test_a_version_keeps_the_key_that_was_current(contracts: Path) -> None:
    folder = contracts / "ad-clicks"
    shutil.copy(folder / "value.v1.avsc", folder / "value.v2.avsc")
    shutil.copy(folder / "value.v1.avsc", folder / "value.v3.avsc")
    (folder / "key.v3.avsc").write_text('{"type": "string", "doc": "Third."}')
    assert versions("ad-clicks", contracts) == (1, 2, 3)
    assert load_from(contracts, "ad-clicks", 2).key_schema == load("ad-clicks").key_schema
    assert load_from(contracts, "ad-clicks").key_schema["doc"] == "Third."
    assert load_from(contracts, "ad-clicks").version == 3


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("stream.yaml", "owner: me\nnamespace: x\nkind: fact\npartitions: 1\n", "stream.yaml: 'kind' is wrong"),
        ("stream.yaml", "owner: me\nnamespace: x\nkind: event\npartitions: 0\n", "'partitions' is wrong"),
        ("stream.yaml", "owner: me\nnamespace: x\nkind: event\npartitions: 1\ncolour: red\n", "'colour' is wrong"),
        ("stream.yaml", "owner: me\nnamespace: x\nkind: event\npartitions: 1\nretention: 1w\n", "not a duration"),
        ("stream.yaml", "- a\n- b\n", "not a YAML mapping"),
        ("stream.yaml", "a: [", "not a YAML mapping"),
        ("value.v1.avsc", "{", "value.v1.avsc is not JSON"),
    ],
)
def test_a_broken_file_is_one_line(contracts: Path, file: str, content: str, problem: str) -> None:
    (contracts / "ad-clicks" / file).write_text(content)
    with pytest.raises(AdstreamError, match=problem):
        load_from(contracts, "ad-clicks")


def test_the_first_version_must_stay(contracts: Path) -> None:
    (contracts / "ad-clicks" / "value.v1.avsc").rename(contracts / "ad-clicks" / "value.v2.avsc")
    with pytest.raises(AdstreamError, match="'ad-clicks' has no version 1"):
        load_from(contracts, "ad-clicks")


def _documented(schema: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of a schema that must say what it means; of a union or a bare type, only what it holds."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _documented(branch, place)
    elif isinstance(schema, dict):
        if place.count("/") == 0 or schema["type"] in ("record", "enum"):
            yield place, schema
        for field in schema.get("fields", ()):
            yield f"{place}/{field['name']}", field
            yield from _documented(field["type"], f"{place}/{field['name']}")
        if schema["type"] == "array":
            yield from _documented(schema["items"], f"{place}/items")


def _paths(field: pa.Field, place: str) -> Iterator[str]:
    yield place
    inner = field.type.value_type if pa.types.is_list(field.type) else field.type
    if pa.types.is_struct(inner):
        for child in inner:
            yield from _paths(child, f"{place}.{child.name}")
