"""`adstream contracts`: whether the versions of the streams' contracts can live side by side."""

from __future__ import annotations

from cyclopts import App

from common.cli.console import out
from common.contracts.compatibility import check_stream
from common.contracts.contract import streams, versions
from common.errors import ExitCode

app = App(name="contracts", help="The contracts of the streams.")


@app.command
def check() -> int:
    """Check every version of every stream; exit code 2 when one is incompatible.

    What a stream has to keep is the level in its `stream.yaml`, such as full_transitive.

        adstream contracts check
    """
    problems = 0
    for stream in streams():
        found = check_stream(stream)
        problems += len(found)
        count = len(versions(stream))
        out.print(f"{stream}: {count} version{'s' if count > 1 else ''}, {'compatible' if not found else 'REFUSED'}")
        for problem in found:
            out.print(f"  {problem}", markup=False)
    return ExitCode.REFUSED if problems else ExitCode.OK
