"""`adstream contracts`: whether versions of a contract can live side by side, and who is told of a change."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import App, Parameter

from common.cli.console import out
from common.contracts.changes import changes
from common.contracts.compatibility import check_stream
from common.contracts.contract import STREAMS, streams, versions
from common.contracts.revision import contracts_at
from common.errors import ExitCode
from common.lineage.collect import collect
from common.lineage.notice import misfits, notices, to_json, to_text

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
            out.print(f"  {problem}")
    return ExitCode.REFUSED if problems else ExitCode.OK


@app.command
def diff(
    revision: Annotated[str, Parameter(help="What git takes for a commit, such as main.")],
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="As JSON, for programs.")] = False,
) -> int:
    """Show the contracts that changed since a revision, and what their readers must do; exit code 1 if one breaks them.

    Readers and writers are found in the topologies, and each of these jobs is held against the contracts as they are.

        adstream contracts diff main
        adstream contracts diff HEAD~1 --json
    """
    with contracts_at(revision) as before:
        changed = changes(before, STREAMS)
    found = notices(changed, collect(), misfits()) if changed else ()
    if as_json:
        print(json.dumps(to_json(found), indent=2))
    else:
        print(to_text(found) if found else f"no contract has changed since {revision}")
    return ExitCode.OK if all(notice.compatible for notice in found) else ExitCode.DIFFERENT
