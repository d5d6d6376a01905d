"""The command line, `adstream`. It never imports an engine: it submits to it, as in production."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version

from cyclopts import App, CycloptsError

from common.cli import checkpoints, compare, contracts, data, engines, orders, plan, run, services
from common.cli.console import show_error
from common.engines.entry import interrupt_when_terminated
from common.errors import AdstreamError, ExitCode

HELP = """Ad clicks and views into sessions, conversions and bills: one topology, one answer, on every engine.

Try it, without any data of your own:

    adstream generate --events 100000 --output /tmp/ads
    adstream run sessions --engine local --input /tmp/ads --output /tmp/out
    adstream compare sessions --input /tmp/ads

Exit codes: 0 done, 1 the answers differ or records are missing, 2 the request is wrong, 3 an engine
or a service is not there, 70 a defect, 130 interrupted.
"""

EXTRAS = {"confluent_kafka": "kafka", "adbc_driver_postgresql": "postgres", "adbc_driver_manager": "postgres"}
"""Packages that not every installation has, and the extras that bring them."""

app = App(
    name="adstream", help=HELP, help_format="markdown", version=version("adstream"), suppress_keyboard_interrupt=False
)
for command in (run.run, plan.plan, compare.compare, engines.engines):
    app.command(command)
app.command(data.generate, help=data.GENERATE_HELP)
app.command(data.imports)
app.command(orders.stop)
app.command(orders.scale)
app.command(orders.move)
app.command(checkpoints.app)
app.command(contracts.app)
app.command(services.app)
# These need the client of a broker or of a database, which not every installation has: they are imported when called.
app.command("common.cli.streams:app", name="streams", help="The streams of a broker, from their contracts.")
app.command("common.cli.progress:lag", name="lag", help="Show how far a job is behind its input streams.")
app.command("common.cli.progress:app", name="offsets", help="Show where a job goes on in its streams, and move it.")
app.command("common.cli.progress:reset", name="reset", help="Let a job begin anew.")
app.command(
    "common.cli.reprocess:reprocess", name="reprocess", help="Run a job again over its past, into a new stream."
)
app.command("common.cli.liberate:liberate", name="liberate", help="Free rows of a database into a stream, by query.")
app.command("common.cli.outbox:app", name="outbox", help="Publish what applications write beside their changes.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; exits with its code."""
    interrupt_when_terminated()
    sys.exit(invoke(sys.argv[1:] if arguments is None else arguments))


def invoke(arguments: Sequence[str]) -> int:
    """Runs one command; gives its exit code. What is wrong with a request is said in one line."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        show_error(AdstreamError(str(error).strip().rstrip("."), "see 'adstream --help'"))
        return ExitCode.REFUSED
    except AdstreamError as error:
        show_error(error)
        return error.code
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        remedy = f"uv sync --extra {EXTRAS[error.name]}"
        show_error(AdstreamError(f"{error.name} is not installed", remedy, ExitCode.UNAVAILABLE))
        return ExitCode.UNAVAILABLE
    except OSError as error:  # a full disk, a folder without permission
        show_error(AdstreamError(f"{error.filename or 'output'}: {error.strerror}"))
        return ExitCode.REFUSED
    except KeyboardInterrupt:
        show_error(AdstreamError("interrupted"))
        return ExitCode.INTERRUPTED
    return code or ExitCode.OK


if __name__ == "__main__":
    main()
