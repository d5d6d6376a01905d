"""Tags of a stream's fields, edited where they stand: in its `stream.yaml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from common.contracts.contract import STREAMS, Tags, load_from
from common.errors import AdstreamError
from common.names import pick

if TYPE_CHECKING:
    from importlib.abc import Traversable


def fields(schema: pa.Schema) -> tuple[str, ...]:
    """Every path of a schema that can be tagged, such as `key.userId`; elements of a list go by the list's name."""
    return tuple(path for field in schema for path in _paths(field, ""))


def retag(
    stream: str, add: Mapping[str, set[str]], remove: Mapping[str, set[str]], root: Traversable = STREAMS
) -> Tags:
    """Adds tags to fields and takes them away, and saves what changed.

    Args:
        stream: The name of the stream.
        add: The fields to tag, by tag: `pii` or `financial`.
        remove: The fields to take a tag from, by tag.
        root: The folder of the contracts.

    Raises:
        AdstreamError: There is no such tag or field, or the contracts lie in an archive.
    """
    contract = load_from(root, stream)
    known, before = fields(contract.arrow), contract.meta.tags
    for tag, paths in (*add.items(), *remove.items()):
        pick("tag", tag, Tags.model_fields)
        for path in paths:
            pick("field", path, known, f"stream '{stream}'")
    lists = {
        tag: tuple(sorted((set(getattr(before, tag)) | add.get(tag, set())) - remove.get(tag, set())))
        for tag in Tags.model_fields
    }
    tags = Tags(**lists)
    if lists != {tag: tuple(sorted(getattr(before, tag))) for tag in Tags.model_fields}:
        _save(root.joinpath(stream), tags)
    return tags


def _paths(field: pa.Field, above: str) -> Iterator[str]:
    path = f"{above}{field.name}"
    yield path
    kind = field.type.value_type if pa.types.is_list(field.type) else field.type
    if pa.types.is_struct(kind):
        for child in kind:
            yield from _paths(child, f"{path}.")


def _save(folder: Traversable, tags: Tags) -> None:
    if not isinstance(folder, Path):
        raise AdstreamError("the contracts lie in an archive", "edit them in a clone of the repository")
    path = folder / "stream.yaml"
    path.write_text("".join(_with_tags(path.read_text(encoding="utf-8").splitlines(keepends=True), tags)))


def _with_tags(lines: list[str], tags: Tags) -> Iterator[str]:
    """The file with its tags replaced, and all else as somebody wrote it."""
    block = [f"  {tag}: [{', '.join(paths)}]\n" for tag, paths in tags.model_dump().items() if paths]
    block = ["tags:\n", *block] if block else []
    inside = done = False
    for line in lines:
        top = line[:1] not in {" ", "\n", ""}
        inside = line.startswith("tags:") or (inside and not top)
        if not done and (inside or line.startswith("partitions:")):
            yield from block
            done = True
        if not inside:
            yield line
