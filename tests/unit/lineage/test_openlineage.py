from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("openlineage.client", reason="openlineage-python is an extra")

from openlineage.client.serde import Serde

from common.contracts.contract import load, streams
from common.lineage.collect import collect
from common.lineage.openlineage import event
from common.lineage.runs import Run, State, dataset, table

RUN_ID = "01926a3c-0000-7000-8000-000000000000"


def told(run: Run, state: State = "START", reason: str = "") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Serde.to_json(event(run, RUN_ID, state, reason)))
    return found


def run(*outputs: str, streaming: bool = False) -> Run:
    written = tuple(dataset("/out", stream) for stream in outputs)
    return Run(collect().job("sessions"), "local", streaming, (table("postgresql://db/shop", "ads"),), written)


def test_an_event_names_run_job_owner_and_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENLINEAGE_NAMESPACE", raising=False)
    found = told(run("ad-sessions"))
    assert (found["eventType"], found["run"]["runId"]) == ("START", RUN_ID)
    assert (found["job"]["namespace"], found["job"]["name"]) == ("adstream", "sessions")
    assert found["job"]["facets"]["jobType"]["processingType"] == "BATCH"
    assert [owner["name"] for owner in found["job"]["facets"]["ownership"]["owners"]] == ["team:behaviour"]
    assert found["run"]["facets"]["processing_engine"]["name"] == "adstream on local"
    assert [each["name"] for each in found["inputs"]] == ["shop.public.ads"]
    (written,) = found["outputs"]
    assert (written["namespace"], written["name"]) == ("file", "/out/ad-sessions")
    assert [owner["name"] for owner in written["facets"]["ownership"]["owners"]] == ["team:behaviour"]


def test_the_namespace_of_jobs_is_openlineages_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "ads")
    assert told(run())["job"]["namespace"] == "ads"
    assert told(run(streaming=True))["job"]["facets"]["jobType"]["processingType"] == "STREAMING"


def test_a_failure_says_why() -> None:
    found = told(run(), "FAIL", "the disk is full")
    assert found["run"]["facets"]["errorMessage"]["message"] == "the disk is full"
    assert "errorMessage" not in told(run(), "COMPLETE")["run"]["facets"]


def test_the_schema_has_the_fields_inside_fields_with_what_they_mean() -> None:
    key, value = told(run("ad-sessions"))["outputs"][0]["facets"]["schema"]["fields"]
    assert [(field["name"], field["type"]) for field in key["fields"]] == [("window", "struct"), ("userId", "string")]
    assert [field["name"] for field in key["fields"][0]["fields"]] == ["start", "end"]
    assert key["fields"][0]["fields"][0]["type"] == "timestamp-millis"
    (actions,) = value["fields"]
    assert (actions["name"], actions["type"]) == ("actions", "array")
    (element,) = actions["fields"]
    assert element["name"] == "_element"
    assert "enum" in [field["type"] for field in element["fields"]]
    assert all(field["description"] for field in element["fields"])


def test_tags_are_told_by_field() -> None:
    tags = told(run("ad-sessions"))["outputs"][0]["facets"]["tags"]["tags"]
    assert {(tag["key"], tag["field"]) for tag in tags} == {("pii", "key.userId"), ("pii", "value.actions")}


@pytest.mark.parametrize("stream", streams())
def test_every_contract_can_be_told(stream: str) -> None:
    fields = told(run(stream))["outputs"][0]["facets"]["schema"]["fields"]
    assert [field["name"] for field in fields] == ["key", "value"]
    contract = load(stream)
    if isinstance(contract.value_schema, dict) and contract.value_schema["type"] == "record":
        names = [field["name"] for field in contract.value_schema["fields"]]
        assert [field["name"] for field in fields[1]["fields"]] == names
