"""How a run is started on Flink: a mini-cluster in its own process, `flink run` to a cluster, or a job manager of its own.

Flink may have an environment of its own, `.venv-flink`; this module runs in the command line's and never imports it.

Options of the engine (`JobSpec.options`): `master` (`HOST:PORT` of a job manager; `application` to be the job manager
of this job, which task managers come to; without it, this machine), `memory` (the mini-cluster's heap), and any
property of Flink's own, a name with a dot in it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from common.errors import AdstreamError, UnavailableError
from common.names import pick
from common.runtime.spec import JobSpec
from common.setup.java import java_home

ROOT = Path(__file__).parents[3]
"""Where the packages `common` and `jobs` are."""
HERE = Path(__file__).parent
ENVIRONMENT = Path(sys.prefix) if find_spec("pyflink") else ROOT / ".venv-flink"
"""Where Flink is: in an image with the command line, on a contributor's machine beside its environment."""
PYTHON = ENVIRONMENT / "bin" / "python"
MEMORY = "2g"
PYTHON_DRIVER = "org.apache.flink.client.python.PythonDriver"
"""The class that runs a Python file as the main program of a job."""
OPTIONS = ("master", "memory")
MAX_PARALLELISM = 256
"""Flink's key groups, fixed for the life of its checkpoints: no more tasks can share the state."""
APPLICATION = "application"
"""The master of a run whose process is the job manager ("Application Mode"): it lives as long as the job."""
JAVA_OPENS = (
    *("java.lang", "java.lang.reflect", "java.net", "java.io", "java.nio", "java.text", "java.time", "sun.nio.ch"),
    *("java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks"),
)
"""Packages that Flink looks into, as its own start scripts say."""
BUNDLE = 64
"""How many elements Flink hands to a Python process at a time, at most."""
_ON_THIS_MACHINE = {
    # Python in threads of the task manager: no copy through a socket, no bundle that holds results back.
    "python.execution-mode": "thread",
    "restart-strategy.type": "none",
}
_ON_A_CLUSTER = {
    # Java loads the library that threads need once a process, and a session cluster runs many jobs in one.
    "python.execution-mode": "process",
    "python.fn-execution.bundle.size": str(BUNDLE),
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": "3",
    "restart-strategy.fixed-delay.delay": "3 s",
}
_CHECKPOINTING = {
    "execution.checkpointing.interval": "10 s",
    "execution.checkpointing.min-pause": "1 s",
    "execution.checkpointing.num-retained": "2",
    "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
}

_AS_AN_APPLICATION = {
    "execution.attached": "true",  # the main program waits for the end of the job, and knows why it failed
    "execution.shutdown-on-application-finish": "true",
}
_WITHOUT_AN_END = {
    # It is started anew from the suite's checkpoint: what Flink would restore knows nothing of the steps planned since.
    "restart-strategy.type": "none",
    "execution.buffer-timeout.interval": "10 ms",
    "python.fn-execution.bundle.time": "50",
}


def command(spec_path: Path, spec: JobSpec) -> list[str]:
    """The command that runs the spec.

    Raises:
        AdstreamError: An option is not known, or Flink is not installed.
    """
    options = _options(spec)
    if "master" not in options:
        return [str(PYTHON), "-m", "common.engines.flink", str(spec_path)]
    return [
        *_start(options["master"]),
        *(f"-D{name}={value}" for name, value in properties(spec).items()),
        *("-pyclientexec", str(PYTHON), "-pyexec", str(PYTHON)),
        *("-py", str(HERE / "__main__.py"), str(spec_path)),
    ]


def _start(master: str) -> tuple[str, ...]:
    """What starts a job on a cluster."""
    scripts = flink_home() / "bin"
    if master == APPLICATION:
        return (str(scripts / "standalone-job.sh"), "start-foreground", "--job-classname", PYTHON_DRIVER)
    return (str(scripts / "flink"), "run", "-m", master)


def environment(spec: JobSpec) -> dict[str, str]:
    """The variables that the command needs, over those of this process."""
    logs = Path(spec.output).absolute() / "_run" / "flink-logs"
    logs.mkdir(parents=True, exist_ok=True)
    opens = " ".join(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in JAVA_OPENS)
    options = _options(spec)
    # A job manager's heap follows from its `jobmanager.memory.process.size`.
    heap = "" if options.get("master") == APPLICATION else f"-Xmx{options['memory']} "
    return {
        "JAVA_HOME": str(java_home()),
        "FLINK_HOME": str(flink_home()),
        "FLINK_LOG_DIR": str(logs),
        "_python_worker_execution_mode": "process",  # spares a server that tasks in threads do not use
        "FLINK_ENV_JAVA_OPTS": f"{heap}{opens}",
        "PYTHONPATH": str(ROOT),
    }


def check(spec: JobSpec) -> tuple[str, ...]:
    """Refuses what only a run with checkpoints of Flink's own can do, and more tasks than can share the state."""
    if spec.parallelism > MAX_PARALLELISM:
        raise AdstreamError(
            f"parallelism={spec.parallelism}: a job on Flink has at most {MAX_PARALLELISM} tasks",
            f"set {MAX_PARALLELISM} or less, or run it on another engine",
        )
    block = spec.typed_settings().checkpoint
    if block.state_backend != "suite" and spec.mode == "batch":
        raise AdstreamError(
            f"checkpoint.state_backend={block.state_backend} has no meaning in batch mode", "leave it out"
        )
    return ()


def unavailable() -> str | None:
    """Why Flink can't run here, with the remedy; None when it can."""
    if not PYTHON.exists():
        return f"there is no environment {ENVIRONMENT}: run `make setup`"
    try:
        flink_home()
        java_home()
    except AdstreamError as error:
        return str(error)
    return None


def flink_home() -> Path:
    """Flink's distribution, which is inside the package.

    Raises:
        AdstreamError: It is not installed (`UNAVAILABLE`).
    """
    home = next(ENVIRONMENT.glob("lib/python3.*/site-packages/pyflink"), None)
    if home is None:
        raise UnavailableError(f"apache-flink is not installed in {ENVIRONMENT}", "run `make setup`")
    return home


def properties(spec: JobSpec) -> dict[str, str]:
    """Flink's properties for a run; those among the spec's options come last and win."""
    master = _options(spec).get("master")
    suite = _ON_A_CLUSTER if master else _ON_THIS_MACHINE
    if master == APPLICATION:
        suite = suite | _AS_AN_APPLICATION
    if spec.mode == "stream":
        suite = suite | (_CHECKPOINTING if spec.until_caught_up else _WITHOUT_AN_END) | _checkpointing(spec)
    return suite | {name: value for name, value in spec.options.items() if "." in name}


def shared_cluster(spec: JobSpec) -> str | None:
    """The job manager, `HOST:PORT`, of a cluster that outlives the run and may run other jobs; None without one."""
    master = _options(spec).get("master")
    return None if master == APPLICATION else master


def _checkpointing(spec: JobSpec) -> dict[str, str]:
    """The settings below `checkpoint` by Flink's names ("Checkpointing" and "State backends" of its documentation).

    Flink's own checkpoints protect a run that ends. One without an end has none: there the interval is that of the
    suite's checkpoint (`sources.PlanSteps`).
    """
    block = spec.typed_settings().checkpoint
    rendered: dict[str, str] = {}
    if block.state_backend != "suite":
        rendered["state.backend.type"] = block.state_backend
    if spec.until_caught_up:
        rendered["execution.checkpointing.mode"] = "EXACTLY_ONCE"
        rendered["execution.checkpointing.num-retained"] = str(max(2, block.retention))
        if block.interval is not None:
            rendered["execution.checkpointing.interval"] = f"{block.interval} ms"
            rendered["execution.checkpointing.min-pause"] = f"{min(block.interval, 1_000)} ms"
    return rendered


def _options(spec: JobSpec) -> Mapping[str, str]:
    given = {name: value for name, value in spec.options.items() if "." not in name}
    return {"memory": MEMORY} | {
        pick("option", name, OPTIONS, "engine 'flink'"): value for name, value in given.items()
    }
