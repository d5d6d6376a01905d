"""`adstream k8s deploy`: a release with checks before it and after it, and a way back."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from cyclopts import Parameter

from common.cli.k8s_blue_green import blue_green
from common.cli.k8s_full_stop import full_stop
from common.cli.k8s_release import Release, Strategy
from common.cli.k8s_target import NOTHING, Context, Given, Place, target
from common.cli.options import Job, duration
from common.kubernetes.numbers import Bounds
from common.names import pick

STRATEGIES: Mapping[str, Strategy] = MappingProxyType({"full-stop": full_stop, "blue-green": blue_green})
"""How a release takes the place of what runs, by the names that users give."""


def deploy(
    job: Job,
    /,
    *,
    place: Place,
    context: Context = "",
    given: Given = NOTHING,
    strategy: Annotated[
        str,
        Parameter(
            help="full-stop: the old one ends, the new one goes on with its state. blue-green: the new one reads all "
            "anew beside the old one, into an output of its own, and takes over when it has caught up."
        ),
    ] = "full-stop",
    patience: Annotated[
        str, Parameter(help="How long the new pods may take until they are ready, and until they have caught up.")
    ] = "10m",
    watch: Annotated[
        str, Parameter(help="How long the job is looked at, once it runs; a job that stands still is noticed after 1m.")
    ] = "2m",
    dead_share: Annotated[
        float, Parameter(help="The largest share of dead letters among the records since the release.")
    ] = 0.01,
) -> None:
    """Release a job: check it where it will run, put it in the place of the old one, look at it, go back if it is not well.

    The check is a pod of the release, with its image, settings and rights, that asks whether streams and schemas are
    there, whether the broker lets it do its work, and whether the kept state is one that it can go on with. If not,
    nothing is changed. Afterwards the watermark must catch up, and dead letters must not burst.

    A release that the kept state does not allow, such as one of another gap, is possible with blue-green, for a job that
    writes no stream: what runs is not touched until the new one has caught up with it.

        adstream k8s deploy sessions --overlay production/spark-driver --set grace=1h
        adstream k8s deploy sessions --overlay local/spark-driver --set gap=15m --strategy blue-green --patience 1h
    """
    made = STRATEGIES[pick("strategy", strategy, STRATEGIES)]
    seconds, looked = duration("--patience", patience) / 1000, duration("--watch", watch) / 1000
    made(Release(target(job, place, given, context), seconds, looked, Bounds(dead_share=dead_share)))
