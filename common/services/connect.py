"""Kafka Connect, a cluster of one worker, with Debezium for PostgreSQL.

Connectors, their offsets and their states lie in three topics of the broker, as in production: a connector that
was posted once runs again after a restart.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from pathlib import Path

from common.services.jvm import java
from common.services.process import Launch, kept_port

NEEDS: tuple[str, ...] = ("kafka",)
PATIENCE = 90.0

_PROPERTIES = """\
bootstrap.servers={bootstrap}
listeners=http://127.0.0.1:{port}
group.id=connect
config.storage.topic=connect-configs
offset.storage.topic=connect-offsets
offset.storage.partitions=1
status.storage.topic=connect-status
status.storage.partitions=1
# One node holds the only replica of everything.
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
offset.flush.interval.ms=1000
plugin.discovery=service_load
"""


def launch(folder: Path, endpoints: Mapping[str, Mapping[str, str]]) -> Launch:
    """Prepares the service's folder.

    Args:
        folder: The service's folder.
        endpoints: Where the services it needs are reached, by name.
    """
    port = kept_port(folder, "http")
    url = f"http://127.0.0.1:{port}"
    config = folder / "connect.properties"
    config.write_text(_PROPERTIES.format(bootstrap=endpoints["kafka"]["bootstrap"], port=port))

    def ready() -> bool:
        with urllib.request.urlopen(f"{url}/connectors", timeout=2) as response:
            return bool(response.status == 200)

    main = "org.apache.kafka.connect.cli.ConnectDistributed"
    return Launch(java("connect", 512, (), main, str(config)), {"url": url}, ready)
