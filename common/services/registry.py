"""Apicurio Registry, a schema registry that speaks Confluent's API; its schemas are gone when it stops."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from pathlib import Path

from common.services.process import Launch, kept_port
from common.setup.jars import jars
from common.setup.java import java_home

NEEDS: tuple[str, ...] = ()
PATIENCE = 60.0


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

    java = [str(java_home() / "bin" / "java"), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    settings = ["-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={port}"]
    command = [*java, *settings, "-cp", ":".join(map(str, jars("registry"))), "io.quarkus.runner.GeneratedMain"]
    return Launch(command, {"url": url}, ready)
