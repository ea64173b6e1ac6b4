"""roomwire from a Python backend: publish, rooms, locks and users over HTTP, with the standard library alone.

The functions here use one ``Api`` that is made from ``ROOMWIRE_URL`` and ``ROOMWIRE_API_KEY``; ``configure`` makes
another. docs/python.md shows them at work.
"""

from typing import Any

from .api import (
    Api,
    Lock,
    Rooms,
    broadcast,
    call,
    configure,
    connection_count,
    default,
    kick,
    lock,
    publish,
    publish_all,
    request,
    send_to_user,
    subscribe,
    subscribe_user,
    unsubscribe,
    unsubscribe_user,
    user,
)
from .errors import (
    Deadline,
    Disconnected,
    Forbidden,
    InvalidData,
    LockHeld,
    LockLost,
    RoomLocked,
    RoomNotFound,
    RoomwireError,
    TooMany,
    Unauthenticated,
)
from .hooks import is_genuine

__all__ = [
    "Api",
    "Deadline",
    "Disconnected",
    "Forbidden",
    "InvalidData",
    "Lock",
    "LockHeld",
    "LockLost",
    "RoomLocked",
    "RoomNotFound",
    "Rooms",
    "RoomwireError",
    "TooMany",
    "Unauthenticated",
    "broadcast",
    "call",
    "configure",
    "connection_count",
    "default",
    "is_genuine",
    "kick",
    "lock",
    "publish",
    "publish_all",
    "request",
    "rooms",
    "send_to_user",
    "subscribe",
    "subscribe_user",
    "unsubscribe",
    "unsubscribe_user",
    "user",
]


def __getattr__(name: str) -> Any:
    # Read at each use: `configure` may come after the import.
    if name == "rooms":
        return default().rooms
    raise AttributeError("module %r has no attribute %r" % (__name__, name))
