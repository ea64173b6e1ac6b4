"""A room as this client sees it: joined with one call whose reply is the whole state at a position, kept current by the
server's events after it, and joined again by itself when events were missed.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Set, TYPE_CHECKING, Union

from ..errors import RoomwireError, error
from .follower import Followed, Follower
from .lock import Lock, acquire
from .room_state import RoomState, joined, reduce
from .stream import Stream
from .topics import EventInfo

if TYPE_CHECKING:
    from .core import Core


class LockRequest:
    """``await room.lock(…)`` gives the lock; ``async with room.lock(…) as lock:`` also releases it, whatever happens."""

    def __init__(self, room: "Room", target: str, options: Dict[str, Any]) -> None:
        self._room = room
        self._target = target
        self._options = options
        self._lock: Optional[Lock] = None

    async def acquire(self) -> Lock:
        return await acquire(self._room.core, self._room, self._target, **self._options)

    def __await__(self) -> Any:
        return self.acquire().__await__()

    async def __aenter__(self) -> Lock:
        self._lock = await self.acquire()
        return self._lock

    async def __aexit__(self, *_error: Any) -> None:
        if self._lock:
            await self._lock.release()


class Room(Stream, Followed):
    """``state`` is an immutable snapshot. Handlers that are registered before ``join`` miss nothing after it; handlers of
    ``state`` hear each new snapshot, those of ``reset`` that events were missed, those of ``removed`` how it ended."""

    name = "room"

    def __init__(self, core: "Core", room_id: str) -> None:
        super().__init__(core, "room:" + room_id)
        self.id = room_id
        self.input = {"roomId": room_id}
        self.state = RoomState()
        self.locks: Set[Lock] = set()
        self._follower = Follower(core, self.topic, self)

    async def join(self, create: Union[None, bool, Dict[str, Any]] = None) -> RoomState:
        """``create``: make it when it is not there, with these fields. Joined already, it is the way to read it anew."""
        await self._follower.follow(None if create is None else {"create": create})
        return self.state

    async def leave(self) -> None:
        await self._follower.leave()

    def lock(
        self,
        target: str = "trajectory:meta",
        *,
        ttl: Optional[float] = None,
        msg: Optional[str] = None,
        wait: Optional[float] = None,
        timeout: Optional[float] = None,
    ) -> LockRequest:
        """Times in s. ``wait``: for so long in line while another holds it, first come, first served; by default LockHeld
        is raised at once."""
        return LockRequest(self, target, {"ttl": ttl, "msg": msg, "wait": wait, "timeout": timeout})

    async def take_presenter(self) -> None:
        await self._ask("presenter:take")

    async def release_presenter(self) -> None:
        await self._ask("presenter:release")

    async def give_presenter(self, sid: str) -> None:
        await self._ask("presenter:give", {"sid": sid})

    async def members(self) -> List[Dict[str, Any]]:
        """All of them, also where the room is crowded and ``state.members`` a first page."""
        members: Dict[str, Dict[str, Any]] = {}
        after: Optional[str] = None
        while True:
            page = await self._ask("room:members", {} if after is None else {"after": after})
            members.update((member["userId"], member) for member in page["members"])
            after = page["next"]
            if after is None:
                return list(members.values())

    async def _ask(self, name: str, arguments: Optional[Dict[str, Any]] = None) -> Any:
        return await self.core.call(name, {**self.input, **(arguments or {})})

    # What the follower asks and tells.

    @property
    def joining(self) -> bool:
        """While it is joined, again or for the first time, the server would refuse what is published."""
        return self._follower.joining

    def changed(self) -> None:
        self._follower.listen()

    def end(self, problem: RoomwireError) -> None:
        self._follower.end(problem)

    def loading(self, missing: bool) -> None:
        # A second join of a room that misses nothing leaves it as it is.
        if missing or self.state.status != "joined":
            self._set(self.state._replace(status="joining"))

    def apply(self, state: Any, missed: Optional[str]) -> None:
        self._set(joined(self.state, state, missed is not None))
        if missed is not None:
            for lock in list(self.locks):
                lock.check()
            self.tell("reset", missed)

    def event(self, data: Any, info: EventInfo, included: bool) -> None:
        # Anyone may publish under these names; only the server says what the room is.
        if info.sender is None and not included:
            state = reduce(self.state, info.event, data)
            if state is not self.state:
                self._set(state)
            if info.event == "lock:update":
                for lock in list(self.locks):
                    if lock.target == data["target"]:
                        lock.heard(state.locks.get(lock.target), self.core.connection.sid)
            elif info.event == "room:delete":
                self.end(error("room_not_found", "the room was deleted"))
        self.emit(info.event, data, info)

    def left(self) -> None:
        self._ended("left")

    def ended(self, problem: RoomwireError, before: bool) -> None:
        if not before:
            # A first join that failed leaves the room as it was; who called it knows.
            self._set(self.state._replace(status="idle"))
            return
        self._ended("deleted" if problem.name == "room_not_found" else "removed")
        self.tell("removed", problem)

    def _ended(self, status: str) -> None:
        for lock in list(self.locks):
            lock.lose("the room was left")
        self._set(self.state._replace(status=status))

    def _set(self, state: RoomState) -> None:
        self.state = state
        self.tell("state", state)
