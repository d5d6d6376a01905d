"""Where a broker and its schema registry are reached."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit

from common.errors import AdstreamError
from common.names import pick

SCHEME = "kafka"
PASSWORD = "ADSTREAM_KAFKA_PASSWORD"  # noqa: S105 the name of a variable
GROUP = "adstream"
"""The group that readers name, as the client library wants one; offsets are the checkpoint's and never committed."""
Start = Literal["earliest", "latest"]
_OPTIONS = ("registry", "user", "start")
_WEB = ("http", "https")


@dataclass(frozen=True)
class Address:
    """A broker: `kafka://HOST:PORT[,HOST:PORT]?registry=URL[&user=NAME][&start=latest]`.

    Attributes:
        bootstrap: The brokers to ask first.
        registry: The URL of the schema registry (Confluent's API).
        user: Whom to log in as (SASL/SCRAM-SHA-256), with the password in `ADSTREAM_KAFKA_PASSWORD`;
            empty for a broker that asks nobody.
        start: Where a job that has no checkpoint begins: `earliest`, `latest`, or a time in epoch ms.
    """

    bootstrap: str
    registry: str
    user: str = ""
    start: str = "earliest"

    @classmethod
    def parse(cls, url: str) -> Address:
        """Reads a URL.

        Raises:
            AdstreamError: It is not of the form above.
        """
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        for name in options:
            pick("option", name, _OPTIONS, f"'{url}'")
        if parts.scheme != SCHEME or not parts.netloc or "registry" not in options:
            raise AdstreamError(f"'{url}' is not the address of a broker", "write kafka://HOST:PORT?registry=URL")
        start = options.get("start", "earliest")
        if not start.isdecimal() and start not in get_args(Start):
            raise AdstreamError(f"'{url}': start is '{start}'", "give earliest, latest, or a time in epoch ms")
        registry = options["registry"].rstrip("/")
        if urlsplit(registry).scheme not in _WEB:
            raise AdstreamError(f"'{url}': '{registry}' is no registry's URL", "write registry=http://HOST:PORT")
        return cls(parts.netloc, registry, options.get("user", ""), start)

    def url(self) -> str:
        """The address as `parse` reads it."""
        options = {"registry": self.registry, "user": self.user, "start": self.start}
        return f"{SCHEME}://{self.bootstrap}?{urlencode({name: value for name, value in options.items() if value})}"

    def client(self, **settings: Any) -> dict[str, Any]:
        """The configuration of a client (librdkafka, "Global configuration properties").

        Args:
            settings: What this client needs besides; `_` stands for `.`.
        """
        # Only what can't be told by an exception is logged (syslog's level 2: critical).
        config: dict[str, Any] = {"bootstrap.servers": self.bootstrap, "log_level": 2}
        if self.user:
            login = {"mechanism": "SCRAM-SHA-256", "username": self.user, "password": os.environ.get(PASSWORD, "")}
            config |= {"security.protocol": "SASL_PLAINTEXT", **{f"sasl.{k}": v for k, v in login.items()}}
        return config | {name.replace("_", "."): value for name, value in settings.items()}


@dataclass(frozen=True)
class PartitionPath:
    """A partition of a topic, and all that a task needs to read it: the path of splits.

    Attributes:
        address: The broker.
        topic: The topic.
        number: The partition.
        schemas: The folder in which schemas are kept; empty for nowhere.
    """

    address: Address
    topic: str
    number: int
    schemas: str = ""

    def url(self) -> str:
        """The path as a URL."""
        options = {"registry": self.address.registry, "user": self.address.user, "schemas": self.schemas}
        return f"{SCHEME}://{self.address.bootstrap}/{self.topic}/{self.number}?{urlencode(options)}"

    @classmethod
    def parse(cls, url: str) -> PartitionPath:
        """The path that `url` gave."""
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        topic, number = parts.path.strip("/").split("/")
        address = Address(parts.netloc, options["registry"], options.get("user", ""))
        return cls(address, topic, int(number), options.get("schemas", ""))


def is_address(place: str) -> bool:
    """Whether a place is a broker, and not a folder."""
    return place.startswith(f"{SCHEME}://")
