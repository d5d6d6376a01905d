"""A revision of a job: the same job once more, with an output and a checkpoint of its own.

A revision is named by a label, as a job is, and its manifests take their names from that label: `$(JOB)` in an output,
or in the address of a job manager, is then the revision's. Only what `adstream run` runs is still called by the job's
own name, and where its state is kept is said outright, as settings may name one place for all revisions.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence

from common.errors import AdstreamError
from common.kubernetes.instance import Instance
from common.kubernetes.objects import CONTAINER, Object, container_of, driver_of, goes_on, template_of
from common.storage import below

NAME = "$(JOB)"
"""The variable that holds the value of the label."""
_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


def new_revision() -> str:
    """A name that no revision of a job has had, so that none goes on from the state of another one."""
    return secrets.token_hex(3)


def apart(objects: Iterable[Object], instance: Instance) -> tuple[Object, ...]:
    """The rendered objects of a revision, such that it runs its job and shares no state with another revision.

    Raises:
        AdstreamError: They are written in a way that two revisions could not be told apart.
    """
    found = tuple(objects)
    driver = driver_of(found)
    if not goes_on([driver]):
        raise AdstreamError(
            f"'{driver['metadata']['name']}' is a {driver['kind']}, which ends by itself",
            "only what goes on has revisions: choose the overlay of a Deployment",
        )
    return tuple(_told(item, instance) if item is driver else item for item in found)


def output_of(objects: Iterable[Object]) -> str:
    """The folder that a job writes to, as its pod has it.

    Raises:
        AdstreamError: It says none.
    """
    return _given(tuple(objects), "--output")


def input_of(objects: Iterable[Object]) -> str:
    """Where a job reads: a folder or the address of a broker."""
    return _given(tuple(objects), "--input")


def refuse_a_sink(job: str, objects: Iterable[Object]) -> None:
    """Lets only those jobs run twice that write to nothing but their own output.

    Raises:
        AdstreamError: It writes a stream or tables elsewhere.
    """
    sink = _given(tuple(objects), "--sink")
    if sink:
        raise AdstreamError(
            f"job '{job}' writes to {sink}, and two releases side by side would write everything twice",
            "release it with --strategy full-stop",
        )


def _told(driver: Object, instance: Instance) -> Object:
    arguments = [*_arguments(driver)]
    place = arguments.index("run") + 1 if "run" in arguments else len(arguments)
    if arguments[place : place + 1] != [NAME]:
        raise AdstreamError(f"container '{CONTAINER}' does not run 'adstream run {NAME}'", "see k8s/README.md")
    output = _value(arguments, "--output")
    if NAME not in output:
        raise AdstreamError(
            f"the output {output or 'is not given and'} is that of all revisions",
            f"write --output=/data/jobs/{NAME}",
        )
    arguments[place] = instance.job
    checkpoint = _value(arguments, "--checkpoint")
    if checkpoint and NAME not in checkpoint:
        raise AdstreamError(f"the checkpoint {checkpoint} is that of all revisions", f"let it hold {NAME}")
    if not checkpoint:
        storage = instance.settings.checkpoint.storage
        kept = below(storage, NAME) if storage else below(output, "_checkpoint")
        arguments.append(f"--checkpoint={kept}")
    return _with_arguments(driver, arguments)


def _with_arguments(driver: Object, arguments: Sequence[str]) -> Object:
    template = driver["spec"]["template"]
    containers = [
        {**each, "args": list(arguments)} if each["name"] == CONTAINER else each
        for each in template["spec"]["containers"]
    ]
    pod = {**template["spec"], "containers": containers}
    return {**driver, "spec": {**driver["spec"], "template": {**template, "spec": pod}}}


def _arguments(driver: Object) -> Sequence[str]:
    return tuple(container_of(driver).get("args", ()))


def _given(objects: Sequence[Object], option: str) -> str:
    """What a driver's option is set to, as its pod has it."""
    return _expanded(_value(_arguments(driver_of(objects)), option), objects)


def _value(arguments: Sequence[str], option: str) -> str:
    """What an option is set to, written in one argument or in two; the last one counts. Empty where it is not given."""
    found = ""
    for number, each in enumerate(arguments):
        if each.startswith(f"{option}="):
            found = each.partition("=")[2]
        elif each == option:
            found = "".join(arguments[number + 1 : number + 2])
    return found


def _expanded(text: str, objects: Sequence[Object]) -> str:
    """A text of a driver's arguments with the variables that its objects say the value of."""
    driver = driver_of(objects)
    template = template_of(driver)
    assert template is not None
    maps = {item["metadata"]["name"]: item.get("data", {}) for item in objects if item["kind"] == "ConfigMap"}
    known: dict[str, str] = {}
    for each in container_of(driver).get("env", ()):
        source = each.get("valueFrom", {})
        label = re.fullmatch(r"metadata\.labels\['(.+)'\]", source.get("fieldRef", {}).get("fieldPath", ""))
        entry = source.get("configMapKeyRef", {})
        if "value" in each:
            known[each["name"]] = str(each["value"])
        elif label and label[1] in template["metadata"]["labels"]:
            known[each["name"]] = template["metadata"]["labels"][label[1]]
        elif entry.get("key") in maps.get(entry.get("name"), {}):
            known[each["name"]] = str(maps[entry["name"]][entry["key"]])
    return _VARIABLE.sub(lambda found: known.get(found[1], found[0]), text)
