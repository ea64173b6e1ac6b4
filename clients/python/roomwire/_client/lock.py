"""A held lock: a lease renewed at a third of its length, and a signal that comes the moment the lease or its session
may be over. Both ends are counted by this client's own clock from before what was answered last left, so the client
stops believing in the lock before the server does (RW-LCK-7).
"""

from __future__ import annotations

import asyncio
import math
import secrets
from typing import Any, Awaitable, Callable, Dict, List, Optional, TYPE_CHECKING

from ..errors import LockLost, RoomwireError, error
from .bounds import DEFAULT_LEASE_MS, MIN_REFRESH_MS
from .clock import now

if TYPE_CHECKING:
    from .core import Core
    from .room import Room

_GONE = ("lock_lost", "not_holder", "not_member", "room_not_found")


async def acquire(
    core: "Core",
    room: "Room",
    target: str,
    *,
    ttl: Optional[float],
    msg: Optional[str],
    wait: Optional[float],
    timeout: Optional[float],
) -> "Lock":
    """With a key of its own, so that an answer that gets lost is told again: to this session, over whatever connection.
    What is not wanted any more by then is given back."""
    wait_ms = (wait or 0) * 1000
    timeout_ms = timeout * 1000 if timeout is not None else wait_ms + core.settings.call_timeout_ms
    began = now()
    left: Optional[float] = None if wait is None else wait_ms
    while True:
        asked = now()
        try:
            return await _ask(core, room, target, ttl, msg, left, began + timeout_ms - asked)
        except RoomwireError as problem:
            at = now()
            left = max(0.0, began + wait_ms - at)
            # The server lets nobody wait for longer than callMaxMs; and the key was of a session that is gone.
            cut = wait_ms > 0 and (at - asked) * 2 > core.connection.limits.get("callMaxMs", math.inf)
            again = cut and (problem.name == "deadline" or (problem.name == "lock_held" and left > 0))
            if not (again or problem.name == "key_reused") or at >= began + timeout_ms:
                raise


async def _ask(
    core: "Core",
    room: "Room",
    target: str,
    ttl: Optional[float],
    msg: Optional[str],
    wait_ms: Optional[float],
    timeout_ms: float,
) -> "Lock":
    ttl_ms = DEFAULT_LEASE_MS if ttl is None else ttl * 1000
    connection = core.connection
    welcome = connection.last_welcome
    asked = now()
    held: List[Lock] = []

    def on_ack(lease: Dict[str, Any], late: bool) -> None:
        # At once: the lock:update of this acquisition may be in the same message.
        same = connection.last_welcome is welcome
        if same:
            connection.pulse.answered(asked)
        lock = Lock(core, room, ttl_ms, lease)
        held.append(lock)
        # The lease began when the waiting ended; the server counts that from after we asked.
        lock.extend(lease, asked + lease.get("waited", 0))
        if late:
            core.spawn(lock.release())
        elif not same:
            # Told again, it may be over or another's.
            lock.check()

    waits = _Waits()
    connection.pulse.add(waits)
    arguments: Dict[str, Any] = {"roomId": room.id, "target": target, "ttl": ttl_ms}
    if msg is not None:
        arguments["msg"] = msg
    if wait_ms is not None:
        arguments["wait"] = int(wait_ms)
    try:
        await core.call(
            "lock:acquire", arguments, key=secrets.token_urlsafe(12), timeout_ms=timeout_ms, give_back=True, on_ack=on_ack
        )
    except asyncio.CancelledError:
        # Granted in the same turn of the loop in which the wait for it was cancelled.
        for lock in held:
            core.spawn(lock.release())
        raise
    finally:
        connection.pulse.beliefs.discard(waits)
    lock = held[0]
    lock.check_held()
    return lock


class _Waits:
    """Someone in line: the session is to be kept, so PINGs are sent as often as for a lock."""

    def expire(self) -> None: ...

    def lose(self, why: str) -> None: ...


class Lock:
    """``token`` is the fencing token: send it with every write that the lock guards. ``held`` is False from the moment at
    which the lease may be over; ``await lock.lost()`` waits for that, and ``check_held()`` raises LockLost."""

    def __init__(self, core: "Core", room: "Room", ttl_ms: float, lease: Dict[str, Any]) -> None:
        self.target: str = lease["target"]
        self.token: int = lease["token"]
        # Store time in ms.
        self.expires_at: float = 0
        self._core = core
        self._room = room
        self._ttl = ttl_ms
        # Own clock: from here on the lease may be over, whatever the session.
        self._until = 0.0
        # The lock:update of our own acquisition went by; before it, updates are of earlier holders.
        self._seen = False
        self._over = False
        self._released = False
        self._why: Optional[str] = None
        self._lost = asyncio.Event()
        self._on_lost: List[Callable[[], Any]] = []
        self._refreshing: "Optional[asyncio.Future[None]]" = None
        self._refresh_timer: Optional[asyncio.TimerHandle] = None
        self._expiry_timer: Optional[asyncio.TimerHandle] = None
        room.locks.add(self)
        core.connection.pulse.add(self)

    @property
    def held(self) -> bool:
        # Looked at, not remembered: after a sleep no timer has run yet.
        return not self._over and self._left() > 0

    def check_held(self) -> None:
        if not self.held:
            raise LockLost("lock_lost", self._why or ("released" if self._released else "the lease ended"))

    async def lost(self) -> str:
        """Waits until the lease is over or cannot be known to last, and says why. A release is no loss."""
        await self._lost.wait()
        return self._why or ""

    def on_lost(self, run: Callable[[], Any]) -> None:
        """Runs once, at the moment of the loss."""
        if self._lost.is_set():
            run()
        else:
            self._on_lost.append(run)

    async def refresh(self) -> None:
        """Renews now; the client does so by itself."""
        if self._refreshing is None:
            self._refreshing = asyncio.ensure_future(self._renew("lock:refresh", {"ttl": self._ttl}))
            self._refreshing.add_done_callback(self._refreshed)
        await asyncio.shield(self._refreshing)

    async def message(self, msg: Optional[str]) -> None:
        """Changes what others are shown."""
        await self._renew("lock:msg", {"msg": msg})

    async def release(self) -> bool:
        """False when it was not held any more."""
        if self._over:
            return False
        self._released = True
        self._end()
        try:
            reply = await self._call("lock:release")
            return bool(reply["released"])
        except RoomwireError as problem:
            if problem.name in _GONE:
                return False
            if problem.name == "deadline":
                self._give_back()
            raise

    async def __aenter__(self) -> "Lock":
        return self

    async def __aexit__(self, *_error: Any) -> None:
        await self.release()

    # What the room and the pulse tell.

    def heard(self, lock: Optional[Dict[str, Any]], own_sid: Optional[str]) -> None:
        """The server's word about this target: None, or who has it now."""
        if lock is not None and lock["sid"] == own_sid and lock["expiresAt"] >= self.expires_at:
            self._seen = True
        elif self._seen and (lock is None or lock["sid"] != own_sid):
            self.lose("another has the lock")

    def lose(self, why: str) -> None:
        """The server has ended it."""
        if self._over:
            return
        self._why = why
        self._end()
        self._lost.set()
        for run in self._on_lost:
            try:
                run()
            except Exception as problem:  # noqa: BLE001 - the application's own
                self._core.settings.report(problem)

    def expire(self) -> None:
        """Ends it when its time is over: the server may hold it all the same, so it is given back."""
        if self._over:
            return
        if self._expiry_timer:
            self._expiry_timer.cancel()
        left = self._left()
        if left <= 0:
            self.lose("the lease ended")
            self._give_back()
        else:
            self._expiry_timer = asyncio.get_running_loop().call_later(left / 1000, self.expire)

    def check(self) -> None:
        """Events were missed: ask at once whether the lock is still ours."""
        if not self._over:
            self._core.spawn(self.refresh())

    def extend(self, lease: Dict[str, Any], asked: float, renewed: bool = True) -> None:
        left = lease["expiresAt"] - self._core.connection.pulse.store_now()
        self.expires_at = lease["expiresAt"]
        # A message does not lengthen the lease beyond what expiresAt says; our request's ttl neither.
        self._until = min(asked + self._ttl if renewed else self._until, now() + left)
        self._refresh_later()
        self.expire()

    def _give_back(self) -> None:
        """For as long as the server may hold it, or it waits for a connection in vain."""
        ms = max(self._core.settings.call_timeout_ms, self._until - now())
        self._core.spawn(self._call("lock:release", None, ms))

    async def _renew(self, name: str, arguments: Dict[str, Any]) -> None:
        if self._over:
            raise LockLost("lock_lost", self._why)
        asked = now()
        connection = self._core.connection
        welcome = connection.last_welcome
        try:
            # Past the lease's end an answer means nothing.
            lease = await self._call(name, arguments, self._left())
        except RoomwireError as problem:
            if problem.name in _GONE:
                self.lose(problem.message)
            elif not self._over and name == "lock:refresh":
                self._refresh_later()
            raise
        if connection.last_welcome is welcome:
            connection.pulse.answered(asked)
        if not self._over:
            self.extend(lease, asked, name == "lock:refresh")

    def _refreshed(self, done: "asyncio.Future[None]") -> None:
        self._refreshing = None
        if not done.cancelled():
            # Told to who waits for it; the rest is said by the lost signal.
            done.exception()

    def _call(
        self, name: str, arguments: Optional[Dict[str, Any]] = None, timeout_ms: Optional[float] = None
    ) -> Awaitable[Any]:
        parts = {"roomId": self._room.id, "target": self.target, "token": self.token, **(arguments or {})}
        return self._core.call(name, parts, resend=True, timeout_ms=timeout_ms)

    def _refresh_later(self) -> None:
        if self._over:
            return
        if self._refresh_timer:
            self._refresh_timer.cancel()
        wait = max(MIN_REFRESH_MS, (self._until - now()) / 3)
        self._refresh_timer = asyncio.get_running_loop().call_later(wait / 1000, self.check)

    def _end(self) -> None:
        self._over = True
        self._room.locks.discard(self)
        self._core.connection.pulse.beliefs.discard(self)
        for timer in (self._refresh_timer, self._expiry_timer):
            if timer:
                timer.cancel()

    def _left(self) -> float:
        """Ms that it lasts for sure: the lease, and the session, which ends when its grace does."""
        return min(self._until, self._core.connection.pulse.believed_until) - now()
