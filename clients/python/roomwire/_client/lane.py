"""Requests of one kind: as many at a time, and as often, as WELCOME says that the server takes."""

from __future__ import annotations

import math
from typing import Optional

from .bounds import BURST_MS


class Flight:
    """Sent and not answered; several lanes may count together."""

    def __init__(self) -> None:
        self.flying = 0
        self.most = math.inf


class Lane:
    def __init__(self, flight: Flight) -> None:
        self.flight = flight
        # Made and not sent.
        self.waiting = 0
        self._step = 0.0
        # When a burst may leave again (the generic cell rate algorithm, as on the server).
        self._full_at = 0.0

    def rate(self, *per_second: Optional[float]) -> None:
        """Of this session and of all of its user's; 0 and None: no limit."""
        self._step = 1000 / min(rate or math.inf for rate in per_second)

    def wait(self, now: float) -> float:
        """Ms until one more may leave; inf: when an answer has come."""
        if self.flight.flying >= self.flight.most:
            return math.inf
        return self._full_at - now - max(0.0, BURST_MS - self._step)

    def spend(self, now: float) -> None:
        self._full_at = max(self._full_at, now) + self._step
