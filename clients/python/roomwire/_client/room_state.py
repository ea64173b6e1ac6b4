"""A room's state as a value: the join reply, and what each of the server's events makes of it.

Pure: the room decides which events count (only the server's, only those after the reply).
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional


class RoomState(NamedTuple):
    """``status``: idle, joining, joined, left (by this client), removed (by the server) or deleted. ``members`` are in
    joining order, and only a first page while not ``complete``. ``locks`` are by target."""

    status: str = "idle"
    metadata: Optional[Dict[str, Any]] = None
    members: List[Dict[str, Any]] = []
    member_count: int = 0
    complete: bool = True
    locks: Dict[str, Dict[str, Any]] = {}
    presenter: Optional[Dict[str, Any]] = None
    host: Optional[Dict[str, Any]] = None


def joined(state: RoomState, reply: Dict[str, Any], anew: bool) -> RoomState:
    """``anew``: after missed events the reply counts even where its version is no newer."""
    metadata, holders, current = reply["metadata"], reply["holders"], state.metadata
    if current and not anew and current["version"] > metadata["version"]:
        metadata = current
    return RoomState(
        status="joined",
        metadata=metadata,
        members=reply["members"],
        member_count=reply["memberCount"],
        complete=reply["complete"],
        locks={lock["target"]: lock for lock in holders["locks"]},
        presenter=holders["presenter"],
        host=holders["host"],
    )


def reduce(state: RoomState, event: str, data: Any) -> RoomState:
    """The state after one event of the server; the same object when nothing changed."""
    if event == "room:update":
        metadata = state.metadata
        if metadata is None or data["version"] <= metadata["version"]:
            return state
        changes = {key: value for key, value in data.items() if key not in ("roomId", "created")}
        return state._replace(metadata={**metadata, **changes})
    if event == "room:delete":
        return state._replace(status="deleted", locks={}, presenter=None)
    if event == "lock:update":
        locks = {target: lock for target, lock in state.locks.items() if target != data["target"]}
        if data["lock"]:
            locks[data["target"]] = data["lock"]
        return state._replace(locks=locks)
    if event == "member:joined":
        member = data["member"]
        if any(other["userId"] == member["userId"] for other in state.members):
            return _changed(state, member)
        return state._replace(members=[*state.members, member], member_count=state.member_count + 1)
    if event == "member:left":
        members = [member for member in state.members if member["userId"] != data["userId"]]
        # In a partial list, who is not on the page was counted all the same.
        if state.complete and len(members) == len(state.members):
            return state
        return state._replace(members=members, member_count=max(len(members), state.member_count - 1))
    if event == "member:online":
        return _changed(state, {"userId": data["userId"], "online": data["online"]})
    if event == "member:mode":
        return state._replace(members=data["members"], member_count=data["memberCount"], complete=data["complete"])
    if event == "member:count":
        return state._replace(member_count=data["memberCount"])
    if event == "presenter:update":
        return state._replace(presenter=data["presenter"])
    if event == "host:update":
        return state._replace(host=data["host"])
    return state


def _changed(state: RoomState, changes: Dict[str, Any]) -> RoomState:
    """With what one member has become."""
    return state._replace(
        members=[
            {**member, **changes} if member["userId"] == changes["userId"] else member for member in state.members
        ]
    )
