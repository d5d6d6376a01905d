"""What a job knows of its schemas while the registry is down."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from urllib.parse import quote

import pytest

from common.contracts.contract import load
from common.errors import AdstreamError, ExitCode
from common.streams.kafka.schemas import Schemas
from common.streams.kafka.wire import Part, UndecodableError

NOWHERE = "http://127.0.0.1:1"
CONTRACT = load("ad-views")


def keep(folder: Path, name: str, answer: object, registry: str = NOWHERE) -> None:
    path = folder / quote(registry, safe="") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(answer))


@pytest.fixture
def kept(tmp_path: Path) -> Schemas:
    """A registry that is down, of which the schemas 7 and 8 of `ad-views` are kept."""
    for number, part, schema in ((7, "key", CONTRACT.key_schema), (8, "value", CONTRACT.value_schema)):
        keep(tmp_path, f"ids/{number}.json", schema)
        keep(tmp_path, f"written/ad-views-{part}.json", {"id": number, "schema": schema})
    return Schemas(NOWHERE, str(tmp_path))


@pytest.mark.parametrize(
    ("name", "value"), [("key", "ann"), ("value", {"advertisementId": 7, "createdEventTime": 1_500})]
)
def test_records_are_written_and_read_with_what_is_kept(kept: Schemas, name: str, value: object) -> None:
    part = Part(kept, CONTRACT, name)
    (datum,) = part.encode([value])
    assert datum is not None
    assert datum[:5] == bytes([0, 0, 0, 0, 7 if name == "key" else 8])
    assert part.decode(datum) == value


@pytest.mark.parametrize(
    ("datum", "reason"),
    [
        (b"{}", "value is not in Confluent's wire format"),
        (b'{"advertisementId": 7}', "value is not in Confluent's wire format"),
        (b"\0\0\0\0\x08", "value can't be decoded with schema 8"),
        (b"\0\0\0\0\x08\x0e", "value can't be decoded with schema 8"),
        (b"\0\0\0\0\x08\x0e\x00\xff\xff", "value has 2 bytes behind its end"),
    ],
)
def test_what_is_no_datum_is_told_apart(kept: Schemas, datum: bytes, reason: str) -> None:
    with pytest.raises(UndecodableError, match=reason):
        Part(kept, CONTRACT, "value").decode(datum)


def test_that_the_registry_is_down_is_told_once(kept: Schemas, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "adstream"):
        kept.by_id(7), kept.by_id(8)
    (line,) = caplog.messages
    assert line.startswith(f"the schema registry at {NOWHERE} does not answer (")
    assert line.endswith(f"; going on with the schemas in {kept.kept}")


def test_a_schema_that_is_not_kept_needs_the_registry(kept: Schemas) -> None:
    with pytest.raises(AdstreamError, match=f"the schema registry at {NOWHERE} does not answer") as failed:
        kept.by_id(9)
    assert failed.value.code is ExitCode.UNAVAILABLE


def test_a_contract_that_is_new_needs_the_registry(kept: Schemas, tmp_path: Path) -> None:
    keep(tmp_path, "written/ad-views-value.json", {"id": 8, "schema": "string"})
    with pytest.raises(
        AdstreamError, match=r"the value schema of 'ad-views' .* is new, and the schema registry"
    ) as failed:
        kept.id_of("ad-views", "value")
    assert failed.value.code is ExitCode.UNAVAILABLE


def test_what_another_registry_said_is_not_used(tmp_path: Path) -> None:
    keep(tmp_path, "ids/7.json", "string", "http://127.0.0.1:2")
    with pytest.raises(AdstreamError, match="does not answer"):
        Schemas(NOWHERE, str(tmp_path)).by_id(7)


def test_a_job_of_which_all_is_kept_can_start(kept: Schemas, tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="does not answer"):
        kept.fetch(read=["ad-views"], written=["ad-views"])
    for part in ("key", "value"):
        keep(tmp_path, f"subjects/ad-views-{part}.json", [])
    kept.fetch(read=["ad-views"], written=["ad-views"])
