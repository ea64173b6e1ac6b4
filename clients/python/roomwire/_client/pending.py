"""Requests that wait for ACK or NACK.

One made without a connection waits for the next WELCOME; one that was sent fails with the connection, unless it may
be sent again (then as the same bytes, RW-CAL-6). Every wait has an end. No more leave at a time, or a second, than the
server takes: the rest wait here, in order. Volatile values wait here too, each in the place of the one before it.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, Callable, Dict, List, Optional, Protocol, Sequence, Set, Tuple

from ..errors import RoomwireError, error
from . import codec
from .bounds import MAX_PENDING, MAX_REQUEST_ID, UPLINK_BYTES, UPLINK_POLL_MS
from .clock import now
from .lane import Flight, Lane

OnAck = Callable[[Any, bool], None]


class Carrier(Protocol):
    """What requests run over."""

    def send(self, frame: bytes) -> None: ...

    def buffered(self) -> int: ...

    def is_joining(self, topic: str) -> bool: ...

    def report(self, problem: BaseException) -> Any: ...


class Pending:
    __slots__ = ("id", "data", "lane", "topic", "resend", "give_back", "on_ack", "future", "flies", "sent", "late", "timer")

    def __init__(self, number: int, data: bytes, lane: Lane, topic: Optional[str]) -> None:
        self.id = number
        self.data = data
        self.lane = lane
        # Of a publish.
        self.topic = topic
        self.resend = False
        self.give_back = False
        self.on_ack: Optional[OnAck] = None
        self.future: "asyncio.Future[Any]" = asyncio.get_running_loop().create_future()
        self.flies = False
        # It left, on this connection or an earlier one.
        self.sent = False
        # Nobody waits for it any more.
        self.late = False
        self.timer: Optional[asyncio.TimerHandle] = None


class Requests:
    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        # The client is closed or refused: nothing will be answered.
        self.over = False
        # Since WELCOME, until the connection ends.
        self.live = False
        self.message_bytes = math.inf
        self._pending: Dict[int, Pending] = {}
        # Those not sent yet, in the order in which they were made.
        self._waiting: Dict[int, Pending] = {}
        self._latest: Dict[Tuple[str, str, str], bytes] = {}
        calls, frames = Flight(), Flight()
        self._calls, self._frames = calls, frames
        self._call_lane, self._publish_lane = Lane(calls), Lane(frames)
        self._join_lane, self._other_lane = Lane(frames), Lane(frames)
        # Lanes and topics that hold back what comes after.
        self._held: Set[Any] = set()
        self._timer: Optional[asyncio.TimerHandle] = None
        self._soon = False
        # 1 is HELLO's.
        self._last_id = 1

    async def request(
        self,
        op: int,
        parts: Sequence[Any],
        *,
        timeout_ms: Optional[float] = None,
        resend: bool = False,
        give_back: bool = False,
        on_ack: Optional[OnAck] = None,
    ) -> Any:
        """``resend``: safe to repeat, sent again after a reconnect. ``give_back``: what it may have got is to be heard of
        also when nobody waits any more (RW-CAL-7). ``on_ack`` runs before the message's next frame is looked at; its
        second argument says that nobody else hears of the answer."""
        if self.over:
            raise error("disconnected")
        if len(self._pending) >= MAX_PENDING:
            raise error("too_many")
        number = self._free_id()
        data = codec.encode([op, number, *parts], self.message_bytes)
        pending = Pending(number, data, self._lane_of(op), parts[0] if op == codec.PUBLISH else None)
        pending.resend, pending.give_back, pending.on_ack = resend, give_back, on_ack
        self._pending[number] = pending
        if timeout_ms is not None:
            pending.timer = asyncio.get_running_loop().call_later(
                max(0.0, timeout_ms) / 1000, lambda: self._stop(pending, error("deadline"))
            )
        self._wait(pending)
        # One topic's publishes leave in the order in which they were made (RW-PUB-2).
        if pending.lane not in self._held and pending.topic not in self._held and not self._leave(pending):
            self.flush()
        try:
            return await pending.future
        except asyncio.CancelledError:
            # The caller was cancelled: whoever made the call wants no answer any more (RW-CAL-10).
            self._stop(pending, error("cancelled"))
            raise

    def volatile(self, topic: str, event: str, slot: str, data: Any) -> None:
        """The newest value of a slot, dropped without a connection."""
        frame = codec.encode([codec.VOLATILE, topic, event, slot, data], self.message_bytes if self.live else math.inf)
        if not self.live:
            return
        self._latest[(topic, event, slot)] = frame
        if len(self._latest) > MAX_PENDING:
            # Bounded: the oldest goes.
            del self._latest[next(iter(self._latest))]
        if not self._soon:
            self._soon = True
            asyncio.get_running_loop().call_soon(self._flush_soon)

    def answer(self, frame: List[Any]) -> bool:
        """ACK and NACK. True after a publish's ACK, whose caller is to go on before the event comes (RW-ORD-3)."""
        number = frame[1]
        pending = self._pending.get(number)
        if frame[0] == codec.NACK:
            problem = error(frame[2], frame[3], frame[4] if len(frame) > 4 else None)
            if number == 0:
                # For what asked for no answer.
                self._carrier.report(problem)
            elif pending:
                self._answer(pending, problem)
        elif pending:
            self._answer(pending, None, frame[2] if len(frame) > 2 else None)
        if pending and self._held:
            self.flush()
        return frame[0] == codec.ACK and pending is not None and pending.topic is not None

    def welcome(self, limits: Dict[str, float]) -> None:
        """From here on requests leave at once; those that waited follow with ``flush``."""
        self.message_bytes = limits.get("messageBytes", math.inf)
        self._calls.most = limits.get("pendingCalls", math.inf)
        self._frames.most = limits.get("pendingFrames", math.inf)
        self._call_lane.rate(limits.get("callsPerSecond"), limits.get("userCallsPerSecond"))
        self._publish_lane.rate(limits.get("publishesPerSecond"), limits.get("userPublishesPerSecond"))
        self._join_lane.rate(limits.get("joinsPerSecond"), limits.get("userJoinsPerSecond"))
        # What waited comes after what WELCOME calls for, and before what else is published to its topic.
        self._held = {pending.topic for pending in self._waiting.values() if pending.topic is not None}
        self.live = True

    def flush(self) -> None:
        """Sends what waited and may leave now."""
        if not self.live:
            return
        if self._timer:
            self._timer.cancel()
            self._timer = None
        held: Set[Any] = set()
        self._held = held
        soonest = math.inf
        for pending in list(self._waiting.values()):
            lane = pending.lane
            if lane in held or pending.topic in held or self._leave(pending):
                continue
            if lane in held:
                soonest = min(soonest, max(0.0, lane.wait(now())))
        soonest = min(soonest, self._flush_latest())
        if soonest < math.inf:
            self._timer = asyncio.get_running_loop().call_later(soonest / 1000, self.flush)

    def down(self, final: bool) -> None:
        self.over = final
        self.live = False
        self._latest.clear()
        if self._timer:
            self._timer.cancel()
        for pending in list(self._pending.values()):
            keeps = pending.resend or (not pending.late and pending.id in self._waiting)
            if not keeps or (final and not pending.late):
                self._stop(pending, error("disconnected"))
        if final:
            self._pending.clear()
        for pending in list(self._waiting.values()):
            self._land(pending)
        for pending in self._pending.values():
            self._land(pending)
            self._wait(pending)

    def _answer(self, pending: Pending, problem: Optional[RoomwireError], data: Any = None) -> None:
        self._pending.pop(pending.id, None)
        self._land(pending)
        if pending.timer:
            pending.timer.cancel()
        if problem:
            if not pending.future.done():
                pending.future.set_exception(problem)
                # Who was cancelled does not fetch it.
                pending.future.exception()
            return
        if pending.on_ack:
            pending.on_ack(data, pending.late)
        if not pending.future.done():
            pending.future.set_result(data)

    def _stop(self, pending: Pending, problem: RoomwireError) -> None:
        """Ends the wait without an answer, which may be under way."""
        if pending.late or self._pending.get(pending.id) is not pending:
            self._pending.pop(pending.id, None)
            return
        waits = pending.id in self._waiting
        self._answer(pending, problem)
        if not (pending.give_back and pending.sent) if waits else not (pending.give_back or self.live):
            return
        pending.late = True
        pending.resend = pending.give_back
        self._pending[pending.id] = pending
        if waits:
            self._wait(pending)
            return
        self._fly(pending)
        if pending.lane is self._call_lane:
            self._carrier.send(codec.encode([codec.CANCEL, pending.id]))

    def _leave(self, pending: Pending) -> bool:
        """False: not yet; what comes after it in its lane, or for its topic, is held back."""
        if not self.live:
            return False
        if pending.topic is not None and self._carrier.is_joining(pending.topic):
            self._held.add(pending.topic)
            return False
        at = now()
        if pending.lane.wait(at) > 0:
            self._held.add(pending.lane)
            return False
        self._land(pending)
        if len(pending.data) > self.message_bytes:
            # Made before this server said how much it takes.
            self._answer(pending, error("too_large"))
            return True
        self._fly(pending)
        pending.lane.spend(at)
        pending.sent = True
        self._carrier.send(pending.data)
        if pending.late:
            # In the same message, so that it is not done now if it was not.
            self._carrier.send(codec.encode([codec.CANCEL, pending.id]))
        return True

    def _flush_soon(self) -> None:
        self._soon = False
        self.flush()

    def _flush_latest(self) -> float:
        """Ms until more may leave."""
        at = now()
        for key, frame in list(self._latest.items()):
            if self._carrier.buffered() > UPLINK_BYTES:
                return UPLINK_POLL_MS
            wait = self._publish_lane.wait(at)
            if wait > 0:
                return wait
            if self._carrier.is_joining(key[0]):
                continue
            self._publish_lane.spend(at)
            del self._latest[key]
            self._carrier.send(frame)
        return math.inf

    def _wait(self, pending: Pending) -> None:
        self._waiting[pending.id] = pending
        pending.lane.waiting += 1

    def _fly(self, pending: Pending) -> None:
        pending.flies = True
        pending.lane.flight.flying += 1

    def _land(self, pending: Pending) -> None:
        """It waits no more, or is answered."""
        if self._waiting.pop(pending.id, None):
            pending.lane.waiting -= 1
        if pending.flies:
            pending.lane.flight.flying -= 1
        pending.flies = False

    def _lane_of(self, op: int) -> Lane:
        lanes = {codec.CALL: self._call_lane, codec.PUBLISH: self._publish_lane, codec.AUTH: self._other_lane}
        return lanes.get(op, self._join_lane)

    def _free_id(self) -> int:
        while True:
            self._last_id = 2 if self._last_id >= MAX_REQUEST_ID else self._last_id + 1
            if self._last_id not in self._pending:
                return self._last_id
