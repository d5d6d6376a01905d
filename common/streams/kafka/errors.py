"""What a broker says, as one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from common.errors import AdstreamError, UnavailableError
from common.streams.kafka.address import PASSWORD, Address

PROBE_SECONDS = 3.0
ACCEPT = "adstream offsets advance JOB --output OUTPUT accepts the loss"
"""The remedy for records that are gone before they were taken."""
DENIED = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
)
_UNREACHED = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT)  # noqa: SLF001
_FENCED = (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED)  # noqa: SLF001
_UNKNOWN = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)  # noqa: SLF001
_REFUSED = (
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_TRANSACTION_TIMEOUT,
    KafkaError.POLICY_VIOLATION,
)


@contextmanager
def told_plainly(address: Address, what: str, stream: str = "STREAM") -> Iterator[None]:
    """Turns a client's exception into an `AdstreamError`.

    Args:
        address: The broker.
        what: What was attempted, with its object: `stream 'ad-views': reading`.
        stream: The stream that is to be made if it turns out to be missing.

    Raises:
        AdstreamError: The client raised (`UNAVAILABLE`, unless the request itself is refused).
    """
    try:
        yield
    except KafkaException as error:
        raise _plain(error.args[0], address, what, stream) from error


def taken_over(what: str) -> AdstreamError:
    """The failure of a run that was fenced: a second copy of a job has started, or this one stood still for long."""
    return AdstreamError(f"{what}: another run of this job has taken over", "stop one of the two")


def _plain(error: KafkaError, address: Address, what: str, stream: str) -> AdstreamError:
    code = error.code()
    if code in _UNREACHED and address.user and _login_is_refused(address):
        code = KafkaError._AUTHENTICATION  # noqa: SLF001
    if code in DENIED:
        user = address.user or "nobody"
        return AdstreamError(f"{what}: the broker denies it to '{user}'", "adstream streams acl JOB --apply grants it")
    if code == KafkaError._AUTHENTICATION:  # noqa: SLF001 librdkafka's own codes begin so
        return AdstreamError(
            f"{what}: the broker does not accept the login of '{address.user or 'nobody'}'",
            f"set {PASSWORD}, and user= in the address",
        )
    if code in _FENCED:
        return taken_over(what)
    if code in _UNKNOWN:
        return AdstreamError(f"{what}: the broker has no such stream", f"adstream streams create {stream}")
    if code in _REFUSED:
        return AdstreamError(f"{what}: the broker does not take it ({error.str()})", "see the settings of the broker")
    return UnavailableError(
        f"{what}: the broker at {address.bootstrap} does not serve it ({error.str()})",
        "start it (adstream services up kafka), or correct the address",
    )


def _login_is_refused(address: Address) -> bool:
    """Whether it is the login that keeps a broker from being reached: a client only hears of that on the side."""
    heard: list[int] = []
    client = AdminClient({**address.client(), "error_cb": lambda error: heard.append(error.code())})
    with suppress(KafkaException):
        client.list_topics(timeout=PROBE_SECONDS)
    client.poll(0)
    return KafkaError._AUTHENTICATION in heard  # noqa: SLF001
