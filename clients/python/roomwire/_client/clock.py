"""The clock that leases are counted by, in ms: it never goes back, and goes on while the machine sleeps.

Linux stops CLOCK_MONOTONIC meanwhile and macOS time.monotonic, so each has another one asked for here.
"""

from __future__ import annotations

import sys
import time
from typing import Callable


def _clock() -> Callable[[], float]:
    names = {"linux": "CLOCK_BOOTTIME", "darwin": "CLOCK_MONOTONIC"}
    clock = getattr(time, names.get(sys.platform, ""), None)
    if clock is None:
        return lambda: time.monotonic() * 1000
    return lambda: time.clock_gettime_ns(clock) / 1e6


now: Callable[[], float] = _clock()
