"""Runs as OpenLineage's events, sent by its own client. Loaded only where OpenLineage is configured."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, RunEvent, RunState
from openlineage.client.event_v2 import Run as OpenRun
from openlineage.client.facet_v2 import (
    DatasetFacet,
    RunFacet,
    error_message_run,
    job_type_job,
    ownership_dataset,
    ownership_job,
    processing_engine_run,
    schema_dataset,
    tags_dataset,
)
from openlineage.client.uuid import generate_new_uuid

from common.contracts.contract import Contract
from common.lineage.graph import TAGS
from common.lineage.runs import Dataset, Run, State

PRODUCER = f"https://pypi.org/project/adstream/{version('adstream')}"
"""Which code tells, as OpenLineage asks for it: a URI."""
NAMESPACE = "adstream"
"""The namespace of jobs, unless `OPENLINEAGE_NAMESPACE` names another."""
_ELEMENT = "_element"
"""What OpenLineage calls the elements of an array (its schema facet)."""

logging.getLogger("openlineage").addHandler(logging.NullHandler())  # what fails is said once, in the suite's own words


class Teller:
    """Tells the events of one run.

    Args:
        run: The run.

    Raises:
        Exception: OpenLineage's configuration is wrong, in whatever way the client says it.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._id = str(generate_new_uuid())
        self._client = OpenLineageClient()

    def tell(self, state: State, reason: str = "") -> None:
        """Sends one event.

        Args:
            state: What has become of the run.
            reason: Why it failed.

        Raises:
            Exception: It was not taken, in whatever way the transport says it.
        """
        self._client.emit(event(self._run, self._id, state, reason))


def event(run: Run, run_id: str, state: State, reason: str = "") -> RunEvent:
    """One event of a run.

    Args:
        run: The run.
        run_id: Its UUID.
        state: What has become of it.
        reason: Why it failed.
    """
    engine = processing_engine_run.ProcessingEngineRunFacet(version("adstream"), f"adstream on {run.engine}")
    facets: dict[str, RunFacet] = {"processing_engine": engine}
    if state == "FAIL":
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(reason, "PYTHON")
    return RunEvent(
        eventType=RunState[state],
        eventTime=datetime.now(timezone.utc).isoformat(),
        run=OpenRun(run_id, facets),
        job=_job(run),
        inputs=[InputDataset(each.namespace, each.name, facets=_facets(each)) for each in run.inputs],
        outputs=[OutputDataset(each.namespace, each.name, facets=_facets(each)) for each in run.outputs],
        producer=PRODUCER,
    )


def _job(run: Run) -> Job:
    kind = job_type_job.JobTypeJobFacet("STREAMING" if run.streaming else "BATCH", "ADSTREAM", "JOB")
    owner = ownership_job.OwnershipJobFacet([ownership_job.Owner(f"team:{run.job.owner}", "OWNER")])
    namespace = os.environ.get("OPENLINEAGE_NAMESPACE") or NAMESPACE
    return Job(namespace, run.job.name, {"jobType": kind, "ownership": owner})


def _facets(dataset: Dataset) -> dict[str, DatasetFacet]:
    contract = dataset.contract
    if contract is None:
        return {}
    owner = ownership_dataset.Owner(f"team:{contract.meta.owner}", "OWNER")
    return {
        "schema": schema_dataset.SchemaDatasetFacet(
            [_field("key", contract.key_schema, 1), _field("value", contract.value_schema, 2)]
        ),
        "ownership": ownership_dataset.OwnershipDatasetFacet([owner]),
        "tags": tags_dataset.TagsDatasetFacet(list(_tags(contract))),
    }


def _tags(contract: Contract) -> Iterator[tags_dataset.TagsDatasetFacetFields]:
    for tag in TAGS:
        for field in getattr(contract.meta.tags, tag):
            yield tags_dataset.TagsDatasetFacetFields(tag, "true", "adstream", field)
    if contract.meta.deprecated is not None:
        yield tags_dataset.TagsDatasetFacetFields("deprecated", contract.meta.deprecated, "adstream")


def _field(name: str, schema: Any, position: int) -> schema_dataset.SchemaDatasetFacetFields:
    """A field of an Avro schema, with those inside it; `null` in a union says only that it may be absent."""
    kind = next(branch for branch in schema if branch != "null") if isinstance(schema, list) else schema
    if isinstance(kind, str):
        return schema_dataset.SchemaDatasetFacetFields(name, kind, ordinal_position=position)
    inside = []
    if kind["type"] == "record":
        inside = [_described(field, place) for place, field in enumerate(kind["fields"], 1)]
    elif kind["type"] == "array":
        inside = [_field(_ELEMENT, kind["items"], 1)]
    type_ = {"record": "struct"}.get(kind["type"], kind.get("logicalType", kind["type"]))
    return schema_dataset.SchemaDatasetFacetFields(name, type_, kind.get("doc"), position, inside)


def _described(field: Any, position: int) -> schema_dataset.SchemaDatasetFacetFields:
    found = _field(field["name"], field["type"], position)
    found.description = field.get("doc") or found.description
    return found
