"""Apicurio Registry, a schema registry that speaks Confluent's API; its schemas lie in a file."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from common.services.jvm import java
from common.services.process import Launch, kept_port

NEEDS: tuple[str, ...] = ()
PATIENCE = 60.0
LEVEL = "FULL_TRANSITIVE"
"""What a subject must keep that has no level of its own; Apicurio's default is that anything goes."""


def launch(folder: Path, endpoints: Mapping[str, Mapping[str, str]]) -> Launch:
    """Prepares the service's folder.

    Args:
        folder: The service's folder.
        endpoints: Where the services it needs are reached, by name.
    """
    port = kept_port(folder, "http")
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"

    def ready() -> bool:
        with urllib.request.urlopen(f"{url}/subjects", timeout=2) as response:
            return bool(response.status == 200)

    settings = ("-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={port}")
    return Launch(
        command=java("registry", 256, settings, "io.quarkus.runner.GeneratedMain"),
        endpoints={"url": url},
        ready=ready,
        settle=lambda: _set_level(url),
        # In the place of its database in memory: an id in a record must mean the same after a restart.
        env={"REGISTRY_DATASOURCE_URL": f"jdbc:h2:file:{folder / 'schemas'};WRITE_DELAY=0"},
    )


def _set_level(url: str) -> None:
    body = json.dumps({"compatibility": LEVEL}).encode()
    request = urllib.request.Request(f"{url}/config", body, {"Content-Type": "application/json"}, method="PUT")
    with urllib.request.urlopen(request, timeout=10):
        pass
