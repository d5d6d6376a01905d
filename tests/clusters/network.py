"""A second host on this machine: a network namespace behind a bridge, whose cable can be pulled. It takes root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

HERE, THERE = "10.213.{net}.1", "10.213.{net}.2"


def unavailable() -> str | None:
    """Why there can be no second host here; None where there can."""
    if os.geteuid() != 0:
        return "a second host takes root: it is a network namespace"
    return None if shutil.which("ip") else "there is no `ip`"


class Network:
    """This host and another one.

    Args:
        net: Tells networks apart that are there at once; 0 to 255.
    """

    def __init__(self, net: int) -> None:
        self.here, self.there = HERE.format(net=net), THERE.format(net=net)
        self._name, self._bridge, self._cable = f"adstream{net}", f"adsbr{net}", f"adscb{net}"

    @property
    def prefix(self) -> tuple[str, ...]:
        """What lets a command run on the other host."""
        return ("ip", "netns", "exec", self._name)

    @contextmanager
    def up(self) -> Iterator[Network]:
        """Both hosts, while the context lasts."""
        try:
            _ip("netns", "add", self._name)
            _ip("link", "add", self._bridge, "type", "bridge")
            _ip("addr", "add", f"{self.here}/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")
            _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self._name)
            _ip("link", "set", self._cable, "master", self._bridge)
            _ip("-n", self._name, "addr", "add", f"{self.there}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", self._name, "link", "set", device, "up")
            self.connected(True)
            yield self
        finally:
            for undo in (("link", "del", self._cable), ("link", "del", self._bridge), ("netns", "del", self._name)):
                subprocess.run(["ip", *undo], check=False, capture_output=True)

    def connected(self, connected: bool) -> None:
        """Plugs the cable in, or pulls it."""
        _ip("link", "set", self._cable, "up" if connected else "down")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
