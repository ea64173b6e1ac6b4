"""Whether the server is there, and what time it is there (RW-CON-6, -7, -9, -10; RW-LCK-7).

PINGs that are asked and answered, the end of a connection that is silent, the store's clock, and what is believed
for as long as the server is known to believe it too.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, Callable, Dict, Optional, Protocol, Sequence, Set

from . import codec
from .bounds import MIN_GRACE_MS, PINGS_UNTOLD
from .clock import now
from .settings import Settings


class Belief(Protocol):
    """Held, or waited for, only while the session is sure to be there."""

    def expire(self) -> None: ...

    def lose(self, why: str) -> None: ...


class Pulse:
    def __init__(self, settings: Settings, send: Callable[[bytes], None], dead: Callable[[], None]) -> None:
        self._wish = settings.grace_ms
        self._patience = settings.ping_timeout_ms
        self._send = send
        self._dead = dead
        self.on_beat: Callable[[], None] = lambda: None
        self.beliefs: Set[Belief] = set()
        self._live = False
        self._ping_every = 0.0
        self._grace = math.inf
        # Own time: the server had this session then, for it answered what was asked.
        self._sure = -math.inf
        # Store time minus own time.
        self._lead = 0.0
        self._pinged = 0.0
        self._heard = 0.0
        self._timer: Optional[asyncio.TimerHandle] = None

    def store_now(self) -> float:
        return now() + self._lead

    @property
    def believed_until(self) -> float:
        """Own time: the server ends no session before, nor what it holds."""
        return self._sure + self._grace

    def answered(self, asked: float) -> None:
        """What was asked at this time was answered, on the connection it was asked on."""
        self._sure = max(self._sure, asked)

    def add(self, belief: Belief) -> None:
        self.beliefs.add(belief)
        self._schedule()

    def begin(self, welcome: Dict[str, Any], asked: float) -> None:
        limits = welcome["limits"]
        grace = limits.get("graceMs", math.inf) if self._wish is None else self._wish
        self._grace = max(MIN_GRACE_MS, min(grace, limits.get("graceMaxMs", math.inf)))
        self._ping_every = welcome["pingEvery"]
        self._pinged = now()
        self._live = True
        if not welcome["resumed"]:
            # They were the session's that is gone.
            for belief in list(self.beliefs):
                belief.lose("the session ended")
        self.heard()
        self._told(asked, welcome["time"])
        if welcome["resumed"]:
            # A sign that the new secret is here: a HELLO of an earlier try that comes late takes nothing any more (RW-SES-3).
            self._send(codec.encode([codec.PING, None]))
        self._schedule()

    def end(self) -> None:
        self._live = False
        if self._timer:
            self._timer.cancel()

    def heard(self) -> None:
        """A message came. Cheap: the timer that is set looks again."""
        self._heard = now()

    def pong(self, frame: Sequence[Any]) -> None:
        stamp = frame[1] if len(frame) > 1 else None
        if isinstance(stamp, (int, float)) and stamp <= now():
            self._told(stamp, frame[2] if len(frame) > 2 else None)

    def expire(self) -> None:
        """After the loop stood still: who holds what is over knows it before anything is sent."""
        for belief in list(self.beliefs):
            belief.expire()

    def _told(self, asked: float, time: Any) -> None:
        self.answered(asked)
        if isinstance(time, (int, float)):
            at = now()
            self._lead = time + (at - asked) / 2 - at

    def _deadline(self) -> float:
        return self._heard + self._ping_every + self._patience

    def _due(self) -> float:
        """When to ask again: after silence, for the time now and then, and often enough to go on believing."""
        every = self._ping_every
        if self.beliefs and self._grace < math.inf:
            return self._pinged + min(every, self._grace / 3)
        return min(max(self._heard, self._pinged) + every, self._pinged + PINGS_UNTOLD * every)

    def _schedule(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._live:
            wait = max(0.0, min(self._due(), self._deadline()) - now())
            self._timer = asyncio.get_running_loop().call_later(wait / 1000, self._tick)

    def _tick(self) -> None:
        if not self._live:
            return
        at = now()
        if at >= self._deadline():
            self._dead()
            return
        if at >= self._due():
            self._pinged = at
            self._send(codec.encode([codec.PING, at]))
            self.on_beat()
        self._schedule()
