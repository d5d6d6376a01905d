"""What a job may do on a broker, derived from its topology: one principal a job, one writer a stream."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import TopicCollection
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from common.errors import AdstreamError
from common.streams.kafka.address import GROUP, Address
from common.streams.kafka.errors import told_plainly
from common.streams.kafka.sink import transactional_id
from common.streams.kafka.topics import internal_topics
from common.topology.graph import sinks, sources
from common.topology.nodes import Topology

TIMEOUT_SECONDS = 30.0
ANY_HOST = "*"
ITERATIONS = 4096
"""Of SCRAM's hash: the least that Kafka accepts, and its own default."""
RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
}


@dataclass(frozen=True)
class Permission:
    """What a principal may do with one thing.

    Attributes:
        resource: What kind of thing: a key of `RESOURCES`.
        name: Its name.
        operations: Kafka's names of operations, such as `READ`.
        why: What the job does with it.
    """

    resource: str
    name: str
    operations: tuple[str, ...]
    why: str


def permissions(topology: Topology) -> tuple[Permission, ...]:
    """The least that a job needs, by Kafka's rules ("Operations and Resources on Protocols")."""
    read = [Permission("topic", stream, ("DESCRIBE", "READ"), "input") for stream in sources(topology)]
    written = sinks(topology)
    if not written:  # it keeps tables
        return (*read, Permission("group", GROUP, ("READ",), "input"))
    return (*read, *writer_permissions(topology.name, written))


def writer_permissions(writer: str, written: Iterable[str]) -> tuple[Permission, ...]:
    """The least that a writer needs which reads no stream: `adstream liberate`, `adstream outbox`.

    Args:
        writer: The name under which it is known to a broker.
        written: The streams that it writes.
    """
    # It writes in transactions, which need no right to the cluster.
    outputs = [Permission("topic", name, ("CREATE", "DESCRIBE", "WRITE"), "output") for name in written]
    internal = [Permission("topic", topic.name, ("ALL",), "internal") for topic in internal_topics(writer)]
    identity = Permission("transactional id", transactional_id(writer), ("DESCRIBE", "WRITE"), "output")
    # It reads its marker, and a job its input.
    return (*outputs, *internal, identity, Permission("group", GROUP, ("READ",), "input"))


def grant(address: Address, principal: str, wanted: Iterable[Permission], shared: Iterable[str] = ()) -> None:
    """Grants permissions to a principal; what it has besides stays.

    Args:
        address: The broker, with the login of somebody who may alter the cluster.
        principal: Whom, without `User:`.
        wanted: What it shall be allowed to do.
        shared: Outputs that more than one job writes.

    Raises:
        AdstreamError: Somebody else writes an output, the broker enforces no permissions, is not reached
            (`UNAVAILABLE`), or denies it.
    """
    admin, needed = AdminClient(address.client()), tuple(wanted)
    for permission in needed:
        if "WRITE" in permission.operations and permission.resource == "topic" and permission.name not in shared:
            _check_single_writer(admin, address, principal, permission.name)
    bindings = [
        AclBinding(
            RESOURCES[permission.resource],
            permission.name,
            ResourcePatternType.LITERAL,
            f"User:{principal}",
            ANY_HOST,
            AclOperation[operation],
            AclPermissionType.ALLOW,
        )
        for permission in needed
        for operation in permission.operations
    ]
    with told_plainly(address, f"permissions of '{principal}'"):
        for future in admin.create_acls(bindings, request_timeout=TIMEOUT_SECONDS).values():
            future.result()


def check_allowed(address: Address, wanted: Iterable[Permission]) -> None:
    """Asks a broker whether it lets whoever asks do all this with the streams that are there.

    Args:
        address: The broker, with the login of the job.
        wanted: What the job does; only what it does with streams is asked.

    Raises:
        AdstreamError: Something is not allowed, or the broker is not reached (`UNAVAILABLE`).
    """
    streams = {each.name: _asked(each) for each in wanted if each.resource == "topic"}
    admin, login = AdminClient(address.client()), address.user or "anybody"
    futures = admin.describe_topics(
        TopicCollection(list(streams)), include_authorized_operations=True, request_timeout=TIMEOUT_SECONDS
    )
    for name, future in futures.items():
        with told_plainly(address, f"stream '{name}': reading what '{login}' may do", name):
            allowed = {operation.name for operation in future.result().authorized_operations or ()}
        for operation in sorted(streams[name] - allowed):
            raise AdstreamError(
                f"stream '{name}': '{login}' may not {operation}", "let somebody who may: adstream streams acl JOB"
            )


def _asked(permission: Permission) -> set[str]:
    """The operations that count once a stream is there."""
    return {"READ", "WRITE"} if "ALL" in permission.operations else set(permission.operations) - {"CREATE"}


def make_login(address: Address, name: str) -> str:
    """Makes a login (SASL/SCRAM-SHA-256), or gives it a new password.

    Args:
        address: The broker, with the login of somebody who may alter the cluster.
        name: The name of the login.

    Returns:
        The password; it is kept nowhere.

    Raises:
        AdstreamError: The broker is not reached (`UNAVAILABLE`), or denies it.
    """
    password = secrets.token_urlsafe(24)
    kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, ITERATIONS)
    login = UserScramCredentialUpsertion(name, kind, password.encode())
    admin = AdminClient(address.client())
    with told_plainly(address, f"login '{name}'"):
        for future in admin.alter_user_scram_credentials([login], request_timeout=TIMEOUT_SECONDS).values():
            future.result()
    return password


def _check_single_writer(admin: AdminClient, address: Address, principal: str, stream: str) -> None:
    anybody = AclBindingFilter(
        ResourceType.TOPIC,
        stream,
        ResourcePatternType.MATCH,
        None,
        None,
        AclOperation.ANY,
        AclPermissionType.ALLOW,
    )
    with told_plainly(address, f"stream '{stream}': reading who may write it"):
        found = admin.describe_acls(anybody, request_timeout=TIMEOUT_SECONDS).result()
    writing = {AclOperation.WRITE, AclOperation.ALL}
    others = sorted({acl.principal.removeprefix("User:") for acl in found if acl.operation in writing} - {principal})
    if others:
        raise AdstreamError(
            f"stream '{stream}': '{others[0]}' may write it, and a stream has a single writer",
            f"revoke that, or grant the job to --principal {others[0]}",
        )
