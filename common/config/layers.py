"""A job's settings from their layers: defaults, file, environment, command line, in rising order.

The file is YAML or TOML, by its suffix, with one section a job, so that one file serves all jobs:

    sessions:
      gap: 30m
      grace: 1h
      checkpoint: {retention: 3}

In the environment a setting is `ADSTREAM_` and its name in capitals: `ADSTREAM_GAP=30m`. On the command
line it is `--set gap=30m`. One of a block has the block's name before its own: `checkpoint.retention`, and
`ADSTREAM_CHECKPOINT_RETENTION`. A name that is not a setting is refused in every layer, a bad value in
the layer that decides; the message says where it came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, TomlConfigSettingsSource, YamlConfigSettingsSource

from common.config.job import JobSettings
from common.config.jobs import jobs, settings_type
from common.errors import AdstreamError
from common.names import nearest, pick

PREFIX = "ADSTREAM_"
NO_SETTINGS = frozenset({"ADSTREAM_BROKER", "ADSTREAM_DATABASE", "ADSTREAM_KAFKA_PASSWORD", "ADSTREAM_SERVICES"})
"""Variables of the suite that belong to no job: where a broker is, a database, services, how to log in."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Layers:
    """Where settings come from, in rising order.

    Attributes:
        file: A YAML or TOML file, or None.
        environment: The variables of the process.
        assignments: `KEY=VALUE` pairs; of two with one key the last holds.
    """

    file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    assignments: Sequence[str] = ()


@dataclass(frozen=True)
class Value:
    """A value that was set, and where.

    Attributes:
        raw: The value as it was written.
        where: Its place, for messages: a file and key, a variable, an option.
    """

    raw: Any
    where: str


def settings(job: str, layers: Layers) -> JobSettings:
    """The settings of a job.

    Raises:
        AdstreamError: There is no such job, a file can't be read, a name is unknown, or a value is not valid.
    """
    model = settings_type(job)
    names = names_of(model)
    values = {
        **(from_file(layers.file, job, names) if layers.file is not None else {}),
        **from_environment(layers.environment, names),
        **from_assignments(layers.assignments, names),
    }
    return validated(model, values)


def names_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The names of a model's settings; one of a block has the block's name before it, with a dot in between."""
    names: list[str] = []
    for name, field_ in model.model_fields.items():
        block = field_.annotation
        if isinstance(block, type) and issubclass(block, BaseModel):
            names += [f"{name}.{setting}" for setting in block.model_fields]
        else:
            names.append(name)
    return tuple(names)


def validated(model: type[Model], values: Mapping[str, Value]) -> Model:
    """A model of values whose names are known.

    Raises:
        AdstreamError: A value is not valid, or some of them don't fit together.
    """
    blocks: dict[str, Any] = {}
    for name, value in values.items():
        block, dot, setting = name.partition(".")
        if dot:
            blocks.setdefault(block, {})[setting] = value.raw
        else:
            blocks[name] = value.raw
    try:
        return model(**blocks)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise AdstreamError(_reason(first["msg"]), "set them so that they fit together") from None
        name, *inside = map(str, first["loc"])
        if name not in values:
            name, *inside = f"{name}.{inside[0]}", *inside[1:]
        value = values[name]
        place = ".".join((value.where, *map(str, inside)))
        raise AdstreamError(f"{place}={first['input'] if inside else value.raw}", _reason(first["msg"])) from None


def from_file(path: Path, job: str, names: Sequence[str]) -> dict[str, Value]:
    """The job's section of a file; the sections of other jobs are left to them."""
    content = _content(path)
    known = jobs()
    for name in content:
        if name in names:
            raise AdstreamError(
                f"config file '{path}': setting '{name}' stands outside a section", f"put it below '{job}'"
            )
        pick("section", str(name), known, f"config file '{path}'")
    section = content.get(job) or {}
    if not isinstance(section, dict):
        raise AdstreamError(
            f"config file '{path}': section '{job}' is not a mapping", "write one setting a line, as NAME: VALUE"
        )
    section = dict(_without_blocks(section, names))
    for name in section:
        pick("setting", str(name), names, f"config file '{path}', section '{job}'")
    return {name: Value(raw, f"config file '{path}': {job}.{name}") for name, raw in section.items()}


def from_environment(environment: Mapping[str, str], names: Sequence[str]) -> dict[str, Value]:
    """The variables that begin with `ADSTREAM_`."""
    known = {PREFIX + name.upper().replace(".", "_"): name for name in names}
    found = {}
    for variable, raw in sorted(environment.items()):
        if not variable.startswith(PREFIX) or variable in NO_SETTINGS:
            continue
        if variable not in known:
            raise AdstreamError(f"environment: unknown variable '{variable}'", nearest(variable, list(known)))
        found[known[variable]] = Value(raw, f"environment: {variable}")
    return found


def from_assignments(assignments: Sequence[str], names: Sequence[str]) -> dict[str, Value]:
    """The `KEY=VALUE` pairs of `--set`."""
    return {
        pick("setting", name, names, f"--set {name}={raw}"): Value(raw, f"--set {name}")
        for name, raw in pairs("--set", assignments).items()
    }


def pairs(option: str, assignments: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` pairs as a mapping; of two with one key the last holds.

    Raises:
        AdstreamError: One is not such a pair.
    """
    found = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.strip():
            raise AdstreamError(f"{option} {assignment}: not a pair", f"write {option} KEY=VALUE")
        found[name.strip()] = value.strip()
    return found


def _without_blocks(section: Mapping[Any, Any], names: Sequence[str]) -> Iterator[tuple[Any, Any]]:
    """A section's settings by their names, those of its blocks with the block's before them."""
    blocks = {name.partition(".")[0] for name in names if "." in name}
    for name, raw in section.items():
        if name in blocks and isinstance(raw, dict):
            yield from ((f"{name}.{setting}", value) for setting, value in raw.items())
        else:
            yield name, raw


def _content(path: Path) -> dict[Any, Any]:
    """What a config file holds."""
    where = f"config file '{path}'"
    if not path.is_file():
        raise AdstreamError(f"{where}: no such file", "check the path")
    try:
        return _source(path)()
    except (
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        yaml.YAMLError,
    ) as error:  # pydantic's sources check nothing
        raise AdstreamError(f"{where}: can't be read ({' '.join(str(error).split())})", "correct the file") from error


def _source(path: Path) -> YamlConfigSettingsSource | TomlConfigSettingsSource:
    if path.suffix in {".yaml", ".yml"}:
        return YamlConfigSettingsSource(BaseSettings, yaml_file=path)
    if path.suffix == ".toml":
        return TomlConfigSettingsSource(BaseSettings, toml_file=path)
    raise AdstreamError(f"config file '{path}': unknown suffix '{path.suffix}'", "name it .yaml, .yml or .toml")


def _reason(message: str) -> str:
    """Pydantic's sentence, as a clause."""
    reason = message.removeprefix("Value error, ").replace("Input should be", "it must be")
    reason = reason.replace("Extra inputs are not permitted", "there is no such setting")
    return reason[0].lower() + reason[1:]
