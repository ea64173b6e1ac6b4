"""The server's calls to this client: CALL in, ACK or NACK out, CANCEL ends the handler."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Callable, Dict, Optional, TYPE_CHECKING

from ..errors import RoomwireError, error
from . import codec

if TYPE_CHECKING:
    from .core import Core


class ServerCalls:
    def __init__(self, core: "Core") -> None:
        self._core = core
        self._handlers: Dict[str, Callable[[Any], Any]] = {}
        self._running: "Dict[int, asyncio.Future[None]]" = {}

    def handle(self, name: str, handler: Optional[Callable[[Any], Any]] = None) -> Any:
        """The latest handler of a name counts. As a decorator, or with the handler: a function or a coroutine function of
        the data; a RoomwireError that it raises becomes the answer's code."""
        if handler is None:
            return lambda decorated: self.handle(name, decorated) or decorated
        self._handlers[name] = handler
        return handler

    def call(self, frame: Any) -> None:
        number = frame[1]
        running = asyncio.ensure_future(self._answer(number, frame[2], frame[3] if len(frame) > 3 else None))
        self._running[number] = running

        def done(answer: "asyncio.Future[bytes]") -> None:
            # Ids start anew with each connection: an answer may only go where its call came from.
            if self._running.get(number) is not answer:
                return
            del self._running[number]
            if answer.cancelled():
                self._core.send(codec.encode([codec.NACK, number, 113, "cancelled"]))
            else:
                self._core.send(answer.result())

        running.add_done_callback(done)

    async def _answer(self, number: int, name: str, data: Any) -> bytes:
        try:
            handler = self._handlers.get(name)
            if handler is None:
                raise error("unknown_call", "no handler for %s" % name)
            answer = handler(data)
            if inspect.isawaitable(answer):
                answer = await answer
            return codec.encode([codec.ACK, number, answer], self._core.requests.message_bytes)
        except RoomwireError as problem:
            frame = [codec.NACK, number, problem.code, problem.message]
            return codec.encode(frame if problem.details is None else [*frame, problem.details])
        except Exception as problem:  # noqa: BLE001 - a handler's own; its text is not for others
            self._core.settings.report(problem)
            return codec.encode([codec.NACK, number, 130, "the handler failed"])

    def cancel(self, number: Any) -> None:
        running = self._running.get(number)
        if running:
            running.cancel()

    def down(self) -> None:
        running, self._running = self._running, {}
        for call in running.values():
            call.cancel()
