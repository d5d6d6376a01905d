"""Files that are replaced whole: who reads one sees what was there before or what is there now, never a part.

That holds while the machine runs; `common.storage` has what outlives a power cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A place to write a file to; when the context ends well, the file takes the place of `path`.

    Of several writers at once, each has a place of its own, and one whole file stays. If the context fails, nothing is
    left of it, and `path` is as it was.

    Args:
        path: The file; its folder is made if it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        yield place
        place.replace(path)
    except BaseException:
        place.unlink(missing_ok=True)
        raise
