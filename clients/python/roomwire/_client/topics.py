"""What this session is subscribed to, and how far each stream was delivered.

Every event passes here: at or below the delivery cursor (``position``) it was seen before, one above the next is a gap
and told as a reset. This cursor alone goes into ``resume``; the position of a reply belongs to the state that the
reply brought (follower.py). For each topic there is what is wanted (its direct listeners) and what the server has
(``live``, ``ours``); one request at a time brings the second to the first.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Tuple

from ..errors import RoomwireError, error
from . import codec
from .backoff import Backoff
from .pending import Requests

Position = Tuple[str, int]


class EventInfo:
    """Where an event came from. ``sender``: the session's sid, None for the server itself. ``offset``: None for
    volatile events, which have a ``slot`` instead."""

    __slots__ = ("topic", "event", "sender", "offset", "slot")

    def __init__(
        self, topic: str, event: str, sender: Optional[str], offset: Optional[int], slot: Optional[str] = None
    ) -> None:
        self.topic = topic
        self.event = event
        self.sender = sender
        self.offset = offset
        self.slot = slot

    def __repr__(self) -> str:
        return "EventInfo(%r, %r, sender=%r, offset=%r)" % (self.topic, self.event, self.sender, self.offset)


class Listener:
    """``direct``: it wants the topic by SUBSCRIBE, to begin at ``start``; others hear what a call subscribes to."""

    direct = False
    start: Optional[Position] = None

    def begin(self, position: Position, recovered: Optional[bool]) -> None:
        """Direct ones are told where they stand, again and again."""

    def event(self, data: Any, info: EventInfo) -> None: ...

    def reset(self, reason: str, position: Position) -> None:
        """Events up to ``position`` were missed and will not come."""

    def removed(self, problem: RoomwireError, lost: bool) -> None:
        """``lost``: not by anyone's will; a call can bring it back."""


class Topic:
    __slots__ = ("name", "listeners", "ours", "live", "behind", "asking", "attempt", "position", "since")

    def __init__(self, name: str) -> None:
        self.name = name
        # Replaced, never changed: a handler may come and go during an event.
        self.listeners: Tuple[Listener, ...] = ()
        # The server may have it by our SUBSCRIBE, so that UNSUBSCRIBE ends it; otherwise a call did it, or nobody.
        self.ours = False
        # The server sends its events.
        self.live = False
        # Live from the server's head on, while SUBSCRIBE asks to go back to the position: what comes will come again.
        self.behind = False
        self.asking = False
        self.attempt = 0
        # The delivery cursor; None: never subscribed.
        self.position: Optional[Position] = None
        # From here to the cursor nothing was missed.
        self.since: Optional[Position] = None

    @property
    def wanted(self) -> bool:
        return any(listener.direct for listener in self.listeners)

    @property
    def left(self) -> bool:
        return self.ours and not self.wanted

    @property
    def start(self) -> Optional[Position]:
        return next((listener.start for listener in self.listeners if listener.start), None)


class Topics:
    def __init__(self, requests: Requests, backoff: Backoff) -> None:
        self._requests = requests
        self._backoff = backoff
        self._topics: Dict[str, Topic] = {}
        # Hears every topic, also those that a call of the application's own subscribed to.
        self.every: Listener = Listener()
        self._tasks: "set[asyncio.Future[None]]" = set()

    def get(self, name: str) -> Optional[Topic]:
        return self._topics.get(name)

    def listen(self, name: str, listener: Listener) -> Callable[[], None]:
        """Returns how to stop."""
        topic = self._topic(name)
        topic.listeners += (listener,)
        self._settle(topic)

        def stop() -> None:
            topic.listeners = tuple(other for other in topic.listeners if other is not listener)
            self._settle(topic)

        return stop

    def beginning(self, name: str) -> bool:
        """A SUBSCRIBE is under way, before whose answer the server would refuse a publish (RW-SUB-6)."""
        topic = self._topics.get(name)
        return topic is not None and topic.asking and not topic.live and topic.wanted

    def positions(self, most: float) -> Dict[str, Position]:
        """As many as ``most`` bytes hold. Topics of calls come first: to join them anew costs more than to subscribe."""
        positions: Dict[str, Position] = {}
        for topic in sorted(self._topics.values(), key=lambda topic: topic.wanted):
            at = topic.position or topic.start
            if not at or not (topic.live or topic.wanted) or topic.left:
                continue
            most -= codec.entry_bytes(topic.name, at)
            if most >= 0:
                positions[topic.name] = at
        return positions

    def welcome(self, statuses: Dict[str, Dict[str, Any]], resumed: FrozenSet[str]) -> None:
        for name, status in statuses.items():
            if "code" in status:
                continue
            topic = self._topic(name)
            topic.live = True
            topic.position = topic.position or topic.start
            topic.behind = (
                not status["recovered"] and topic.position is not None and name not in resumed and not topic.left
            )
            if not topic.behind:
                self._subscribed(topic, (status["epoch"], status["offset"]), status["recovered"], True)
        for topic in list(self._topics.values()):
            status = statuses.get(topic.name, {"code": 107})
            if "code" in status:
                live = topic.live
                topic.live = topic.behind = topic.ours = False
                problem = error(status["code"], "not resumed")
                # 106 and 120 are somebody's will, to be told and not undone; 107 is a call's to repeat.
                refused = problem.code < 200 and problem.name != "join_required"
                if refused if topic.wanted else live:
                    self._removed(topic, problem, not refused)
            self._settle(topic)

    def end(self) -> None:
        """The client is closed or refused."""
        for topic in list(self._topics.values()):
            topic.ours = False
            if topic.live or topic.wanted:
                self._removed(topic, error("disconnected"))
            else:
                self._settle(topic)

    def frame(self, frame: List[Any]) -> None:
        """EVENTS, RESET, REMOVED, SUBSCRIBED and LATEST. Raises ValueError for what no client may ignore."""
        op = frame[0]
        if op >= codec.IGNORABLE_FROM:
            return
        topic = self._topics.get(frame[1])
        if op == codec.EVENTS:
            if topic and topic.live and not topic.behind:
                self._events(topic, frame)
        elif op == codec.LATEST:
            if topic and topic.live:
                self._tell(topic, frame[4], EventInfo(frame[1], frame[2], frame[5], None, frame[3]))
        elif op == codec.RESET:
            if topic and topic.live and not topic.behind:
                self._reset(topic, (frame[2], frame[3]), frame[4])
        elif op == codec.REMOVED:
            # The end of an earlier subscription, or the answer to UNSUBSCRIBE: what is asked for has an answer of its own.
            if topic and topic.asking and not topic.behind:
                topic.live = False
            elif topic:
                self._removed(topic, error(frame[2], frame[3]) if frame[2] else RoomwireError("cancelled", frame[3]))
        elif op == codec.SUBSCRIBED:
            topic = topic or self._topic(frame[1])
            topic.ours = False
            topic.live = True
            self._subscribed(topic, (frame[2], frame[3]), frame[4], False)
        else:
            raise ValueError("unknown opcode: %d" % op)

    def _settle(self, topic: Topic) -> None:
        """Asks for what is wanted and not so, if anything; forgets what nobody needs."""
        if topic.asking:
            return
        live = self._requests.live
        if topic.behind or (topic.wanted and not topic.live):
            # Without a connection nothing is asked: WELCOME says first what there is.
            if live:
                self._subscribe(topic)
        elif topic.left:
            if live:
                self._leave(topic)
        elif topic.live and topic.position:
            # Who comes while it runs begins here; without a connection WELCOME says whether it does.
            if live:
                _begin(topic, None)
        elif not topic.listeners:
            self._topics.pop(topic.name, None)

    def _subscribe(self, topic: Topic) -> None:
        start = topic.start
        topic.ours = topic.ours or not topic.live

        def granted(data: Dict[str, Any]) -> None:
            # Meanwhile a call may have subscribed it, or someone ended it.
            topic.ours = topic.ours or not topic.live
            if topic.live and not topic.behind:
                return
            topic.live = True
            topic.behind = False
            topic.position = before = topic.position or start
            # A server that starts nothing anew names the offset that it is at.
            recovered = data["recovered"] and not (before is not None and data["offset"] > before[1])
            self._subscribed(topic, (data["epoch"], data["offset"]), recovered, True)

        def refused(problem: RoomwireError) -> None:
            if topic.behind:
                # It goes on from the server's head, where what is missing is a gap.
                topic.behind = False
                self._tell_reset(topic, "not recovered")
            elif not topic.live:
                topic.ours = False
                if topic.wanted:
                    self._removed(topic, problem)

        self._ask(topic, codec.SUBSCRIBE, [topic.position or start], granted, refused)

    def _leave(self, topic: Topic) -> None:
        def left(_data: Any = None) -> None:
            topic.live = topic.ours = False
            topic.position = topic.since = None

        def refused(problem: RoomwireError) -> None:
            # A call must end it; or the server has dropped it already, which is as good.
            if problem.name == "join_required":
                topic.ours = False
            else:
                left()

        self._ask(topic, codec.UNSUBSCRIBE, [], left, refused)

    def _ask(
        self,
        topic: Topic,
        op: int,
        parts: List[Any],
        granted: Callable[[Any], None],
        refused: Callable[[RoomwireError], None],
    ) -> None:
        """Neither is called for what is lost with the connection: the next WELCOME tells what there is."""
        topic.asking = True

        def answered() -> None:
            topic.asking = False
            topic.attempt = 0
            # Publishes may wait for it.
            self._requests.flush()

        def on_ack(data: Any, _late: bool) -> None:
            # Events may follow in the same message.
            answered()
            granted(data)
            self._settle(topic)

        async def ask() -> None:
            try:
                await self._requests.request(op, [topic.name, *parts], on_ack=on_ack)
            except RoomwireError as problem:
                is_lost = problem.name == "disconnected"
                if not is_lost and 200 <= problem.code < 300 and (topic.since or op == codec.UNSUBSCRIBE):
                    topic.attempt += 1
                    await asyncio.sleep(self._backoff.delay(topic.attempt) / 1000)
                    topic.asking = False
                    self._settle(topic)
                    return
                answered()
                if not is_lost:
                    refused(problem)
                    self._settle(topic)

        task = asyncio.ensure_future(ask())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _subscribed(self, topic: Topic, position: Position, recovered: bool, told: bool) -> None:
        """``told``: a stream that went on unrecovered is told as a reset."""
        before = topic.position
        # Recovered: the events after our own position follow, whatever offset the server is at.
        goes_on = recovered and before is not None and before[0] == position[0]
        if goes_on:
            topic.since = topic.since or before
        else:
            topic.position = topic.since = position
        _begin(topic, recovered)
        if not goes_on and told and before:
            self._tell_reset(topic, "not recovered")

    def _events(self, topic: Topic, frame: List[Any]) -> None:
        name, first = frame[1], frame[2]
        epoch, seen = topic.position  # type: ignore[misc]
        if first > seen + 1:
            self._reset(topic, (epoch, first - 1), "gap")
            seen = first - 1
        offset = first - 1
        for index in range(3, len(frame)):
            offset += 1
            if offset <= seen:
                continue
            # A handler may have unsubscribed.
            if not topic.live:
                return
            topic.position = (epoch, offset)
            item = frame[index]
            self._tell(topic, item[1], EventInfo(name, item[0], item[2], offset))

    def _reset(self, topic: Topic, position: Position, reason: str) -> None:
        topic.position = topic.since = position
        self._tell_reset(topic, reason)

    def _tell_reset(self, topic: Topic, reason: str) -> None:
        for listener in topic.listeners:
            listener.reset(reason, topic.position or ("", 0))
        self.every.reset(reason, topic.position or ("", 0))

    def _removed(self, topic: Topic, problem: RoomwireError, lost: bool = False) -> None:
        listeners = topic.listeners
        # Others stay: a room may be joined again.
        topic.listeners = tuple(listener for listener in listeners if not listener.direct)
        topic.live = topic.behind = topic.ours = False
        topic.position = topic.since = None
        for listener in listeners:
            listener.removed(problem, lost)
        self.every.removed(problem, lost)
        self._settle(topic)

    def _tell(self, topic: Topic, data: Any, info: EventInfo) -> None:
        listeners = topic.listeners
        for listener in listeners:
            # One that an earlier one took away hears no more of it.
            if topic.listeners is listeners or listener in topic.listeners:
                listener.event(data, info)
        self.every.event(data, info)

    def _topic(self, name: str) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(name)
        return topic


def _begin(topic: Topic, recovered: Optional[bool]) -> None:
    for listener in topic.listeners:
        if topic.position:
            listener.begin(topic.position, recovered)
