"""A release beside what runs (blue-green): the new revision reads all anew, and takes over once it has caught up.

What runs is never touched before the switch. The switch is one change of one object, and fails if another release has
begun since this one did. A release that was killed is gone on with by the next one of the same settings, before the
switch and after it; one of other settings ends what it left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from common.cli.console import err_line, out
from common.cli.k8s_full_stop import full_stop
from common.cli.k8s_release import (
    WATCH_SECONDS,
    Release,
    checked,
    end,
    end_others,
    is_there,
    is_unchanged,
    kinds_of,
    refuse,
    rolled_out,
    unready,
)
from common.cli.k8s_target import Target, names_of, numbers_of, running_settings
from common.errors import AdstreamError, UnavailableError
from common.kubernetes.live import Live, overtaken
from common.kubernetes.numbers import Beside, Numbers, goal_of, short_of, worse, worse_by_share
from common.kubernetes.objects import Object, driver_of, goes_on, selector
from common.kubernetes.revision import input_of, new_revision, output_of, refuse_a_sink
from common.streams.source import BROKER


def blue_green(release: Release) -> None:
    """Starts a revision beside the live one, and switches over to it; a job that does not run yet is started plainly.

    Raises:
        AdstreamError: See `Strategy`; or the job writes a stream, which can have one writer only.
    """
    plain = release.there
    kubectl, job = plain.kubectl, plain.instance.job
    refuse_a_sink(job, plain.objects)
    live = Live.of(kubectl, job)
    blue = kubectl.select("deployments,configmaps", selector(live.name))
    if not goes_on(blue):
        full_stop(release)
        return
    output = output_of(blue)
    if is_unchanged(plain.revision(live.revision)):
        live.claimed(kubectl, output)
        end_others(plain, live.name)
        out.print(f"{live.name} is live, and is that already")
        return
    green = _left_over(plain, live) or plain.revision(new_revision())
    checked(green)
    claim = live.claimed(kubectl, output, green.instance.revision)
    end_others(plain, live.name, green.instance.name)
    with _or_blue_goes_on(green, claim):
        print(kubectl.apply(green.objects), end="")
        _caught_up(release, _Pair.of(blue, green, claim))
        claim.switched(kubectl, green.instance.revision, output_of(green.objects))
    out.print(f"{green.instance.name} is live, its output is {output_of(green.objects)}")
    if Live.of(kubectl, job).revision == green.instance.revision:
        print(end(kubectl, kinds_of(green.objects), live.name), end="")
    out.print(f"{job}: released; what {live.name} wrote stays in {output}")


def _left_over(plain: Target, live: Live) -> Target | None:
    """The revision of these very settings that a release has left that was killed."""
    names = names_of(plain.kubectl, plain.instance.job)
    for revision in (name.removeprefix(f"{live.job}-") for name in names if name not in {live.job, live.name}):
        green = plain.revision(revision)
        if is_unchanged(green):
            err_line(f"going on with {green.instance.name}, which an earlier release has started")
            return green
    return None


@contextmanager
def _or_blue_goes_on(green: Target, claim: Live) -> Iterator[None]:
    """Takes a revision away that did not become the live one.

    Raises:
        AdstreamError: That it was not, and why.
    """
    job, name = claim.job, green.instance.name
    try:
        yield
    except AdstreamError as error:
        if isinstance(error, UnavailableError):
            raise UnavailableError(
                f"{name} was left as it is: {error.problem}", "the same command goes on with it"
            ) from error
        _take_away(green, claim)
        raise AdstreamError(
            f"the release of '{job}' was taken away, and {claim.name} goes on: {error.problem}", error.remedy
        ) from error
    except BaseException:
        _take_away(green, claim)
        raise


def _take_away(green: Target, claim: Live) -> None:
    now = Live.of(green.kubectl, claim.job)
    if now.revision == green.instance.revision:
        return  # interrupted just behind the switch
    if now.beside == green.instance.revision and now.version != claim.version:
        return  # another release goes on with it
    err_line(f"taking {green.instance.name} away")
    end(green.kubectl, kinds_of(green.objects), green.instance.name)
    err_line(f"what it wrote stays in {output_of(green.objects)}")


@dataclass(frozen=True)
class _Pair:
    """Two revisions of a job side by side.

    Attributes:
        green: The release.
        claim: What entitles it to take over from the live one.
        delay: By how many seconds its watermark is further behind the same events.
        whole: Whether it reads all that the live one has ever read.
    """

    green: Target
    claim: Live
    delay: float
    whole: bool

    @classmethod
    def of(cls, blue: Sequence[Object], green: Target, claim: Live) -> _Pair:
        """The pair of what runs, as the cluster has it, and a release."""
        settings, _ = running_settings(green, driver_of(blue))
        delay = (green.instance.settings.out_of_orderness - settings.out_of_orderness) / 1000
        place = input_of(green.objects)
        return cls(green, claim, delay, place == input_of(blue) and not place.startswith(BROKER))

    def samples(self, seconds: float) -> Iterator[Beside]:
        """How far both are, again and again for a while, once both tell their numbers.

        Raises:
            AdstreamError: Another release has begun, or the release was deleted.
        """
        running: Numbers | None = None
        deadline = time.monotonic() + seconds
        while True:
            if Live.of(self.green.kubectl, self.claim.job).version != self.claim.version:
                raise overtaken(self.claim.job)
            if not is_there(self.green):
                raise AdstreamError(f"{self.green.instance.name} was deleted meanwhile", "see adstream k8s status")
            # In this order: what the live one has done since is not asked of the other.
            running, at = self._numbers(self.claim.name) or running, time.monotonic()
            release = self._numbers(self.green.instance.name)
            if running is not None and release is not None:
                comparable = running if self.whole else replace(running, records=0)
                yield Beside(at, running, goal_of(comparable, self.delay), release)
            if time.monotonic() >= deadline:
                return
            time.sleep(WATCH_SECONDS)

    def pods(self) -> Sequence[Object]:
        """The pods of the release."""
        return self.green.kubectl.select("pods", selector(self.green.instance.name))

    def _numbers(self, name: str) -> Numbers | None:
        return numbers_of(self.green.kubectl, self.green.kubectl.select("pods", selector(name)))


def _caught_up(release: Release, pair: _Pair) -> None:
    """Waits until a revision is ready and has caught up with the live one, then looks at it for a while.

    Raises:
        AdstreamError: It is not well, is too late, was deleted, or another release has begun.
    """
    began, name = time.monotonic(), pair.green.instance.name
    rolled_out(pair.green.kubectl, pair.green.objects, release.patience)
    samples = list[Beside]()
    for sample in pair.samples(began + release.patience - time.monotonic()):
        samples.append(sample)
        refuse(worse(sample.running, sample.release, release.bounds))
        lacking = short_of(samples, release.bounds)
        if not lacking:
            break
        err_line(f"{name}: {lacking}")
    else:
        refuse(f"it has not caught up in time: {short_of(samples, release.bounds)}")
    err_line(f"{name} has caught up with {pair.claim.name}")
    for sample in pair.samples(release.watch):
        samples.append(sample)
        refuse(worse_by_share(sample.running, sample.release, release.bounds))
    refuse(short_of(samples, release.bounds))
    refuse(unready(pair.pods()))
