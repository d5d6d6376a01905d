"""What a new job and a new stream are made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from common.config.jobs import jobs
from common.contracts.compatibility import fingerprint
from common.contracts.contract import STREAMS, Contract, load, streams
from common.errors import AdstreamError
from common.names import pick
from common.scaffold.example import example_of
from common.scaffold.files import File, filled, with_row, write
from common.scaffold.names import job_name, owner_name, stream_name

README, README_HEAD = "README.md", "| job | makes |"
JOBS, JOBS_HEAD = "jobs/README.md", "| job | reads | writes |"


@dataclass(frozen=True)
class Made:
    """What was made.

    Attributes:
        name: The job or stream.
        paths: The files that are new or were changed.
        stream: The stream that a job writes; the stream itself.
    """

    name: str
    paths: tuple[str, ...]
    stream: str


def repository() -> Path:
    """The clone that this code is of.

    Raises:
        AdstreamError: It is an installed package, and no clone.
    """
    root = STREAMS.parents[2] if isinstance(STREAMS, Path) else Path()
    if not all((root / path).exists() for path in ("pyproject.toml", "tests", README, JOBS)):
        raise AdstreamError("adstream is installed here without its repository", "run it in a clone: make setup")
    return root


def new_stream(name: str, owner: str, kind: str, root: Path) -> Made:
    """Writes the contract of a new stream.

    Args:
        name: The stream.
        owner: The team that answers for it.
        kind: `event` or `entity`.
        root: The repository.

    Raises:
        AdstreamError: A name can't be used, or a file is there already; nothing was written.
    """
    pick("kind", kind, ("event", "entity"))
    words = {"stream": stream_name(name, streams()), "owner": owner_name(owner), "Record": _record(name)}
    files = _entered(filled(kind, {"NAME": name}, {**words, "namespace": _namespace(name), **_UNKNOWN}))
    write(root, files)
    return Made(name, tuple(file.path for file in files), name)


def new_job(name: str, reads: str, owner: str, root: Path) -> Made:
    """Writes a new job: its topology, operator, contract, tests and conformance cases, and its rows in the tables of jobs.

    Args:
        name: The job.
        reads: The stream that it reads; its keys are text.
        owner: The team that answers for the job and what it writes; empty for that of `reads`.
        root: The repository.

    Raises:
        AdstreamError: A name can't be used, or a file is there already; nothing was written.
    """
    job_name(name, jobs())
    contract = load(pick("stream", reads, streams()))
    _check_key(contract)
    writes = stream_name(f"{name}-counts", streams())
    words = {
        "job": name,
        "JOB": name.upper(),
        "reads": reads,
        "writes": writes,
        "owner": owner_name(owner) if owner else contract.meta.owner,
        "namespace": _namespace(name),
        "example": json.dumps(example_of(contract), ensure_ascii=False),
        "tags": "\ntags:\n  pii: [key]" if "key" in contract.meta.tags.pii else "",
    }
    files = _entered(filled("job", {"NAME": name, "WRITES": writes}, {**words, **_UNKNOWN}))
    pages = (
        with_row(_page(root, README), README_HEAD, f"| `{name}` | how many records of `{reads}` each key has had |"),
        with_row(_page(root, JOBS), JOBS_HEAD, f"| `{name}` | `{reads}` | `{writes}`, `dead-letters` |"),
    )
    write(root, files, pages)
    return Made(name, tuple(file.path for file in (*files, *pages)), writes)


_UNKNOWN = {"key_fingerprint": "@key.v1@", "value_fingerprint": "@value.v1@"}
"""What stands for the fingerprints of schemas until these are known."""


def _entered(files: tuple[File, ...]) -> tuple[File, ...]:
    """The files, with the fingerprint of each schema in the place that is kept for it."""
    digests = {
        f"@{Path(file.path).stem}@": fingerprint(json.loads(file.content))
        for file in files
        if file.path.endswith(".avsc")
    }
    return tuple(File(file.path, _replaced(file.content, digests)) for file in files)


def _replaced(text: str, digests: dict[str, str]) -> str:
    for place, digest in digests.items():
        text = text.replace(place, digest)
    return text


def _check_key(contract: Contract) -> None:
    schema = contract.key_schema
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind != "string":
        texts = [stream for stream in streams() if load(stream).arrow.field("key").type == "string"]
        raise AdstreamError(
            f"stream '{contract.stream}': its keys are no text, and a new job begins with such",
            f"choose one of {', '.join(texts)}, and change the job then",
        )


def _page(root: Path, path: str) -> File:
    return File(path, (root / path).read_text(encoding="utf-8"))


def _namespace(name: str) -> str:
    return f"adstream.{name.replace('-', '_')}"


def _record(stream: str) -> str:
    """`ad-refunds` as the name of its records, `AdRefunds`."""
    return "".join(part.capitalize() for part in stream.split("-"))
