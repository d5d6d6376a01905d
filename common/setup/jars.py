"""The jars that engines need beside their own, by pinned Maven coordinates (`jars.yaml`)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import yaml
from jgo.maven import MavenContext

from common.errors import UnavailableError
from common.setup.cache import cache_folder, provide

COORDINATES = Path(__file__).with_name("jars.yaml")
PLAIN = 2
"""The colons in the coordinate of a jar."""


def groups() -> dict[str, list[str]]:
    """The coordinates of each group: `group:artifact:version`, and `:classifier:type` for an archive."""
    content: dict[str, list[str]] = yaml.safe_load(COORDINATES.read_text())
    return content


def jars(group: str) -> tuple[Path, ...]:
    """The jars of a group, and of what they depend on at run time; fetched once into the cache.

    A group that is an archive is unpacked, and its jars are those in it.

    Raises:
        KeyError: `jars.yaml` has no such group.
        AdstreamError: They cannot be fetched (`UNAVAILABLE`).
    """
    coordinates = groups()[group]
    digest = sha256("\n".join(coordinates).encode()).hexdigest()[:12]
    folder = provide(cache_folder() / "jars" / f"{group}-{digest}", lambda staged: _fetch(coordinates, staged))
    return tuple(sorted(folder.rglob("*.jar")))


def _fetch(coordinates: list[str], folder: Path) -> None:
    """Fills the folder with the jars.

    They are downloaded below the folder itself, as a download that was broken off must never be
    taken for a jar.
    """
    repository = folder / "repository"
    try:
        archives = [coordinate for coordinate in coordinates if coordinate.count(":") > PLAIN]
        for archive in archives:
            _unpack(archive, repository, folder)
        plain = [coordinate for coordinate in coordinates if coordinate not in archives]
        for jar in list(_resolved(plain, repository)) if plain else ():
            jar.rename(folder / jar.name)
    except Exception as error:  # jgo lets through whatever its HTTP client and parser raise
        raise UnavailableError(
            f"{', '.join(coordinates)} cannot be fetched from Maven Central ({error})",
            "run `make setup` where it can be reached",
        ) from error
    shutil.rmtree(repository)


def _unpack(coordinate: str, repository: Path, folder: Path) -> None:
    """Downloads an archive and unpacks it into the folder."""
    group, artifact, version, classifier, kind = coordinate.split(":")
    project = MavenContext(repo_cache=repository, local_repos=[]).project(group, artifact)
    shutil.unpack_archive(project.at_version(version).artifact(classifier, kind).resolve(), folder)


def _resolved(coordinates: list[str], repository: Path) -> Iterator[Path]:
    """Downloads the jars into a repository of Maven's layout."""
    context = MavenContext(repo_cache=repository, local_repos=[])
    wanted = [context.create_dependency(coordinate) for coordinate in coordinates]
    for dependency in wanted:
        dependency.scope = "compile"
    direct, transitive = context.resolver.resolve(wanted)
    for dependency in (*direct, *transitive):
        if dependency.scope in {"compile", "runtime"} and not dependency.optional:
            yield dependency.artifact.resolve()


if __name__ == "__main__":
    for name in sys.argv[1:] or groups():
        for path in jars(name):
            print(path)
