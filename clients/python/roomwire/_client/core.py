"""One connection with everything that runs over it. Frames come in here and go to who waits for them: answers to
requests, calls to handlers, the rest to topics.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Any, Awaitable, Dict, FrozenSet, List, NamedTuple, Optional

from ..errors import Refused, RoomwireError, error
from . import codec
from .bounds import MAX_TIMER_MS, MIN_RENEWAL_MS, RENEWAL_MARGIN_MS, RENEWAL_RETRY_MS
from .connection import Connection
from .emitter import Emitter
from .overview import RoomList
from .pending import OnAck, Requests
from .room import Room
from .server_calls import ServerCalls
from .settings import Settings
from .topics import EventInfo, Listener, Position, Topics


class Published(NamedTuple):
    """``matched``: subscribers at that moment; 0 says that nobody was there."""

    epoch: str
    offset: int
    matched: int


class _Every(Listener):
    """Hands what any topic tells to the client's own handlers."""

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter

    def event(self, data: Any, info: EventInfo) -> None:
        self._emitter.emit_of(data, info)

    def reset(self, reason: str, position: Position) -> None:
        self._emitter.tell("reset", reason)

    def removed(self, problem: RoomwireError, lost: bool) -> None:
        if problem.name != "disconnected":
            self._emitter.tell("removed", problem)


class Core:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.emitter = Emitter(settings.report)
        self.connection = Connection(settings, self)
        self.requests = Requests(self)
        self.topics = Topics(self.requests, settings.backoff)
        self.topics.every = _Every(self.emitter)
        self.server_calls = ServerCalls(self)
        # Those that are joined, heard or held by the application.
        self._rooms: "weakref.WeakValueDictionary[str, Room]" = weakref.WeakValueDictionary()
        self._lists: Dict[Optional[str], RoomList] = {}
        self._tasks: "set[asyncio.Future[Any]]" = set()
        self._renewal: Optional[asyncio.TimerHandle] = None
        # Told after each change of the connection's status.
        self._changed: "set[asyncio.Future[None]]" = set()

    def room(self, room_id: str) -> Room:
        room = self._rooms.get(room_id)
        if room is None:
            room = self._rooms[room_id] = Room(self, room_id)
        return room

    def rooms(self, group: Optional[str]) -> RoomList:
        if group not in self._lists:
            self._lists[group] = RoomList(self, group)
        return self._lists[group]

    async def live(self) -> None:
        """Until it is connected. Raises Refused when the server, or the application's token, says no."""
        self.connection.start()
        while self.connection.status != "live":
            if self.connection.status in ("refused", "closed"):
                reason = self.connection.reason
                raise Refused(*((reason.code, reason.message) if reason else (1000, "closed")))
            await self.next_status()

    async def next_status(self) -> None:
        changed: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
        self._changed.add(changed)
        try:
            await changed
        finally:
            self._changed.discard(changed)

    async def call(
        self,
        name: str,
        data: Any,
        *,
        key: Optional[str] = None,
        timeout_ms: Optional[float] = None,
        resend: Optional[bool] = None,
        give_back: bool = False,
        on_ack: Optional[OnAck] = None,
    ) -> Any:
        ms = self.settings.call_timeout_ms if timeout_ms is None else timeout_ms
        options: Dict[str, Any] = {"timeoutMs": max(0, int(ms))}
        if key is not None:
            options["key"] = key
        return await self.requests.request(
            codec.CALL,
            [name, data, options],
            timeout_ms=ms,
            resend=key is not None if resend is None else resend,
            give_back=give_back,
            on_ack=on_ack,
        )

    async def publish(
        self, topic: str, event: str, data: Any, *, key: Optional[str] = None, timeout: Optional[float] = None
    ) -> Published:
        ms = self.settings.call_timeout_ms if timeout is None else timeout * 1000
        reply = await self.requests.request(
            codec.PUBLISH, [topic, event, key, data], timeout_ms=ms, resend=key is not None
        )
        return Published(reply["epoch"], reply["offset"], reply["matched"])

    def spawn(self, work: Awaitable[Any]) -> None:
        """For what nobody waits for: its refusals are heard of otherwise."""

        def done(task: "asyncio.Future[Any]") -> None:
            self._tasks.discard(task)
            problem = None if task.cancelled() else task.exception()
            if problem and not isinstance(problem, RoomwireError):
                self.settings.report(problem)

        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(done)

    async def close(self) -> None:
        await self.connection.close()
        for task in list(self._tasks):
            task.cancel()

    # What requests run over.

    def send(self, frame: bytes) -> None:
        # After a sleep no timer has run yet: who holds what is over knows it before anything leaves.
        self.connection.pulse.expire()
        self.connection.send(frame)

    def buffered(self) -> int:
        return self.connection.buffered

    def is_joining(self, topic: str) -> bool:
        room = self._rooms.get(topic[5:]) if topic.startswith("room:") else None
        return self.topics.beginning(topic) or (room is not None and room.joining)

    def report(self, problem: BaseException) -> None:
        self.settings.report(problem)

    # What the connection tells.

    def resume(self, most: float) -> Dict[str, Position]:
        return self.topics.positions(most)

    def welcome(self, welcome: Dict[str, Any], resumed: FrozenSet[str]) -> None:
        self._renew_at(welcome["expiresAt"])
        # Rooms that must be joined again go first; what waited for the connection may need them.
        self.requests.welcome(welcome["limits"])
        self.topics.welcome(welcome["topics"], resumed)
        self.requests.flush()

    def frame(self, frame: List[Any]) -> bool:
        op = frame[0]
        if op == codec.ACK or op == codec.NACK:
            return self.requests.answer(frame)
        if op == codec.CALL:
            self.server_calls.call(frame)
        elif op == codec.CANCEL:
            self.server_calls.cancel(frame[1])
        else:
            self.topics.frame(frame)
        return False

    def down(self, final: bool) -> None:
        if self._renewal:
            self._renewal.cancel()
        self.requests.down(final)
        self.server_calls.down()
        if final:
            self.topics.end()
            # Those that waited for a subscription, or for the time to try again.
            for followed in [*self._rooms.values(), *self._lists.values()]:
                followed.end(error("disconnected"))

    def status(self) -> None:
        connection = self.connection
        if connection.status == "live":
            self.requests.over = False
            self.emitter.tell("connect", bool(connection.last_welcome["resumed"]))
        elif connection.status == "connecting":
            self.requests.over = False
        else:
            self.emitter.tell("disconnect", connection.reason)
        for changed in self._changed:
            if not changed.done():
                changed.set_result(None)

    # A new token before the old one expires, in-band (RW-AUT-4).

    def _renew_at(self, expires_at: Optional[float]) -> None:
        if self._renewal:
            self._renewal.cancel()
            self._renewal = None
        if expires_at is not None and callable(self.settings.token):
            left = expires_at - self.connection.pulse.store_now()
            self._renew_in(left - min(RENEWAL_MARGIN_MS, left / 10))

    def _renew_in(self, ms: float) -> None:
        wait = min(MAX_TIMER_MS, max(MIN_RENEWAL_MS, ms))
        self._renewal = asyncio.get_running_loop().call_later(wait / 1000, lambda: self.spawn(self._renew()))

    async def _renew(self) -> None:
        renewal = self._renewal
        try:
            token = await self.settings.ask_token()
            if renewal is not self._renewal:
                return
            reply = await self.requests.request(codec.AUTH, [token], timeout_ms=self.settings.call_timeout_ms)
        except Exception as problem:  # noqa: BLE001 - an endpoint that is away, or a refusal
            if getattr(problem, "name", "") == "unauthenticated" and str(problem) == "signed out":
                # What the old token gives ends with it.
                return
            self.settings.report(problem)
            # At the end of the old token the server closes, and the reconnect asks again.
            if renewal is self._renewal:
                self._renew_in(RENEWAL_RETRY_MS)
            return
        self.connection.token = token
        if renewal is self._renewal:
            self._renew_at(reply["expiresAt"])


__all__ = ["Core", "EventInfo", "Published"]
