"""What can be said of the images without building them: pinned, without root, without tools, all alike."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from common.kubernetes.objects import containers
from tests.k8s.policies import USER
from tests.k8s.rendered import ABOUT_JOBS, ROOT, pods

IMAGES = ROOT / "k8s" / "images"
TEXT = (IMAGES / "Dockerfile").read_text()
STAGES = {
    head.split()[-1]: (head.split()[0], body)
    for head, _, body in (stage.partition("\n") for stage in re.split(r"^FROM ", TEXT, flags=re.MULTILINE)[1:])
}
"""What each stage begins with, and its instructions."""
ENGINES = ("spark", "flink", "beam")


def instructions(stage: str) -> list[str]:
    """Those of a stage, behind those of the stages of this file that it begins with."""
    base, body = STAGES[stage]
    own = [line for line in body.splitlines() if line and not line.startswith("#")]
    return [*(instructions(base) if base in STAGES else ()), *own]


def test_images_stand_on_one_debian_and_one_lock_file() -> None:
    (debian,) = re.findall(r"^ARG DEBIAN=(\S+)$", TEXT, re.MULTILINE)
    assert re.fullmatch(r"docker\.io/library/debian:\d+\.\d+-slim", debian)
    assert [base for base, _ in STAGES.values() if base not in STAGES] == ["${DEBIAN}"]
    (uv,) = re.findall(r"^ARG UV_VERSION=(\S+)$", TEXT, re.MULTILINE)
    assert f"UV_VERSION := {uv}\n" in (ROOT / "Makefile").read_text()
    for engine in ENGINES:
        packages = "\n".join(instructions(f"{engine}-packages"))
        assert f"uv sync --quiet --locked --no-dev --no-install-project --extra {engine} " in packages


@pytest.mark.parametrize("engine", ENGINES)
def test_an_image_runs_as_nobody_in_particular_and_holds_no_tools(engine: str) -> None:
    lines = instructions(engine)
    assert lines.index(f"USER {USER}:{USER}") > max(n for n, line in enumerate(lines) if line.startswith("COPY"))
    assert not [line for line in lines if re.search(r"\b(pip|uv|curl|wget|gcc|g\+\+|make|python3-venv|git)\b", line)]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_changes_least_comes_first(engine: str) -> None:
    copied = [line.split()[1] for line in instructions(engine) if line.startswith("COPY --from=")]
    assert copied == [f"--from={engine}-packages", "--from=suite", "--from=suite"]
    packages = "\n".join(instructions(f"{engine}-packages"))
    assert packages.index("COPY pyproject.toml uv.lock") < packages.index("uv sync")
    assert "COPY common" not in packages


@pytest.mark.parametrize("overlay", ABOUT_JOBS)
def test_every_image_of_a_pod_is_one_that_is_built(overlay: str) -> None:
    built = {f"adstream-{engine}" for engine in ENGINES}
    for where, template in pods(overlay):
        for container in containers(template["spec"]):
            assert container["image"].rpartition("/")[2].partition(":")[0] in built, where


def test_the_main_program_of_the_operator_is_where_the_image_has_it() -> None:
    (packages_at,) = set(re.findall(r"/opt/adstream/lib/(python3\.\d+)/", TEXT))
    application = (ROOT / "k8s/base/spark-operator/application.yaml").read_text()
    program = f"local:///opt/adstream/lib/{packages_at}/site-packages/common/engines/spark/__main__.py"
    assert f"mainApplicationFile: {program}\n" in application
    assert (ROOT / program.partition("site-packages/")[2]).is_file()


@pytest.mark.parametrize("script", sorted(IMAGES.rglob("*.sh")), ids=lambda path: path.name)
def test_a_script_is_whole_and_can_be_run(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True, check=False).stderr == b""
