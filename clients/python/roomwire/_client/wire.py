"""One WebSocket from open to close, on the ``websockets`` package, any of its versions from 10 on.

What is sent in one turn of the loop leaves as one message. ``read`` hands over messages until the end.
"""

from __future__ import annotations

import asyncio
from typing import Any, List, Optional, Tuple

import websockets
import websockets.exceptions

from .bounds import CLOSE_SECONDS, MESSAGE_BYTES, WELCOME_MS

SUBPROTOCOL = "roomwire.v1"


class Refusal(Exception):
    """The upgrade was answered by plain HTTP: there is no close code, and perhaps a Retry-After."""

    def __init__(self, status: int, retry_after_ms: float) -> None:
        super().__init__("the server answered the upgrade with %d" % status)
        self.status = status
        self.retry_after_ms = retry_after_ms


class Wire:
    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._waiting: List[bytes] = []
        self._bytes = 0
        self._more = asyncio.Event()
        # A message holds no more, unless it is one frame.
        self.message_bytes = MESSAGE_BYTES
        self._writer = asyncio.ensure_future(self._write())

    @classmethod
    async def open(cls, url: str, agent: str) -> "Wire":
        """Raises Refusal, OSError, asyncio.TimeoutError, or what websockets calls an invalid handshake."""
        try:
            socket = await websockets.connect(
                url,
                subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
                compression=None,
                max_size=None,
                # Its own pings are no signs of life to the server (RW-CON-6).
                ping_interval=None,
                open_timeout=WELCOME_MS / 1000,
                close_timeout=CLOSE_SECONDS,
            )
        except websockets.exceptions.InvalidHandshake as problem:
            refusal = _refusal(problem)
            raise refusal or OSError(str(problem)) from problem
        return cls(socket)

    @property
    def buffered(self) -> int:
        """Bytes that have not left."""
        transport = getattr(self._socket, "transport", None)
        return self._bytes + (transport.get_write_buffer_size() if transport is not None else 0)

    def send(self, frame: bytes) -> None:
        self._waiting.append(frame)
        self._bytes += len(frame)
        self._more.set()

    async def read(self) -> bytes:
        """Raises Closed at the end, ValueError for a text message."""
        try:
            message = await self._socket.recv()
        except websockets.exceptions.ConnectionClosed as closed:
            raise Closed(*_code(closed)) from None
        except OSError as problem:
            raise Closed(1006, str(problem)) from None
        if not isinstance(message, bytes):
            raise ValueError("a text message")
        return message

    async def close(self, code: int, reason: str) -> None:
        """Sends what waits, then closes. Not for ever: the other side may be gone."""
        self._more.set()
        try:
            # What was queued just now (BYE) goes first.
            await asyncio.wait_for(self._drain(), CLOSE_SECONDS)
            await asyncio.wait_for(self._socket.close(code, reason[:100]), 2 * CLOSE_SECONDS)
        except Exception:  # noqa: BLE001 - whatever it is, this socket is over
            pass
        finally:
            self._writer.cancel()
            transport = getattr(self._socket, "transport", None)
            if transport is not None:
                transport.abort()

    async def _drain(self) -> None:
        while self._bytes > 0 and not self._writer.done():
            await asyncio.sleep(0)

    async def _write(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                message, self._waiting = self._gather()
                try:
                    await self._socket.send(message)
                except (websockets.exceptions.ConnectionClosed, OSError):
                    # The reader hears of it.
                    return
                finally:
                    self._bytes -= len(message)

    def _gather(self) -> Tuple[bytes, List[bytes]]:
        size = 0
        for count, frame in enumerate(self._waiting):
            size += len(frame)
            if count > 0 and size > self.message_bytes:
                return b"".join(self._waiting[:count]), self._waiting[count:]
        return b"".join(self._waiting), []


class Closed(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def _code(closed: websockets.exceptions.ConnectionClosed) -> Tuple[int, str]:
    received = closed.rcvd
    return (received.code, received.reason) if received is not None else (1006, "the connection was lost")


def _refusal(problem: Exception) -> Optional[Refusal]:
    response = getattr(problem, "response", None)
    status = getattr(response, "status_code", None) or getattr(problem, "status_code", None)
    if status is None:
        return None
    headers = getattr(response, "headers", None) or getattr(problem, "headers", {})
    try:
        seconds = float(headers.get("Retry-After") or 0)
    except ValueError:
        seconds = 0
    return Refusal(int(status), max(0.0, min(seconds, 3600)) * 1000)
