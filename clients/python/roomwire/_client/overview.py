"""``client.rooms``: the list of rooms, and how it is kept current.

Joining the overview comes first, then the list is fetched over HTTP while events wait; so nothing falls between the two.
By version: what is not newer than what is held, or than what was deleted, is not applied, in whatever order it comes.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Dict, List, Optional, TYPE_CHECKING

from ..errors import RoomwireError, error
from .bounds import ANSWER_MS, MAX_DELETED_ROOMS, RELOAD_MS, ROOMS_PER_PAGE
from .emitter import Emitter
from .follower import Followed, Follower
from .topics import EventInfo

if TYPE_CHECKING:
    from .core import Core


class RoomList(Emitter, Followed):
    """A mapping of room id to metadata, of one group (default: the public list). Handlers of ``change`` hear the list
    after each change."""

    name = "overview"

    def __init__(self, core: "Core", group: Optional[str] = None) -> None:
        super().__init__(core.settings.report)
        self._core = core
        self._group = group
        self.input = {} if group is None else {"group": group}
        # Whether it is kept current by the server. Joining a room ends it, unless the deployment says otherwise.
        self.watching = False
        self._rooms: Dict[str, Dict[str, Any]] = {}
        # The version at which a room was deleted: nothing up to it brings the room back.
        self._deleted: Dict[str, int] = {}
        self._reload: Optional[asyncio.TimerHandle] = None
        self._follower = Follower(core, "overview:" + (group or "public"), self)

    async def watch(self) -> List[Dict[str, Any]]:
        if not self.watching or self._follower.joining:
            await self._follower.follow()
        return self.list()

    async def unwatch(self) -> None:
        await self._follower.leave()

    def list(self) -> List[Dict[str, Any]]:
        return list(self._rooms.values())

    def get(self, room_id: str) -> Optional[Dict[str, Any]]:
        return self._rooms.get(room_id)

    def __contains__(self, room_id: object) -> bool:
        return room_id in self._rooms

    def __len__(self) -> int:
        return len(self._rooms)

    # What the follower asks and tells.

    async def read(self, reply: Any) -> Any:
        return await fetch_rooms(self._core, self._group)

    def apply(self, state: Any, missed: Optional[str]) -> None:
        self.watching = True
        listed = {room["id"] for room in state["rooms"]}
        for room_id, room in list(self._rooms.items()):
            if room_id not in listed:
                self._bury(room_id, room["version"])
        for room in state["rooms"]:
            self._write(room["id"], room)
        self.tell("change", self.list())

    def kept(self) -> None:
        self.watching = True

    def event(self, data: Any, info: EventInfo, included: bool) -> None:
        if info.sender is not None:
            return
        if info.event == "room:delete":
            room_id, version = data["roomId"], data["version"]
            if version >= self._version(room_id):
                self._bury(room_id, version)
                self.tell("change", self.list())
        elif info.event == "room:update":
            self._update(dict(data))

    def left(self) -> None:
        self._stop()

    def ended(self, problem: RoomwireError, before: bool) -> None:
        self._stop()
        if before:
            self.tell("removed", problem)

    def end(self, problem: RoomwireError) -> None:
        self._follower.end(problem)

    def _update(self, changes: Dict[str, Any]) -> None:
        room_id = changes.pop("roomId")
        if changes.pop("created", False):
            room = {**changes, "id": room_id}
        elif room_id in self._rooms:
            room = {**self._rooms[room_id], **changes}
        else:
            # A room that came into view: only the list has all of it.
            if changes["version"] > self._version(room_id) and self._reload is None:
                self._reload = asyncio.get_running_loop().call_later(RELOAD_MS / 1000, self._again)
            return
        if self._write(room_id, room):
            self.tell("change", self.list())

    def _again(self) -> None:
        self._reload = None
        self._follower.again("gap")

    def _version(self, room_id: str) -> int:
        return max(self._rooms.get(room_id, {}).get("version", 0), self._deleted.get(room_id, 0))

    def _write(self, room_id: str, room: Dict[str, Any]) -> bool:
        if room["version"] <= self._version(room_id):
            return False
        self._deleted.pop(room_id, None)
        self._rooms[room_id] = room
        return True

    def _bury(self, room_id: str, version: int) -> None:
        self._rooms.pop(room_id, None)
        self._deleted.pop(room_id, None)
        self._deleted[room_id] = version
        if len(self._deleted) > MAX_DELETED_ROOMS:
            del self._deleted[next(iter(self._deleted))]

    def _stop(self) -> None:
        self.watching = False
        if self._reload:
            self._reload.cancel()
            self._reload = None


async def fetch_rooms(core: "Core", group: Optional[str]) -> Dict[str, Any]:
    """All pages of GET /api/rooms. They carry the first page's positions: what is newer comes as events."""
    query = {"limit": str(ROOMS_PER_PAGE), **({} if group is None else {"group": group})}
    rooms: List[Dict[str, Any]] = []
    positions: Optional[Dict[str, Any]] = None
    while True:
        url = "%s/api/rooms?%s" % (core.settings.http_url, urllib.parse.urlencode(query))
        page = await asyncio.get_running_loop().run_in_executor(None, _get, url, core.connection.token)
        rooms += page["rooms"]
        positions = page["positions"] if positions is None else positions
        if page["next"] is None:
            return {"rooms": rooms, "positions": positions}
        query["cursor"] = page["next"]


def _get(url: str, token: Optional[str]) -> Any:
    request = urllib.request.Request(url, headers={} if token is None else {"authorization": "Bearer " + token})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_MS / 1000) as response:
            return json.load(response)
    except urllib.error.HTTPError as problem:
        name = {401: "unauthenticated", 403: "forbidden"}.get(problem.code, "bad_request")
        if problem.code >= 500 or problem.code == 429:
            name = "store_unavailable"
        raise error(name, "GET /api/rooms: %d" % problem.code) from None
