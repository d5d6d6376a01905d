"""A broker that asks who one is (SASL/SCRAM) and lets nobody do what was not granted (StandardAuthorizer).

The login `admin`, whose password lies in `admin.password`, may do everything; all others are made and granted
with it: `adstream streams login`, `adstream streams acl`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from common.services.kafka import node
from common.services.process import Launch

NEEDS: tuple[str, ...] = ()
PATIENCE = 60.0
LISTENER = "SASL_PLAINTEXT"
ADMIN = "admin"
PASSWORD_FILE = "admin.password"  # noqa: S105 the name of a file

_SECURED = """\
listener.security.protocol.map=CONTROLLER:SASL_PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-256
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-256
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required username="{admin}" password="{password}";
# SCRAM's logins lie in the controller, so the controller itself can't ask for one.
sasl.mechanism.controller.protocol=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required username="{admin}" password="{password}" \
user_{admin}="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{admin}
"""


def launch(folder: Path, endpoints: Mapping[str, Mapping[str, str]]) -> Launch:
    """Prepares the service's folder, formatting its storage and making the login `admin` the first time.

    Args:
        folder: The service's folder.
        endpoints: Where the services it needs are reached, by name.
    """
    password = _password(folder)
    login = ("--add-scram", f"SCRAM-SHA-256=[name={ADMIN},password={password}]")
    return node(folder, LISTENER, _SECURED.format(admin=ADMIN, password=password), login)


def _password(folder: Path) -> str:
    """The password of `admin`, made up the first time."""
    kept = folder / PASSWORD_FILE
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_hex(16))
    return kept.read_text()
