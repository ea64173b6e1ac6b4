"""The one error class of calls, publishes, locks and joins: branch on its type, ``name`` or ``code``, never on the message.

A code's number says what to do (PROTOCOL.md, Codes): 100-199 do not retry, 200-299 retry later, 300-399
authenticate again, 400-499 refetch the state. A code that this version does not know is judged by its class.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Type, Union

ERRORS: Dict[str, int] = {
    "bad_request": 100,
    "unknown_op": 101,
    "unknown_call": 102,
    "unknown_topic": 103,
    "unknown_event": 104,
    "invalid_data": 105,
    "forbidden": 106,
    "join_required": 107,
    "not_subscribed": 108,
    "too_large": 109,
    "duplicate_id": 110,
    "key_reused": 111,
    "outcome_unknown": 112,
    "cancelled": 113,
    "conflict": 114,
    "room_not_found": 120,
    "room_exists": 121,
    "room_locked": 122,
    "not_member": 123,
    "lock_lost": 125,
    "not_holder": 126,
    "handler_failed": 130,
    "deadline": 200,
    "too_many": 201,
    "limit_reached": 202,
    "store_unavailable": 203,
    "disconnected": 204,
    "lock_held": 205,
    "draining": 206,
    "backend_unavailable": 207,
    "unauthenticated": 300,
    "token_expired": 301,
    "position_unknown": 400,
}

CLOSES: Dict[str, int] = {
    "bad_frame": 4000,
    "text_frame": 4001,
    "bad_subprotocol": 4002,
    "hello_expected": 4003,
    "hello_timeout": 4004,
    "message_too_large": 4005,
    "forbidden": 4006,
    "kicked": 4007,
    "taken_over": 4008,
    "bye": 4009,
    "unauthenticated": 4100,
    "token_expired": 4101,
    "internal": 4200,
    "overloaded": 4201,
    "draining": 4202,
    "too_slow": 4203,
    "ping_timeout": 4300,
}

_ERROR_NAMES = {code: name for name, code in ERRORS.items()}
_CLOSE_NAMES = {code: name for name, code in CLOSES.items()}


class RoomwireError(Exception):
    """``code`` is the number, ``name`` its name (``error_<code>`` for one that is not known here), ``details`` what the
    server added, if anything."""

    code: int
    name: str
    details: Any

    def __init__(self, code: Union[int, str], message: Optional[str] = None, details: Any = None) -> None:
        self.name = code if isinstance(code, str) else _ERROR_NAMES.get(code, "error_%d" % code)
        self.code = ERRORS[code] if isinstance(code, str) else code
        self.details = details
        super().__init__(message or self.name)

    @property
    def message(self) -> str:
        return str(self.args[0])

    @property
    def is_temporary(self) -> bool:
        """Whether trying again later can help."""
        return 200 <= self.code < 400


class LockHeld(RoomwireError):
    """205: ``details`` names the holder, the message and the time left (``userName``, ``msg``, ``expiresInMs``)."""


class LockLost(RoomwireError):
    """125 and 126: the lease ended, or another holds it. Whatever it guarded is to be checked."""


class RoomNotFound(RoomwireError):
    """120"""


class RoomLocked(RoomwireError):
    """122: closed for good."""


class Forbidden(RoomwireError):
    """106"""


class InvalidData(RoomwireError):
    """105: ``details['issues']`` lists path and message."""


class Deadline(RoomwireError):
    """200: the answer did not come in time; the call may have taken effect all the same."""


class Disconnected(RoomwireError):
    """204: the connection ended before the answer; the call may have taken effect all the same."""


class Unauthenticated(RoomwireError):
    """300 and 301: there is no valid token."""


class TooMany(RoomwireError):
    """201: ``details['retryAfterMs']``, where there is one, says when to try again."""


_TYPES: Dict[int, Type[RoomwireError]] = {
    105: InvalidData,
    106: Forbidden,
    120: RoomNotFound,
    122: RoomLocked,
    125: LockLost,
    126: LockLost,
    200: Deadline,
    201: TooMany,
    204: Disconnected,
    205: LockHeld,
    300: Unauthenticated,
    301: Unauthenticated,
}


class Refused(Exception):
    """The server refused the connection for good: ``code`` is the close code, ``name`` its name."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.name = close_name(code)
        super().__init__("%s (%d): %s" % (self.name, code, message))


class EncodeError(ValueError):
    """Data that has no encoding in roomwire's subset of MessagePack; the message names the place."""


def error(code: Union[int, str], message: Optional[str] = None, details: Any = None) -> RoomwireError:
    """A RoomwireError of the type that its code has."""
    number = ERRORS[code] if isinstance(code, str) else code
    return _TYPES.get(number, RoomwireError)(code, message, details)


def close_name(code: int) -> str:
    """The name of a close code."""
    return _CLOSE_NAMES.get(code, "connection_lost")
