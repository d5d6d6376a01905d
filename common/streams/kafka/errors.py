"""What a broker says, as one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from common.errors import AdstreamError, ExitCode
from common.streams.kafka.address import Address

_DENIED = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
)
_FENCED = (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED)  # noqa: SLF001


@contextmanager
def told_plainly(address: Address, what: str) -> Iterator[None]:
    """Turns a client's exception into an `AdstreamError`.

    Args:
        address: The broker.
        what: What was attempted, with its object: `stream 'ad-views': reading`.

    Raises:
        AdstreamError: The client raised (`UNAVAILABLE`, unless the request itself is refused).
    """
    try:
        yield
    except KafkaException as error:
        raise _plain(error.args[0], address, what) from error


def _plain(error: KafkaError, address: Address, what: str) -> AdstreamError:
    code = error.code()
    if code in _DENIED:
        user = address.user or "nobody"
        return AdstreamError(f"{what}: the broker denies it to '{user}'", "adstream streams acl JOB --apply grants it")
    if code in _FENCED:
        return AdstreamError(f"{what}: another run of this job has taken over", "stop one of the two")
    if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return AdstreamError(f"{what}: the broker has no such stream", "adstream streams create STREAM")
    return AdstreamError(
        f"{what}: the broker at {address.bootstrap} does not serve it ({error.str()})",
        "start it (adstream services up kafka), or correct the address",
        ExitCode.UNAVAILABLE,
    )
