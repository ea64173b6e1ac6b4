"""What a backend asks of roomwire over HTTP: docs/http.md has each request, this file its Python.

Functions answer with the server's JSON as dicts, and raise a RoomwireError for whatever went wrong, an outage
included. ``broadcast`` and ``send_to_user`` never raise: they are for code whose own work is done already.
"""

from __future__ import annotations

import logging
import os
import uuid
from typing import Any, Dict, List, Mapping, Optional, Sequence
from urllib.parse import quote, urlencode

from .errors import LockLost, RoomwireError
from .transport import Transport

log = logging.getLogger("roomwire")


class Api:
    """One roomwire server. Safe to share between threads and to keep over a fork.

    ``timeout``: seconds that one try waits. ``retries``: further tries, where a repetition can do no harm.
    """

    def __init__(
        self,
        url: Optional[str] = None,
        api_key: Optional[str] = None,
        *,
        timeout: float = 2.0,
        retries: int = 2,
    ) -> None:
        url = url or os.environ.get("ROOMWIRE_URL", "http://127.0.0.1:8420")
        api_key = os.environ.get("ROOMWIRE_API_KEY", "") if api_key is None else api_key
        self._transport = Transport(url, api_key, timeout, retries)
        self.rooms = Rooms(self)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Optional[Mapping[str, str]] = None,
        *,
        timeout: Optional[float] = None,
    ) -> Any:
        """Any request of docs/http.md, or of the program's own routes; what it answers, decoded."""
        repeatable = method in ("GET", "HEAD", "PUT", "DELETE")
        return self._transport.send(method, path, body, headers, repeatable=repeatable, timeout=timeout).body

    # -- publishing -------------------------------------------------------------------------------

    def publish(self, topic: str, event: str, data: Any, key: Optional[str] = None) -> Dict[str, Any]:
        """``{epoch, offset, matched}``; ``matched`` 0: nobody was there.

        The same ``key`` publishes once within five minutes. Without one the call makes its own, which covers its own
        retries.
        """
        message = {"topic": topic, "event": event, "data": data, "key": key or uuid.uuid4().hex}
        return self._transport.send("POST", "/api/publish", message, repeatable=True).body

    def publish_all(self, messages: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
        """Up to 1,000 ``{topic, event, data, key?}`` in order and in one commit; for each its answer, or ``{error}``."""
        keyed = [{"key": uuid.uuid4().hex, **message} for message in messages]
        return self._transport.send("POST", "/api/publish", {"messages": keyed}, repeatable=True).body["results"]

    def broadcast(self, topic: str, event: str, data: Any, key: Optional[str] = None) -> Dict[str, Any]:
        """``publish`` for code that must not fail because of it: an outage or a refusal is logged and answered as
        ``{"ok": False, "matched": 0, "error": ...}``."""
        try:
            answer = self.publish(topic, event, data, key)
        except Exception as trouble:  # whatever it is, the caller's own work is done
            log.error("%s to %s was not published: %s", event, topic, trouble)
            return {"ok": False, "matched": 0, "error": str(trouble)}
        if answer["matched"] == 0:
            log.info("%s to %s (offset %s) matched nobody", event, topic, answer["offset"])
        return {"ok": True, **answer}

    def send_to_user(self, user_id: Any, event: str, data: Any, key: Optional[str] = None) -> Dict[str, Any]:
        """``broadcast`` to every device of a user, who subscribes to ``user:<id>``."""
        return self.broadcast("user:%s" % user_id, event, data, key)

    # -- locks ------------------------------------------------------------------------------------

    def lock(
        self, room: str, target: str = "trajectory:meta", *, ttl: float = 30.0, msg: Optional[str] = None
    ) -> "Lock":
        """A lock for a ``with`` block; ``ttl`` in seconds. Entering raises LockHeld while somebody else has it."""
        return Lock(self, room, target, ttl, msg)

    # -- users and sessions -----------------------------------------------------------------------

    def user(self, user_id: str) -> Dict[str, Any]:
        """``{userId, connections, sessions: [{sid, user, connected, topics}]}``"""
        return self.request("GET", _path("users", user_id))

    def connection_count(self, user_id: Optional[str] = None) -> int:
        """Of one user, or of all."""
        return (self.request("GET", "/api/stats") if user_id is None else self.user(user_id))["connections"]

    def subscribe_user(self, user_id: str, topic: str) -> List[Dict[str, Any]]:
        """Puts the sessions that a user has now into a topic of the contract; answers with them, none if the user is away."""
        return self.request("PUT", _path("users", user_id, "topics", topic))["sessions"]

    def unsubscribe_user(self, user_id: str, topic: str) -> List[Dict[str, Any]]:
        return self.request("DELETE", _path("users", user_id, "topics", topic))["sessions"]

    def subscribe(self, sid: str, topic: str) -> List[str]:
        """Puts one session into a topic; answers with its topics."""
        return self.request("PUT", _path("sessions", sid, "topics", topic))["topics"]

    def unsubscribe(self, sid: str, topic: str) -> List[str]:
        return self.request("DELETE", _path("sessions", sid, "topics", topic))["topics"]

    def call(self, sid: str, name: str, data: Any = None, *, timeout: float = 10.0) -> Any:
        """Asks a client and waits for its answer. Raises Disconnected where it is away, Deadline, and its own refusal."""
        body = {"name": name, "data": data, "timeoutMs": int(timeout * 1000)}
        path = _path("sessions", sid, "call")
        return self._transport.send("POST", path, body, repeatable=False, timeout=timeout + 1).body["result"]

    def kick(self, user_id: str, reason: Optional[str] = None) -> int:
        """Ends the user's sessions; how many there were."""
        body = {} if reason is None else {"reason": reason}
        return self.request("POST", _path("users", user_id, "kick"), body)["kicked"]


class Rooms:
    def __init__(self, api: Api) -> None:
        self._api = api

    def list(self, **query: Any) -> Dict[str, Any]:
        """``{rooms, next, positions}``; ``cursor``, ``limit``, ``group``, ``search`` and ``hidden`` choose among them."""
        given = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
        return self._api.request("GET", "/api/rooms" + ("?" + urlencode(given) if given else ""))

    def get(self, room: str) -> Dict[str, Any]:
        """``{room, memberCount, holders, positions}``"""
        return self._api.request("GET", _path("rooms", room))

    def create(self, room: str, **fields: Any) -> Dict[str, Any]:
        """The room as created. Raises RoomwireError (``room_exists``)."""
        return self._api.request("POST", _path("rooms", room), fields)["room"]

    def update(
        self, room: str, fields: Mapping[str, Any], *, lock: Optional["Lock"] = None, version: Optional[int] = None
    ) -> Dict[str, Any]:
        """The room as it is then. ``lock``: the write is made under it. ``version``: only if the room still has it."""
        headers = {} if lock is None else lock.headers
        if version is not None:
            headers = {**headers, "if-match": '"%d"' % version}
        return self._api.request("PATCH", _path("rooms", room), dict(fields), headers)["room"]

    def delete(self, room: str, *, lock: Optional["Lock"] = None) -> None:
        self._api.request("DELETE", _path("rooms", room), headers={} if lock is None else lock.headers)

    def members(self, room: str, cursor: Optional[str] = None) -> Dict[str, Any]:
        """``{members, memberCount, next, positions}`` in joining order."""
        query = "" if cursor is None else "?" + urlencode({"cursor": cursor})
        return self._api.request("GET", _path("rooms", room, "members") + query)

    def kick(self, room: str, user_id: str) -> None:
        self._api.request("DELETE", _path("rooms", room, "members", user_id))

    def locks(self, room: str) -> List[Dict[str, Any]]:
        return self._api.request("GET", _path("rooms", room, "locks"))["locks"]


class Lock:
    """A lease with a fencing token. It belongs to no connection: only ``release``, or the end of the lease, ends it."""

    def __init__(self, api: Api, room: str, target: str, ttl: float, msg: Optional[str]) -> None:
        self._api, self._path = api, _path("rooms", room, "locks", target)
        self._lease = {"ttl": int(ttl * 1000), **({} if msg is None else {"msg": msg})}
        self.room, self.target = room, target
        #: Grows with every lock. 0: not held.
        self.token = 0
        #: Store time, ms.
        self.expires_at = 0

    @property
    def headers(self) -> Dict[str, str]:
        """What a request sends to be made under this lock."""
        return {"lock-token": str(self.token), "lock-target": self.target}

    def acquire(self) -> "Lock":
        """Raises LockHeld, whose ``details`` name the holder, the message and the time left."""
        return self._took(self._api.request("POST", self._path, self._lease))

    def renew(self) -> "Lock":
        """The whole lease again. Raises LockLost."""
        return self._took(self._api.request("PATCH", self._path, self._lease, self.headers))

    def release(self) -> None:
        """Raises LockLost: what was done under it may have met another holder's work."""
        headers, self.token = self.headers, 0
        self._api.request("DELETE", self._path, headers=headers)

    def _took(self, lease: Mapping[str, Any]) -> "Lock":
        self.token, self.expires_at = lease["token"], lease["expiresAt"]
        return self

    def __enter__(self) -> "Lock":
        return self.acquire()

    def __exit__(self, kind: Any, trouble: Any, trace: Any) -> None:
        try:
            self.release()
        except LockLost:
            # Its writes were fenced by the token; the block's own exception says more.
            if kind is None:
                raise
        except RoomwireError as left:
            log.warning("the lock %s of %s ends with its lease: %s", self.target, self.room, left)


def _path(*parts: str) -> str:
    return "/api/" + "/".join(quote(str(part), safe="") for part in parts)


_default: Optional[Api] = None


def configure(
    url: Optional[str] = None, api_key: Optional[str] = None, *, timeout: float = 2.0, retries: int = 2
) -> Api:
    """The server that the functions of this module ask from now on."""
    global _default
    _default = Api(url, api_key, timeout=timeout, retries=retries)
    return _default


def default() -> Api:
    return _default or configure()


def request(method: str, path: str, body: Any = None, headers: Optional[Mapping[str, str]] = None) -> Any:
    return default().request(method, path, body, headers)


def publish(topic: str, event: str, data: Any, key: Optional[str] = None) -> Dict[str, Any]:
    return default().publish(topic, event, data, key)


def publish_all(messages: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
    return default().publish_all(messages)


def broadcast(topic: str, event: str, data: Any, key: Optional[str] = None) -> Dict[str, Any]:
    return default().broadcast(topic, event, data, key)


def send_to_user(user_id: Any, event: str, data: Any, key: Optional[str] = None) -> Dict[str, Any]:
    return default().send_to_user(user_id, event, data, key)


def lock(room: str, target: str = "trajectory:meta", *, ttl: float = 30.0, msg: Optional[str] = None) -> Lock:
    return default().lock(room, target, ttl=ttl, msg=msg)


def user(user_id: str) -> Dict[str, Any]:
    return default().user(user_id)


def connection_count(user_id: Optional[str] = None) -> int:
    return default().connection_count(user_id)


def subscribe_user(user_id: str, topic: str) -> List[Dict[str, Any]]:
    return default().subscribe_user(user_id, topic)


def unsubscribe_user(user_id: str, topic: str) -> List[Dict[str, Any]]:
    return default().unsubscribe_user(user_id, topic)


def subscribe(sid: str, topic: str) -> List[str]:
    return default().subscribe(sid, topic)


def unsubscribe(sid: str, topic: str) -> List[str]:
    return default().unsubscribe(sid, topic)


def call(sid: str, name: str, data: Any = None, *, timeout: float = 10.0) -> Any:
    return default().call(sid, name, data, timeout=timeout)


def kick(user_id: str, reason: Optional[str] = None) -> int:
    return default().kick(user_id, reason)
