"""The command line of a service that runs on Java."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common.setup.jars import jars
from common.setup.java import java_home

LOGGING = Path(__file__).with_name("log4j2.properties")


def java(group: str, heap_mb: int, settings: Sequence[str], main: str, *arguments: str) -> list[str]:
    """A Java process that starts fast and stays small.

    Args:
        group: Its jars, a group of `jars.yaml`.
        heap_mb: The most memory its heap takes, in MiB.
        settings: Properties, `-Dname=value`.
        main: The class to start.
        arguments: What that class is given.

    Raises:
        AdstreamError: There is no Java, or the jars cannot be had (`UNAVAILABLE`).
    """
    small = [f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={LOGGING}"]
    classpath = ":".join(map(str, jars(group)))
    return [str(java_home() / "bin" / "java"), *small, *settings, "-cp", classpath, main, *arguments]
