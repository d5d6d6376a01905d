"""The command line, `adstream`. It never imports an engine: it submits to it, as in production."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import version
from io import TextIOWrapper

from cyclopts import App, CycloptsError, MissingArgumentError, UnknownCommandError

from common.cli import (
    checkpoints,
    compare,
    contracts,
    data,
    dead_letters,
    engines,
    lineage,
    new,
    orders,
    plan,
    report,
    run,
    services,
)
from common.cli.console import Printer, show_error
from common.engines.entry import interrupt_when_terminated
from common.errors import AdstreamError, DefectError, ExitCode, UnavailableError, reason_of
from common.names import nearest

HELP = """Ad clicks and views into sessions, conversions and bills: one topology, one answer, on every engine.

Try it, without any data of your own:

    adstream generate --events 100000 --output /tmp/ads
    adstream run sessions --engine local --input /tmp/ads --output /tmp/out
    adstream report --output-dir /tmp/out -o /tmp/report.html
    adstream compare sessions --input /tmp/ads

With your own CSV file of views and clicks:

    adstream import csv events.csv --output ads
    adstream run sessions --engine local --input ads --output out

Exit codes: 0 done, 1 the answers differ or records are missing, 2 the request is wrong, 3 an engine
or a service is not there, 70 a defect, 130 interrupted, 141 who read the output has left.
"""

LAG = """Show how far a job is behind its input streams on a broker, by partition; it may be running.

    adstream lag sessions --output out --watch

`out` is the `--output` of the job's runs. Events are counted as offsets: where a stream is written in transactions, the
end of each counts as one more. Where a job is in a folder, `adstream checkpoints show` tells.
"""
AUTOSCALE = """Give a running job more tasks when it is behind, and fewer when they have little to do.

Every decision is told, and kept with its reason in `OUTPUT/_run/autoscale.jsonl`. `--render` needs no `--output`.

    adstream autoscale sessions --output out --max 8 --dry-run
    adstream autoscale sessions --render keda --workers shared-taskmanager
"""
OFFSETS = "Show where a job goes on in its streams on a broker, and move it while it does not run."
SEED = """Put advertisements into a database, as the table `advertisement` that `adstream liberate` frees.

    adstream services seed --input build/open-bandit/streams
"""
REPROCESS = """Run a job again over its past, into a new stream that can take the place of the live one.

    adstream reprocess sessions --output out --into ad-sessions-2
"""
RESET = """Let a job begin anew: forget its state, and where it was in its streams.

    adstream reset sessions --output out

`out` is the `--output` of the job's runs.
"""
LIBERATE = """Free rows of a database into a stream, by query.

    adstream liberate advertisements --database postgresql://postgres@127.0.0.1:5432/shop --output ads

With `--sink` the rows go to a broker, with `--every 10s` it goes on.
"""

EXTRAS = {
    "altair": "report",
    "vl_convert": "report",
    "jinja2": "report",
    "confluent_kafka": "kafka",
    "adbc_driver_postgresql": "postgres",
    "adbc_driver_manager": "postgres",
}
"""Packages that not every installation has, and the extras that bring them."""

app = App(
    name="adstream",
    help=HELP,
    help_format="markdown",
    version=version("adstream"),
    suppress_keyboard_interrupt=False,
    console=Printer(),
)
for command in (run.run, report.report, plan.plan, lineage.lineage, compare.compare, engines.engines):
    app.command(command)
app.register_install_completion_command(help="Let your shell complete commands, options and names.")
app.command(data.generate, help=data.GENERATE_HELP)
app.command(data.generate_catalogue, help=data.CATALOGUE_HELP)
app.command(data.imports)
app.command(orders.stop)
app.command(orders.scale)
app.command(orders.move)
app.command(checkpoints.app)
app.command(contracts.app)
app.command(dead_letters.app)
app.command(new.app)
app.command(services.app)
services.app.command("common.cli.seed:seed", name="seed", help=SEED)
# These need the client of a broker or of a database, which not every installation has: they are imported when called.
app.command("common.cli.streams:app", name="streams", help="The streams of a broker, from their contracts.")
app.command("common.cli.progress:lag", name="lag", help=LAG)
app.command("common.cli.progress:app", name="offsets", help=OFFSETS)
app.command("common.cli.progress:reset", name="reset", help=RESET)
app.command("common.cli.reprocess:reprocess", name="reprocess", help=REPROCESS)
app.command("common.cli.tables:app", name="tables", help="The Delta tables that streams were landed in.")
app.command("common.cli.autoscale:autoscale", name="autoscale", help=AUTOSCALE)
app.command("common.cli.liberate:liberate", name="liberate", help=LIBERATE)
app.command("common.cli.k8s:app", name="k8s", help="Jobs on Kubernetes: render, release, scale, and see how they are.")
app.command("common.cli.outbox:app", name="outbox", help="Publish what applications write beside their changes.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; exits with its code."""
    interrupt_when_terminated()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # not one that was closed
            stream.reconfigure(errors="backslashreplace")  # a character that the locale has not is no failure
    sys.exit(invoke(sys.argv[1:] if arguments is None else arguments))


def invoke(arguments: Sequence[str]) -> int:
    """Runs one command; gives its exit code. What is wrong with a request is said in one line."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        print(end="", flush=True)  # what can't be written fails here, and not behind the last line of Python
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes the rest when it ends
        return ExitCode.UNREAD
    except KeyboardInterrupt:
        show_error(AdstreamError("interrupted"))
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 Python's own code for a defect, 1, says that answers differ
        failure = _failure(error)
        show_error(failure)
        return failure.code
    return code or ExitCode.OK


def _failure(error: Exception) -> AdstreamError:
    """What ended a command, in the words of the suite; of a defect, the trace is printed, too."""
    match error:
        case AdstreamError():
            return error
        case UnknownCommandError():
            return _unknown(error)
        case MissingArgumentError():
            return _missing(error)
        case CycloptsError():
            return AdstreamError(str(error).strip().rstrip("."), f"see '{_help(error)}'")
        case ModuleNotFoundError() if error.name in EXTRAS:
            return UnavailableError(f"{error.name} is not installed", f"uv sync --extra {EXTRAS[error.name]}")
        case OSError():  # a full disk, a folder without permission
            return AdstreamError(f"{error.filename or 'output'}: {reason_of(error)}")
    traceback.print_exception(error)
    return DefectError(f"a defect of adstream ({type(error).__name__})", "report it, with the lines above")


def _unknown(error: UnknownCommandError) -> AdstreamError:
    """Which command there is none of, and the nearest to it, as for all other names."""
    name = next(iter(error.unused_tokens or ()), "")
    return AdstreamError(f"unknown command '{name}'", nearest(name, (n for n in error.app or () if n[:1] != "-")))


def _missing(error: MissingArgumentError) -> AdstreamError:
    """Which argument is missing, or is one without its value; an option that was misspelt may be meant by it."""
    name = error.keyword or (error.argument.name if error.argument else "an argument")
    typed = get_close_matches(name, error.unused_tokens or (), n=1)
    remedy = f"did you mean it by '{typed[0]}'?" if typed else f"give it one; see '{_help(error)}'"
    return AdstreamError(f"{name} has no value", remedy)


def _help(error: CycloptsError) -> str:
    """Where to read about the command that a mistake was made with."""
    return " ".join(("adstream", *(error.command_chain or ()), "--help"))


if __name__ == "__main__":
    main()
