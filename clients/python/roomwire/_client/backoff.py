"""What to do after a close, and how long to wait (RW-CLO-1, RW-CLO-4): the code's class decides."""

from __future__ import annotations

import random
from typing import Callable, NamedTuple


def reaction_to(code: int) -> str:
    return {40: "refuse", 41: "token", 43: "at once"}.get(code // 100, "backoff")


class Backoff(NamedTuple):
    base_ms: float = 500
    max_ms: float = 20_000
    random: Callable[[], float] = random.random

    def delay(self, attempt: int, code: int = 0, retry_after_ms: float = 0) -> float:
        """Full jitter, in ms. ``attempt`` is 1 for the first one after a connection that held."""
        kind = code // 100
        if attempt == 1 and kind in (41, 43):
            return 0
        if attempt == 1 and retry_after_ms > 0:
            return self.random() * retry_after_ms
        # A lost connection is often back at once; a server that says "backoff" needs the time.
        doublings = attempt if kind == 42 else attempt - 1
        return self.random() * min(self.max_ms, self.base_ms * 2.0 ** min(doublings, 30))
