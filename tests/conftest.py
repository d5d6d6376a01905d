"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# A busy machine is no failure, so no deadline; a run for a change gives the same examples each time.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
