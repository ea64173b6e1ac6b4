"""The client for asyncio.

    import asyncio
    from roomwire.aio import connect

    async def main():
        async with connect("ws://127.0.0.1:8420") as client:
            room = client.room("demo")

            @room.on("chat:message:new")
            def message(data):
                print(data["user"], data["text"])

            await room.join(create=True)
            await client.call("chat:send", {"roomId": "demo", "text": "hello"})
            async with room.lock("trajectory:meta", msg="Uploading") as lock:
                print("mine, under token", lock.token)

    asyncio.run(main())

Times are in seconds. Refusals are RoomwireError (roomwire.errors).
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Generator, Optional, Sequence

from ._client.backoff import Backoff
from ._client.connection import End
from ._client.core import Core, Published
from ._client.lock import Lock
from ._client.overview import RoomList
from ._client.room import LockRequest, Room
from ._client.room_state import RoomState
from ._client.settings import Settings
from ._client.subscription import Ready, Subscription
from ._client.topics import EventInfo
from .errors import RoomwireError

__all__ = [
    "Backoff",
    "Client",
    "End",
    "EventInfo",
    "Lock",
    "LockRequest",
    "Published",
    "Ready",
    "Room",
    "RoomList",
    "RoomState",
    "RoomwireError",
    "Settings",
    "Subscription",
    "connect",
]


class Client:
    """Connects to a server and stays connected. ``await`` it, or use it in ``async with``, which also closes it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: Optional[Core] = None

    @property
    def _core(self) -> Core:
        # Made in the loop that it is for.
        if self._made is None:
            self._made = Core(self._settings)
        return self._made

    def __await__(self) -> Generator[Any, None, "Client"]:
        return self.connect().__await__()

    async def __aenter__(self) -> "Client":
        try:
            return await self.connect()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(self, *_error: Any) -> None:
        await self.close()

    async def connect(self) -> "Client":
        """Until it is connected, however long the server is away. Raises Refused."""
        await self._core.live()
        return self

    @property
    def status(self) -> str:
        """``connecting``, ``live``, ``offline``, ``refused`` or ``closed``; the last two do not reconnect by themselves."""
        return self._core.connection.status

    @property
    def reason(self) -> Optional[End]:
        """Why the last connection ended: ``code``, ``name``, ``message``."""
        return self._core.connection.reason

    @property
    def sid(self) -> Optional[str]:
        """The public name of this session, which others see as ``sender``."""
        return self._core.connection.sid

    @property
    def user(self) -> Optional[Dict[str, Any]]:
        return self._core.connection.user

    @property
    def limits(self) -> Dict[str, float]:
        return dict(self._core.connection.limits)

    def now(self) -> float:
        """The store's clock in ms, by which ``expires_at`` is meant."""
        return self._core.connection.pulse.store_now()

    def on(self, event: str, handler: Optional[Callable[..., Any]] = None) -> Any:
        """Hears an event in every topic that this session is in, as it comes (a room's state may follow later); ``'*'``
        hears all. And: ``connect`` (with whether the session was resumed), ``disconnect`` (with the reason), ``reset``
        (events were missed), ``removed`` (a topic ended)."""
        return self._core.emitter.on(event, handler)

    def off(self, event: str, handler: Callable[..., Any]) -> None:
        self._core.emitter.off(event, handler)

    def handle(self, name: str, handler: Optional[Callable[[Any], Any]] = None) -> Any:
        """Answers the server's calls of this name. A RoomwireError that is raised becomes the answer's code."""
        return self._core.server_calls.handle(name, handler)

    async def call(
        self, name: str, data: Any = None, *, key: Optional[str] = None, timeout: Optional[float] = None
    ) -> Any:
        """``key`` makes it safe to repeat: it is sent again after a reconnect instead of failing. Cancelling the task
        cancels the call."""
        return await self._core.call(name, data, key=key, timeout_ms=None if timeout is None else timeout * 1000)

    async def publish(
        self, topic: str, event: str, data: Any, *, key: Optional[str] = None, timeout: Optional[float] = None
    ) -> Published:
        return await self._core.publish(topic, event, data, key=key, timeout=timeout)

    def volatile(self, topic: str, event: str, slot: str, data: Any) -> None:
        """The newest value per slot wins; dropped while there is no connection."""
        self._core.requests.volatile(topic, event, slot, data)

    def subscribe(self, topic: str, start: Optional[Sequence[Any]] = None) -> Subscription:
        """``start``: a position to go on from. Await the subscription for the server's answer."""
        return Subscription(self._core, topic, True, (start[0], start[1]) if start else None)

    def listen(self, topic: str) -> Subscription:
        """Handlers for a topic that a call, or the server by itself, subscribes this session to."""
        return Subscription(self._core, topic, False, None)

    def room(self, room_id: str) -> Room:
        """The same object for the same id."""
        return self._core.room(room_id)

    def rooms(self, group: Optional[str] = None) -> RoomList:
        """The list of rooms; ``await client.rooms().watch()`` loads it and keeps it current."""
        return self._core.rooms(group)

    def reconnect(self) -> None:
        """At once when offline, and again after a refusal."""
        self._core.connection.retry()

    async def wait(self) -> None:
        """Until it is closed or refused."""
        while self.status not in ("closed", "refused"):
            await self._core.next_status()

    async def close(self) -> None:
        """Ends the session, with its locks."""
        if self._made is not None:
            await self._made.close()


def connect(url: str, **options: Any) -> Client:
    """The options, all by name, are the fields of Settings: ``token``, ``grace``, ``backoff``, ``call_timeout``,
    ``on_error`` and others."""
    return Client(Settings(url, **options))
