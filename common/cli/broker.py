"""Which broker a command means."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from common.cli.services import stack
from common.streams.kafka.address import Address

Broker = Annotated[
    str,
    Parameter(
        name="--broker",
        env_var="ADSTREAM_BROKER",
        show_default=False,
        help="kafka://HOST:PORT?registry=URL&user=NAME; that of the local services if absent.",
    ),
]


def address_of(broker: str) -> Address:
    """The address that was given, or that of the local services.

    Raises:
        AdstreamError: It is not an address, or none was given and the services do not run.
    """
    if broker:
        return Address.parse(broker)
    local = stack(None)
    return Address(local.endpoint("kafka", "bootstrap"), local.endpoint("registry", "url"))
