"""The client for scripts and notebooks: the same as roomwire.aio, without ``await``.

    from roomwire.client import connect

    with connect("ws://127.0.0.1:8420") as client:
        room = client.room("demo")

        @room.on("chat:message:new")
        def message(data):
            print(data["user"], data["text"])

        room.join(create=True)
        client.call("chat:send", {"roomId": "demo", "text": "hello"})
        with room.lock("trajectory:meta", msg="Uploading") as lock:
            print("mine, under token", lock.token)
        client.wait()  # until Ctrl-C

The connection lives in a thread of its own. Handlers run in another one, in order, so a handler may call and wait, and a
slow one does not keep the connection from answering. Past a bound of events that wait for handlers, further ones are
dropped, which ``on_error`` is told. What is not closed is closed when the program ends.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import threading
import weakref
from collections import deque
from typing import Any, Callable, Coroutine, Deque, Dict, List, Optional, Sequence, Tuple

from . import aio
from ._client.bounds import MAX_UNHANDLED
from ._client.emitter import takes_two
from .aio import Backoff, End, EventInfo, Published, Ready, RoomState
from .errors import RoomwireError

__all__ = [
    "Backoff",
    "Client",
    "End",
    "EventInfo",
    "Lock",
    "Published",
    "Ready",
    "Room",
    "RoomList",
    "RoomState",
    "RoomwireError",
    "Subscription",
    "connect",
]

Handler = Callable[..., Any]


class Client:
    def __init__(self, inner: aio.Client, report: Optional[Callable[[BaseException], Any]]) -> None:
        self._inner = inner
        self._loop = asyncio.new_event_loop()
        self._report = report
        self._events: Deque[Tuple[Any, ...]] = deque()
        self._more = threading.Condition()
        self._dropped = False
        self._closed = False
        threading.Thread(target=self._run_loop, name="roomwire", daemon=True).start()
        threading.Thread(target=self._run_handlers, name="roomwire-handlers", daemon=True).start()
        self._rooms: "weakref.WeakValueDictionary[str, Room]" = weakref.WeakValueDictionary()
        _open.add(self)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_error: Any) -> None:
        self.close()

    @property
    def status(self) -> str:
        return self._inner.status

    @property
    def reason(self) -> Optional[End]:
        return self._inner.reason

    @property
    def sid(self) -> Optional[str]:
        return self._inner.sid

    @property
    def user(self) -> Optional[Dict[str, Any]]:
        return self._inner.user

    @property
    def limits(self) -> Dict[str, float]:
        return self._inner.limits

    def now(self) -> float:
        return self._inner.now()

    def on(self, event: str, handler: Optional[Handler] = None) -> Any:
        return self._on(self._inner.on, event, handler)

    def handle(self, name: str, handler: Optional[Callable[[Any], Any]] = None) -> Any:
        """The function runs in a thread, so it may call and wait."""
        if handler is None:
            return lambda decorated: self.handle(name, decorated)

        async def answer(data: Any) -> Any:
            return await self._loop.run_in_executor(None, handler, data)

        self._do(lambda: self._inner.handle(name, answer))
        return handler

    def call(self, name: str, data: Any = None, *, key: Optional[str] = None, timeout: Optional[float] = None) -> Any:
        return self._await(self._inner.call(name, data, key=key, timeout=timeout))

    def publish(
        self, topic: str, event: str, data: Any, *, key: Optional[str] = None, timeout: Optional[float] = None
    ) -> Published:
        return self._await(self._inner.publish(topic, event, data, key=key, timeout=timeout))

    def volatile(self, topic: str, event: str, slot: str, data: Any) -> None:
        self._do(lambda: self._inner.volatile(topic, event, slot, data))

    def subscribe(self, topic: str, start: Optional[Sequence[Any]] = None) -> "Subscription":
        return Subscription(self, self._do(lambda: self._inner.subscribe(topic, start)))

    def listen(self, topic: str) -> "Subscription":
        return Subscription(self, self._do(lambda: self._inner.listen(topic)))

    def room(self, room_id: str) -> "Room":
        room = self._rooms.get(room_id)
        if room is None:
            room = self._rooms[room_id] = Room(self, self._do(lambda: self._inner.room(room_id)))
        return room

    def rooms(self, group: Optional[str] = None) -> "RoomList":
        return RoomList(self, self._do(lambda: self._inner.rooms(group)))

    def reconnect(self) -> None:
        self._do(self._inner.reconnect)

    def wait(self) -> None:
        """Until it is closed or refused; Ctrl-C ends the wait."""
        self._await(self._inner.wait())

    def close(self) -> None:
        """Ends the session, with its locks."""
        if self._closed:
            return
        self._closed = True
        _open.discard(self)
        try:
            asyncio.run_coroutine_threadsafe(self._inner.close(), self._loop).result(5)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            with self._more:
                self._more.notify()

    # Between the threads.

    def _connect(self) -> None:
        self._await(self._inner.connect())

    def _await(self, work: Coroutine[Any, Any, Any]) -> Any:
        if self._closed:
            work.close()
            raise RoomwireError("disconnected", "the client is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            # Ctrl-C: nobody wants the answer any more.
            future.cancel()
            raise

    def _do(self, act: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return act()

        return self._await(run())

    def _on(self, register: Callable[[str, Handler], Any], event: str, handler: Optional[Handler]) -> Any:
        if handler is None:
            return lambda decorated: self._on(register, event, decorated)
        if inspect.iscoroutinefunction(handler):
            raise TypeError("a coroutine function is for roomwire.aio")
        two = takes_two(handler)

        def put(data: Any, info: Any) -> None:
            self._put((handler, data, info) if two else (handler, data))

        self._do(lambda: register(event, put))
        return handler

    def _put(self, event: Tuple[Any, ...]) -> None:
        if len(self._events) >= MAX_UNHANDLED:
            if not self._dropped:
                self._dropped = True
                self._inner._core.settings.report(RoomwireError("too_many", "handlers are too slow: events are dropped"))
            return
        if self._dropped:
            self._dropped = False
        self._events.append(event)
        if len(self._events) == 1:
            with self._more:
                self._more.notify()

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _run_handlers(self) -> None:
        events = self._events
        while True:
            while events:
                handler, *arguments = events.popleft()
                try:
                    handler(*arguments)
                except Exception as problem:  # noqa: BLE001 - a handler's own
                    self._inner._core.settings.report(problem)
            with self._more:
                if self._closed:
                    return
                if not events:
                    self._more.wait(1)


class _Stream:
    """What a room and a subscription have in common."""

    def __init__(self, client: Client, inner: Any) -> None:
        self._client = client
        self._inner = inner
        self.topic: str = inner.topic

    def on(self, event: str, handler: Optional[Handler] = None) -> Any:
        return self._client._on(self._inner.on, event, handler)

    def publish(self, event: str, data: Any, *, key: Optional[str] = None, timeout: Optional[float] = None) -> Published:
        return self._client._await(self._inner.publish(event, data, key=key, timeout=timeout))

    def volatile(self, event: str, slot: str, data: Any) -> None:
        self._client._do(lambda: self._inner.volatile(event, slot, data))


class Subscription(_Stream):
    def ready(self) -> Ready:
        """Waits for the server's answer."""

        async def wait() -> Any:
            return await self._inner

        return self._client._await(wait())

    @property
    def position(self) -> Any:
        return self._inner.position

    def unsubscribe(self) -> None:
        self._client._do(self._inner.unsubscribe)


class Room(_Stream):
    def __init__(self, client: Client, inner: aio.Room) -> None:
        super().__init__(client, inner)
        self.id = inner.id

    @property
    def state(self) -> RoomState:
        return self._inner.state

    def join(self, create: Any = None) -> RoomState:
        return self._client._await(self._inner.join(create))

    def leave(self) -> None:
        self._client._await(self._inner.leave())

    def lock(
        self,
        target: str = "trajectory:meta",
        *,
        ttl: Optional[float] = None,
        msg: Optional[str] = None,
        wait: Optional[float] = None,
        timeout: Optional[float] = None,
    ) -> "Lock":
        """Acquires it now; as a context manager it also releases it, whatever happens."""
        request = self._inner.lock(target, ttl=ttl, msg=msg, wait=wait, timeout=timeout)
        return Lock(self._client, self._client._await(request.acquire()))

    def members(self) -> List[Dict[str, Any]]:
        return self._client._await(self._inner.members())

    def take_presenter(self) -> None:
        self._client._await(self._inner.take_presenter())

    def release_presenter(self) -> None:
        self._client._await(self._inner.release_presenter())

    def give_presenter(self, sid: str) -> None:
        self._client._await(self._inner.give_presenter(sid))


class Lock:
    """``held`` is False from the moment at which the lease may be over; ``check_held()`` raises LockLost then."""

    def __init__(self, client: Client, inner: aio.Lock) -> None:
        self._client = client
        self._inner = inner
        self.target = inner.target
        self.token = inner.token
        # Set at that moment.
        self.lost = threading.Event()
        client._do(lambda: inner.on_lost(self.lost.set))

    @property
    def expires_at(self) -> float:
        return self._inner.expires_at

    @property
    def held(self) -> bool:
        return self._inner.held

    def check_held(self) -> None:
        self._inner.check_held()

    def on_lost(self, run: Callable[[], Any]) -> None:
        """Runs once, at the moment of the loss, in the handlers' thread."""
        self._client._do(lambda: self._inner.on_lost(lambda: self._client._put((run,))))

    def refresh(self) -> None:
        self._client._await(self._inner.refresh())

    def message(self, msg: Optional[str]) -> None:
        self._client._await(self._inner.message(msg))

    def release(self) -> bool:
        return self._client._await(self._inner.release())

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_error: Any) -> None:
        self.release()


class RoomList:
    def __init__(self, client: Client, inner: aio.RoomList) -> None:
        self._client = client
        self._inner = inner

    @property
    def watching(self) -> bool:
        return self._inner.watching

    def watch(self) -> List[Dict[str, Any]]:
        return self._client._await(self._inner.watch())

    def unwatch(self) -> None:
        self._client._await(self._inner.unwatch())

    def list(self) -> List[Dict[str, Any]]:
        return self._client._do(self._inner.list)

    def get(self, room_id: str) -> Optional[Dict[str, Any]]:
        return self._inner.get(room_id)

    def on(self, event: str, handler: Optional[Handler] = None) -> Any:
        return self._client._on(self._inner.on, event, handler)


_open: "weakref.WeakSet[Client]" = weakref.WeakSet()


def _close_all() -> None:
    for client in list(_open):
        try:
            client.close()
        except Exception:  # noqa: BLE001 - the program ends; the grace ends what is left
            pass


atexit.register(_close_all)


def connect(url: str, **options: Any) -> Client:
    """Connects, and waits until it is live; Refused when the server says no. The options are the fields of
    roomwire.aio.Settings."""
    client = Client(aio.connect(url, **options), options.get("on_error"))
    try:
        client._connect()
    except BaseException:
        client.close()
        raise
    return client
