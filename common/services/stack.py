"""Services together: up with what they need, status, down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

from common.errors import AdstreamError, UnavailableError
from common.services.process import Record, load, start, stop

SERVICES = ("kafka", "kafka-secured", "registry", "postgres", "connect", "s3")
"""In an order in which they can be started."""
USUAL = tuple(name for name in SERVICES if name != "kafka-secured")
"""What is started when none is named: one broker, the open one."""


class Stack:
    """The services of one folder.

    Args:
        home: The folder; made when the first service starts.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()

    def up(self, services: Iterable[str] = ()) -> Iterator[Record]:
        """Starts services, and those they need; gives each as soon as it answers, running before or not.

        Args:
            services: Their names; `USUAL` for none.

        Raises:
            AdstreamError: There is no such service, it is not installed, or it does not answer.
        """
        endpoints: dict[str, Mapping[str, str]] = {}
        for name in _with_needs(tuple(services) or USUAL):
            folder = self.home / name
            record = load(folder)
            if record is None or not record.running:
                folder.mkdir(parents=True, exist_ok=True)
                service = _module(name)
                record = start(name, folder, service.launch(folder, endpoints), service.PATIENCE)
            endpoints[name] = record.endpoints
            yield record

    def status(self) -> list[tuple[str, Record | None]]:
        """Each service and its record; None if it does not run."""
        found = [(name, load(self.home / name)) for name in SERVICES]
        return [(name, record if record and record.running else None) for name, record in found]

    def down(self, services: Iterable[str] = ()) -> Iterator[str]:
        """Stops services, the last started first; gives the name of each that ran.

        Args:
            services: Their names; all for none.
        """
        named = tuple(services) or SERVICES
        _check(named)
        for name in reversed(SERVICES):
            if name in named and stop(self.home / name, _module(name).PATIENCE):
                yield name

    def endpoint(self, service: str, purpose: str) -> str:
        """Where a running service is reached.

        Raises:
            UnavailableError: It does not run.
        """
        record = load(self.home / service)
        if record is None or not record.running:
            raise UnavailableError(f"service '{service}' does not run", f"adstream services up {service}")
        return record.endpoints[purpose]


def _with_needs(services: tuple[str, ...]) -> list[str]:
    _check(services)
    wanted = set(services)
    for name in reversed(SERVICES):
        if name in wanted:
            wanted.update(_module(name).NEEDS)
    return [name for name in SERVICES if name in wanted]


def _check(services: tuple[str, ...]) -> None:
    for name in services:
        if name not in SERVICES:
            raise AdstreamError(f"there is no service '{name}'", f"name one of {', '.join(SERVICES)}")


def _module(name: str) -> ModuleType:
    return import_module(f"common.services.{name.replace('-', '_')}")
