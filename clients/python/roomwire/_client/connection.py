"""The connection that outlives its sockets: token, socket, HELLO, WELCOME, frames, and after each end what its
close code asks for. The owner hears WELCOME first, then every other frame.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Awaitable, Dict, FrozenSet, List, NamedTuple, Optional, Protocol, Sequence, Tuple

from ..errors import RoomwireError, close_name
from . import codec
from .backoff import reaction_to
from .bounds import HELD_MS, HELLO_BYTES, MAX_REFUSALS, MESSAGE_BYTES, POSITION_BYTES, WELCOME_MS, ANSWER_MS
from .clock import now
from .pulse import Pulse
from .settings import Settings
from .wire import Closed, Refusal, Wire

Position = Tuple[str, int]


class End(NamedTuple):
    """Why the last connection ended."""

    code: int
    name: str
    message: str


class Owner(Protocol):
    def resume(self, most: float) -> Dict[str, Position]: ...

    def welcome(self, welcome: Dict[str, Any], resumed: FrozenSet[str]) -> None: ...

    def frame(self, frame: List[Any]) -> bool: ...

    def down(self, final: bool) -> None: ...

    def status(self) -> None: ...


class Connection:
    """``status``: connecting, live, offline, refused or closed. The last two do not reconnect by themselves."""

    def __init__(self, settings: Settings, owner: Owner) -> None:
        self._settings = settings
        self._owner = owner
        self.status = "connecting"
        self.reason: Optional[End] = None
        self.attempt = 0
        # Wall clock, in s, while offline.
        self.retry_at: Optional[float] = None
        self.user: Optional[Dict[str, Any]] = None
        self.sid: Optional[str] = None
        # The last token, for HTTP.
        self.token: Optional[str] = None
        self.last_welcome: Dict[str, Any] = {}
        self.pulse = Pulse(settings, self._push, self._silent)
        self.pulse.on_beat = self._tell
        self._wire: Optional[Wire] = None
        self._live = False
        self._ticket: Optional[List[str]] = None
        self._goaway: Optional[Sequence[Any]] = None
        self._refusals = 0
        self._greeted = 0.0
        self._live_since = 0.0
        self._resumed: FrozenSet[str] = frozenset()
        # Something came since the last POSITION.
        self._news = False
        self._ended: "asyncio.Future[Tuple[int, str]]"
        self._wake = asyncio.Event()
        self._task: Optional["asyncio.Task[None]"] = None
        self._closings: "set[asyncio.Future[None]]" = set()

    # What the rest of the client asks for.

    def start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())

    def send(self, frame: bytes) -> None:
        if self._live:
            self._push(frame)

    @property
    def buffered(self) -> int:
        return self._wire.buffered if self._wire else 0

    @property
    def limits(self) -> Dict[str, float]:
        limits: Dict[str, float] = self.last_welcome.get("limits", {})
        return limits

    def retry(self) -> None:
        """Now instead of after the backoff, or again after a refusal."""
        if self.status == "refused":
            self._refusals = self.attempt = 0
            self.status = "connecting"
            self.start()
        self._wake.set()

    async def close(self) -> None:
        """Ends the session (BYE), and with it what it holds."""
        if self.status != "closed":
            if self._live:
                self._push(codec.encode([codec.BYE]))
            closing = self._drop(1000, "closed")
            if self._task:
                self._task.cancel()
            self._set("closed", None)
            if closing:
                await asyncio.shield(closing)
        for closing in list(self._closings):
            await asyncio.shield(closing)

    # From one socket to the next.

    async def _run(self) -> None:
        while True:
            self._set("connecting")
            self._wake.clear()
            code, message, reaction, least = await self._once()
            if self._live and now() - self._live_since >= HELD_MS:
                self.attempt = self._refusals = 0
            if code == 4008 and self.attempt > 0:
                # By a HELLO of an earlier attempt, which came late: nobody else has the session (RW-SES-5).
                reaction = "backoff"
            retry_after = self._goaway[3] if self._goaway else 0
            self._drop(code if code >= 4000 else 1000, message)
            name = close_name(code) if code else "token_unavailable"
            if reaction == "token":
                self._refusals += 1
                if not callable(self._settings.token) or self._refusals >= MAX_REFUSALS:
                    reaction = "refuse"
            end = End(code, name, message)
            if reaction == "refuse":
                self._set("refused", end)
                return
            self.attempt += 1
            delay = max(least, self._settings.backoff.delay(self.attempt, code, retry_after))
            self.retry_at = time.time() + delay / 1000
            self._set("offline", end)
            try:
                await asyncio.wait_for(self._wake.wait(), delay / 1000)
            except asyncio.TimeoutError:
                pass

    async def _once(self) -> Tuple[int, str, str, float]:
        """One socket. What ended it: close code, text, what to do, and for how long at least to wait first."""
        self._goaway = None
        try:
            self.token = await _in_time(self._settings.ask_token(), ANSWER_MS)
        except RoomwireError as problem:
            return 4100, str(problem), "refuse", 0
        except TypeError as problem:
            self._settings.report(problem)
            return 4003, str(problem), "refuse", 0
        except Exception as problem:  # noqa: BLE001 - an endpoint that is away is no refusal
            return 0, str(problem) or "no token in time", "backoff", 0
        try:
            self._wire = await Wire.open(self._settings.url, self._settings.agent)
        except Refusal as refusal:
            return 1006, str(refusal), "backoff", refusal.retry_after_ms
        except (OSError, asyncio.TimeoutError) as problem:
            return 1006, str(problem) or "no connection in time", "backoff", 0
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        slow = loop.call_later(WELCOME_MS / 1000, lambda: None if self._live else self._end(1006, "no WELCOME"))
        reader = asyncio.ensure_future(self._read(self._wire))
        try:
            try:
                self._wire.send(self._hello())
            except (RoomwireError, ValueError) as problem:
                # What the server would close with 4003: it does not get better by itself.
                self._settings.report(problem)
                return 4003, str(problem), "refuse", 0
            code, message = await self._ended
        finally:
            slow.cancel()
            reader.cancel()
        if self._goaway and code < 4000:
            code = self._goaway[1]
        return code, message, reaction_to(code), 0

    async def _read(self, wire: Wire) -> None:
        try:
            waits = False
            while True:
                message = await wire.read()
                self.pulse.heard()
                for frame in codec.decode(message):
                    op = frame[0]
                    if waits and op != codec.ACK and op != codec.NACK:
                        # Who awaits a publish learns its offset before the event comes (RW-ORD-3).
                        waits = False
                        for _ in range(4):
                            await asyncio.sleep(0)
                    if wire is not self._wire:
                        return
                    waits = self._frame(op, frame) or waits
        except Closed as closed:
            self._end(closed.code, closed.reason)
        except (ValueError, IndexError, KeyError, TypeError) as problem:
            # The server broke the protocol.
            self._settings.report(problem)
            self._end(1002, str(problem))

    def _frame(self, op: int, frame: List[Any]) -> bool:
        if op == codec.PING:
            self.send(codec.encode([codec.PONG, frame[1] if len(frame) > 1 else None]))
            self._tell()
        elif op == codec.PONG:
            self.pulse.pong(frame)
        elif op == codec.GOAWAY:
            self._goaway = frame
        elif op == codec.WELCOME:
            self._welcomed(frame[2])
        elif self._live:
            self._news = True
            return self._owner.frame(frame)
        return False

    def _hello(self) -> bytes:
        settings = self._settings
        self._greeted = now()

        def hello(resume: Dict[str, Position]) -> bytes:
            parts = {
                "token": self.token,
                "session": self._ticket,
                "instance": settings.instance,
                "grace": settings.grace_ms,
                "agent": settings.agent,
                "resume": resume,
                "features": ["positions"],
            }
            return codec.encode([codec.HELLO, 1, {key: part for key, part in parts.items() if part is not None}])

        # What finds no room is subscribed from its position after WELCOME. A map's header has up to 4 bytes more.
        most = self.limits.get("helloBytes", HELLO_BYTES) - len(hello({})) - 4
        resume = self._owner.resume(most)
        self._resumed = frozenset(resume)
        return hello(resume)

    def _welcomed(self, welcome: Dict[str, Any]) -> None:
        self.last_welcome = welcome
        self._ticket = welcome["session"]
        self._live = True
        self._live_since = now()
        if self._wire:
            self._wire.message_bytes = int(min(MESSAGE_BYTES, welcome["limits"].get("messageBytes", MESSAGE_BYTES)))
        self.user = welcome["user"]
        self.sid = welcome["session"][0]
        self.pulse.begin(welcome, self._greeted)
        self._owner.welcome(welcome, self._resumed)
        if self._live:
            self._set("live", None)

    def _tell(self) -> None:
        """Says what was handled, for whoever asks the server why an event did not arrive (RW-POS-6)."""
        if not self._news or "positions" not in self.last_welcome.get("features", ()):
            return
        self._news = False
        most = self.limits.get("helloBytes", HELLO_BYTES) - POSITION_BYTES
        self.send(codec.encode([codec.POSITION, self._owner.resume(most)]))

    def _silent(self) -> None:
        self._end(4300, "no answer")

    def _end(self, code: int, message: str) -> None:
        if not self._ended.done():
            self._ended.set_result((code, message))

    def _push(self, frame: bytes) -> None:
        if self._wire:
            self._wire.send(frame)

    def _drop(self, code: int, reason: str) -> "Optional[asyncio.Future[None]]":
        """Lets go of the socket, without waiting for the other side."""
        wire, self._wire = self._wire, None
        self._live = False
        self.pulse.end()
        if wire is None:
            return None
        closing = asyncio.ensure_future(wire.close(code, reason))
        self._closings.add(closing)
        closing.add_done_callback(self._closings.discard)
        return closing

    def _set(self, status: str, reason: Optional[End] = None) -> None:
        before, self.status = self.status, status
        if status == "live":
            self.reason = None
        elif reason:
            self.reason = reason
        if status != "offline":
            self.retry_at = None
        if status in ("offline", "refused", "closed") and before != status:
            self._owner.down(status != "offline")
        self._owner.status()


async def _in_time(answer: Awaitable[Any], ms: float) -> Any:
    return await asyncio.wait_for(answer, ms / 1000)
