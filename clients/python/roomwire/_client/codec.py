"""MessagePack as roomwire speaks it (PROTOCOL.md, Encoding): frames to bytes, messages to frames.

What is sent is checked first: integers within 53 bits, keys that are str, no ext, UTF-8, depth. What comes was checked so
by the server: of it, Python takes larger integers and deeper nesting too; ext types are refused.
"""

from __future__ import annotations

from typing import Any, List, Sequence

import msgpack

from ..errors import EncodeError, error

MAX_INT = 2**53 - 1
MAX_DEPTH = 31

# Opcodes.
HELLO, WELCOME, PING, PONG, GOAWAY, AUTH, BYE = 1, 2, 3, 4, 5, 6, 7
CALL, ACK, NACK, CANCEL = 16, 17, 18, 19
SUBSCRIBE, UNSUBSCRIBE, PUBLISH, VOLATILE, POSITION = 32, 33, 34, 35, 36
EVENTS, RESET, REMOVED, SUBSCRIBED, LATEST = 48, 49, 50, 51, 52
# A client ignores opcodes from here on that it does not know, and closes on an unknown one below (RW-FRM-5).
IGNORABLE_FROM = 128

_PLAIN = (type(None), bool, float, str, bytes, bytearray)


def encode(frame: Sequence[Any], most: float = float("inf")) -> bytes:
    """Raises EncodeError for what has no encoding, and too_large for more bytes than ``most``."""
    _check(frame, 0, "")
    try:
        # A packer of its own: one that failed would keep what it had written.
        data: bytes = msgpack.Packer(use_bin_type=True, autoreset=True).pack(frame)
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError) as problem:
        raise EncodeError(str(problem)) from problem
    if len(data) > most:
        raise error("too_large", "%d bytes, and the server takes %d" % (len(data), most))
    return data


def decode(message: bytes) -> List[List[Any]]:
    """The frames of a message. Raises ValueError for what is no message."""
    unpacker = msgpack.Unpacker(
        raw=False, use_list=True, strict_map_key=True, max_ext_len=0, ext_hook=_no_ext, max_buffer_size=0
    )
    unpacker.feed(message)
    frames: List[List[Any]] = []
    try:
        for frame in unpacker:
            if type(frame) is not list or not frame or not _is_opcode(frame[0]):
                raise ValueError("a frame is an array that begins with its opcode")
            frames.append(frame)
    except (msgpack.UnpackException, UnicodeDecodeError) as problem:
        raise ValueError(str(problem)) from problem
    if not frames or unpacker.tell() != len(message):
        raise ValueError("a message is one or more whole frames")
    return frames


def entry_bytes(topic: str, position: Sequence[Any]) -> int:
    """Of an entry of ``resume``."""
    return len(msgpack.packb([topic, list(position)])) - 1


def _is_opcode(value: Any) -> bool:
    """Where an integer is expected 7.0 is 7 (RW-ENC-2)."""
    return value >= 0 if type(value) is int else type(value) is float and value >= 0 and value.is_integer()


def _no_ext(_code: int, _data: bytes) -> Any:
    raise ValueError("ext")


def _check(value: Any, depth: int, path: str) -> None:
    kind = type(value)
    if kind in _PLAIN:
        return
    if isinstance(value, int):
        if not -MAX_INT <= value <= MAX_INT:
            raise EncodeError("%s: %d needs more than 53 bits" % (_place(path), value))
    elif isinstance(value, dict):
        _deeper(depth, path)
        for key, item in value.items():
            if not isinstance(key, str):
                raise EncodeError("%s: the key %r is no str" % (_place(path), key))
            _check(item, depth + 1, path + "." + key)
    elif kind is list or kind is tuple:
        _deeper(depth, path)
        for index, item in enumerate(value):
            _check(item, depth + 1, "%s[%d]" % (path, index) if path or depth > 0 else "")
    elif not isinstance(value, _PLAIN):
        raise EncodeError("%s: a %s has no encoding" % (_place(path), kind.__name__))


def _deeper(depth: int, path: str) -> None:
    if depth >= MAX_DEPTH:
        raise EncodeError("%s: nested too deep" % _place(path)[:40])


def _place(path: str) -> str:
    return path.lstrip(".") or "data"
