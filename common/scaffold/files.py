"""The files of a new job or stream: templates filled in, and rows of tables in the documentation. Nothing is overwritten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from common.errors import AdstreamError

if TYPE_CHECKING:
    from importlib.abc import Traversable

TEMPLATES: Traversable = files("common.scaffold").joinpath("templates")
_SUFFIX = ".tmpl"


@dataclass(frozen=True)
class File:
    """A file to be written.

    Attributes:
        path: Its place in the repository.
        content: What it holds.
    """

    path: str
    content: str


def filled(kind: str, places: Mapping[str, str], words: Mapping[str, str]) -> tuple[File, ...]:
    """The files of a template, sorted by their place.

    Args:
        kind: The template: a folder of `templates`, laid out like the repository.
        places: What stands for a name in a path, such as `NAME`.
        words: What stands for each `$word` of the files.
    """
    found = [
        File(_path(path, places), Template(content).substitute(words))
        for path, content in _files(TEMPLATES.joinpath(kind), "")
    ]
    return tuple(sorted(found, key=lambda file: file.path))


def with_row(file: File, head: str, row: str) -> File:
    """A page of the documentation with one more row in a table.

    Args:
        file: The page.
        head: The line of the table's head.
        row: The line of the row.

    Raises:
        AdstreamError: There is no such table.
    """
    lines = file.content.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if line.rstrip("\n") == head), None)
    if start is None:
        raise AdstreamError(f"{file.path} has no table '{head}'", "bring it back: a new job gets a row there")
    end = start
    while end < len(lines) and lines[end].startswith("|"):
        end += 1
    return File(file.path, "".join([*lines[:end], f"{row}\n", *lines[end:]]))


def write(root: Path, new: Sequence[File], pages: Sequence[File] = ()) -> None:
    """Writes new files, all or none, and replaces pages.

    Args:
        root: The repository.
        new: The new files.
        pages: Pages that are there, with their new content.

    Raises:
        AdstreamError: One of the new files is there already; nothing was written.
    """
    there = [file.path for file in new if (root / file.path).exists()]
    if there:
        raise AdstreamError(f"{', '.join(there)}: there already, and nothing is overwritten", "choose another name")
    for file in new:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as opened:
            opened.write(file.content)
    for page in pages:
        (root / page.path).write_text(page.content, encoding="utf-8")


def _files(folder: Traversable, above: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        path = f"{above}{entry.name}"
        if entry.is_dir():
            yield from _files(entry, f"{path}/")
        elif path.endswith(_SUFFIX):
            yield path.removesuffix(_SUFFIX), entry.read_text(encoding="utf-8")


def _path(path: str, places: Mapping[str, str]) -> str:
    for place, name in places.items():
        path = path.replace(place, name)
    return path
