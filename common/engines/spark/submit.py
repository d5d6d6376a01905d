"""How a run is started on Spark: the `spark-submit` line, the same for this machine and for a cluster.

Options of the engine (`JobSpec.options`): `master` (default: this machine, as many tasks as the job's parallelism),
`deploy-mode` (`client`: the driver runs here; `cluster`, on Kubernetes: in a pod, which is waited for), `driver-memory`,
`executor-memory`, any property of Spark's own, `spark.…`, and those of `allocation.py`: `executors=1..4` lets executors
come with the work and go without it.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from common.engines.checkpointing import only_own_tables, saved
from common.engines.spark import allocation
from common.engines.spark.allocation import Allocation
from common.errors import AdstreamError
from common.names import pick
from common.runtime.spec import JobSpec
from common.setup.cache import cache_folder, provide
from common.setup.java import java_home

ROOT = Path(__file__).parents[3]
"""Where the packages `common` and `jobs` are."""
HERE = Path(__file__).parent
MEMORY = "2g"
LIGHT_JIT = "-XX:TieredStopAtLevel=1"
"""The JVM only moves frames: optimising its code costs more than it gives (measured: half of its CPU time)."""
PLAIN_FILES = "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
"""Writes a query's log without starting `chmod` for each file, as the default does: 80 ms a micro-batch."""
OPTIONS = ("master", "deploy-mode", "driver-memory", "executor-memory", *allocation.OPTIONS)
DEPLOY_MODES = ("client", "cluster")


def command(spec_path: Path, spec: JobSpec) -> list[str]:
    """The command that runs the spec. For a master elsewhere, it packs the code; an image has it.

    Raises:
        AdstreamError: An option is not known, or has no such value.
    """
    options, main = _options(spec), str(HERE / "__main__.py")
    line = [str(_spark_home() / "bin" / "spark-submit"), "--name", f"adstream {spec.job}"]
    for name, value in session(spec).items():
        line += ["--conf", f"{name}={value}"]
    if options["deploy-mode"] == "cluster":
        line += ["--deploy-mode", "cluster"]
        main = f"local://{main}"  # the image that the driver's pod has is the one that this process runs in
    return [*line, main, str(spec_path)]


def environment(spec: JobSpec) -> Mapping[str, str]:
    """The variables that the command needs, over those of this process."""
    suite = {
        "JAVA_HOME": str(java_home()),
        "SPARK_HOME": str(_lean_home()),
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
    }
    if _in_pods(_options(spec)["master"]):
        return suite  # the image's modules are compiled, and its files can't be written
    # Each query starts Python anew: without compiled modules at hand, that takes a second or two longer.
    return suite | {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(cache_folder() / "bytecode")}


def check(spec: JobSpec) -> tuple[str, ...]:
    """Refuses a state backend; an interval is told to have no meaning."""
    only_own_tables(spec)
    return saved(spec, "with each step")


def unavailable() -> str | None:
    """Why Spark can't run here, with the remedy; None when it can."""
    if find_spec("pyspark") is None:
        return "pyspark is not installed: run `make setup`, or install adstream[spark]"
    try:
        java_home()
    except AdstreamError as error:
        return str(error)
    return None


def properties(spec: JobSpec) -> dict[str, str]:
    """Spark's properties for a run; those among the spec's options come last and win."""
    log = Path(spec.output).absolute() / "_run" / "spark.log"
    logging = f"-Dlog4j2.configurationFile={_quoted(HERE / 'log4j2.properties')} -Dadstream.log={_quoted(log)}"
    suite = {
        "spark.driver.extraJavaOptions": f"{LIGHT_JIT} {logging}",
        "spark.executor.extraJavaOptions": LIGHT_JIT,
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.adaptive.enabled": "false",  # buckets have their places, and tasks are what the job says
        "spark.sql.execution.arrow.maxBytesPerBatch": str(16 * 2**20),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "1024",
        "spark.sql.streaming.checkpointFileManagerClass": PLAIN_FILES,
    }
    if _on_this_machine(_options(spec)["master"]):
        suite |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
        }
    return suite | _allocated(spec) | {k: value for k, value in spec.options.items() if k.startswith("spark.")}


def session(spec: JobSpec) -> dict[str, str]:
    """All properties of a run's session, the master included. For a master elsewhere, it packs the code beside the run."""
    options = _options(spec)
    named = {"spark.master": options["master"], "spark.driver.memory": options["driver-memory"]}
    if not _on_this_machine(options["master"]):
        named["spark.executor.memory"] = options["executor-memory"]
        if not _in_pods(options["master"]):
            named["spark.submit.pyFiles"] = str(_packed(Path(spec.output, "_run")))
    return named | properties(spec)


def _quoted(path: Path) -> str:
    """A path among options of Java, which Spark takes apart at spaces."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _allocated(spec: JobSpec) -> dict[str, str]:
    """What the options say of the executors; on this machine there are none but the driver itself."""
    options = _options(spec)
    given = {name: options[name] for name in allocation.OPTIONS if name in options}
    if given and _on_this_machine(options["master"]):
        raise AdstreamError(f"option {next(iter(given))} needs a cluster", "add --option master=spark://HOST:7077")
    allocated = Allocation.of(given, spec.parallelism)
    if allocated is None:
        return {"spark.executor.cores": given["executor-cores"]} if given else {}
    return allocated.properties()


def _options(spec: JobSpec) -> dict[str, str]:
    known = {
        "master": f"local[{spec.parallelism}]",
        "deploy-mode": "client",
        "driver-memory": MEMORY,
        "executor-memory": MEMORY,
    }
    given = {name: value for name, value in spec.options.items() if not name.startswith("spark.")}
    options = known | {pick("option", name, OPTIONS, "engine 'spark'"): value for name, value in given.items()}
    mode = pick("deploy-mode", options["deploy-mode"], DEPLOY_MODES)
    if mode == "cluster" and not _in_pods(options["master"]):
        raise AdstreamError(
            f"deploy-mode=cluster with master={options['master']}: only Kubernetes starts the driver of this suite",
            "leave deploy-mode out, or give --option master=k8s://https://HOST:PORT",
        )
    return options


def _on_this_machine(master: str) -> bool:
    return master == "local" or master.startswith("local[")


def _in_pods(master: str) -> bool:
    """Whether executors are pods, whose image holds the suite (k8s/images)."""
    return master.startswith("k8s://")


def _spark_home() -> Path:
    """Spark's distribution, which is inside the package; found without importing it."""
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        raise AdstreamError("pyspark is not installed", "run `make setup`, or install adstream[spark]")
    return Path(found.origin).parent


def _lean_home() -> Path:
    """The distribution without its Python sources.

    Spark puts its home's `pyspark.zip` before the installed package, and what is imported from a zip is compiled anew
    in every process: about a second of each Python worker's start.
    """
    home = _spark_home()
    place = cache_folder() / "spark" / sha256(str(home).encode()).hexdigest()[:16]

    def link(folder: Path) -> None:
        for name in ("bin", "sbin", "jars"):
            (folder / name).symlink_to(home / name)

    return provide(place, link)


def _packed(folder: Path) -> Path:
    """The code of the suite and of its jobs as a zip, for `--py-files`."""
    target = folder / "adstream.zip"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in _code():
            packed.write(path, path.relative_to(ROOT))
    return target


def _code() -> Iterator[Path]:
    for package in ("common", "jobs"):
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                yield path
