"""What can be said of the images without building them: pinned, without root, without tools in the last stage, all alike."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from common.kubernetes.objects import containers
from tests.k8s.policies import USER
from tests.k8s.rendered import ABOUT_JOBS, ROOT, pods

IMAGES = ROOT / "k8s" / "images"
FILES = sorted(IMAGES.glob("*/Dockerfile"))


def name(path: Path) -> str:
    return path.parent.name


def last_stage(path: Path) -> list[str]:
    """The instructions of the stage that becomes the image, and of the one that it begins with."""
    *_, last = re.split(r"^FROM ", path.read_text(), flags=re.MULTILINE)
    return [line for line in last.splitlines() if line and not line.startswith("#")]


def packages(path: Path) -> set[str]:
    """Debian's packages in the stage that the image stands on."""
    _, system, *_ = re.split(r"^FROM ", path.read_text(), flags=re.MULTILINE)
    (line,) = re.findall(r"apt-get install --yes --no-install-recommends (.*) \\", system)
    return set(line.split())


@pytest.mark.parametrize("path", FILES, ids=name)
def test_an_image_stands_on_one_debian_and_one_lock_file(path: Path) -> None:
    text = path.read_text()
    (debian,) = re.findall(r"^ARG DEBIAN=(\S+)$", text, re.MULTILINE)
    assert re.fullmatch(r"docker\.io/library/debian:\d+\.\d+-slim", debian)
    assert debian in FILES[0].read_text(), "all begin with the same layer"
    (uv,) = re.findall(r"^ARG UV_VERSION=(\S+)$", text, re.MULTILINE)
    assert f"UV_VERSION := {uv}\n" in (ROOT / "Makefile").read_text()
    assert "uv sync --quiet --locked --no-dev --no-install-project" in text
    assert f"--extra {path.parent.name} " in text


@pytest.mark.parametrize("path", FILES, ids=name)
def test_an_image_runs_as_nobody_in_particular_and_holds_no_tools(path: Path) -> None:
    stage = last_stage(path)
    assert f"USER {USER}:{USER}" in stage
    assert stage.index(f"USER {USER}:{USER}") > max(n for n, line in enumerate(stage) if line.startswith("COPY"))
    assert not [line for line in stage if re.search(r"\b(apt-get|pip|uv|curl|wget|gcc)\b", line)]
    assert not packages(path) & {"gcc", "g++", "make", "python3-pip", "python3-venv", "curl", "git"}
    assert stage[0] == "system", "the last stage begins without what the others have built with"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_changes_least_comes_first(path: Path) -> None:
    copied = [line for line in last_stage(path) if line.startswith("COPY --from=")]
    assert [line.split()[1] for line in copied] == ["--from=packages", "--from=suite", "--from=suite"]
    text = path.read_text()
    assert text.index("COPY pyproject.toml uv.lock") < text.index("uv sync") < text.index("COPY common")


@pytest.mark.parametrize("overlay", ABOUT_JOBS)
def test_every_image_of_a_pod_is_one_that_is_built(overlay: str) -> None:
    built = {f"adstream-{path.parent.name}" for path in FILES}
    for where, template in pods(overlay):
        for container in containers(template["spec"]):
            assert container["image"].rpartition("/")[2].partition(":")[0] in built, where


def test_the_main_program_of_the_operator_is_where_the_image_has_it() -> None:
    (packages_at,) = set(re.findall(r"/opt/adstream/lib/(python3\.\d+)/", (IMAGES / "spark/Dockerfile").read_text()))
    application = (ROOT / "k8s/base/spark-operator/application.yaml").read_text()
    program = f"local:///opt/adstream/lib/{packages_at}/site-packages/common/engines/spark/__main__.py"
    assert f"mainApplicationFile: {program}\n" in application
    assert (ROOT / program.partition("site-packages/")[2]).is_file()


@pytest.mark.parametrize("script", sorted(IMAGES.rglob("*.sh")), ids=lambda path: path.name)
def test_a_script_is_whole_and_can_be_run(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True, check=False).stderr == b""
