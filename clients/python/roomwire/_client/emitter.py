"""Handlers by event name, and how they are run.

A plain function runs at once, in the loop. Coroutine functions run one event after the other, each from a queue of
its own with a bound: past it events are dropped, and the stream's ``reset`` handlers are told. A handler that raises is
reported and stops nothing.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

from .bounds import MAX_UNHANDLED

Handler = Callable[..., Any]
# (what runs it, whether it wants the second argument, as it was registered)
Registered = Tuple[Callable[..., Any], bool, Handler]


class Emitter:
    def __init__(self, report: Callable[[BaseException], Any]) -> None:
        self._report = report
        # Lists are replaced, never changed: a handler may come and go during an event.
        self._handlers: Dict[str, List[Registered]] = {}

    @property
    def heard(self) -> bool:
        return bool(self._handlers)

    def on(self, event: str, handler: Optional[Handler] = None) -> Any:
        """As a decorator, or with the handler; ``'*'`` hears all. The handler takes ``data``, or ``data, info``."""
        if handler is None:
            return lambda decorated: self.on(event, decorated) or decorated
        run: Callable[..., Any] = handler
        if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None)):
            run = _Queue(handler, self).put
        self._handlers[event] = [*self._handlers.get(event, ()), (run, takes_two(handler), handler)]
        self.changed()
        return handler

    def off(self, event: str, handler: Handler) -> None:
        left = [registered for registered in self._handlers.get(event, ()) if registered[2] is not handler]
        if left:
            self._handlers[event] = left
        else:
            self._handlers.pop(event, None)
        self.changed()

    def changed(self) -> None:
        """Handlers came or went."""

    def emit(self, event: str, data: Any, info: Any) -> None:
        handlers = self._handlers.get(event)
        if handlers:
            self._run(handlers, data, info)
        handlers = self._handlers.get("*")
        if handlers:
            self._run(handlers, data, info)

    def emit_of(self, data: Any, info: Any) -> None:
        """An event under the name that its info has."""
        if self._handlers:
            self.emit(info.event, data, info)

    def tell(self, event: str, data: Any, info: Any = None) -> None:
        """What is no topic's event reaches only the handlers of its name."""
        self._run(self._handlers.get(event, ()), data, info)

    def _run(self, handlers: Any, data: Any, info: Any) -> None:
        for run, two, _handler in handlers:
            try:
                if two:
                    run(data, info)
                else:
                    run(data)
            except Exception as problem:  # noqa: BLE001 - a handler's own
                self._report(problem)

    def overrun(self, handler: Handler) -> None:
        self.tell("reset", "overrun")

    def report(self, problem: BaseException) -> None:
        self._report(problem)


class _Queue:
    """The events of one coroutine handler, in order."""

    def __init__(self, handler: Handler, emitter: Emitter) -> None:
        self._handler = handler
        self._emitter = emitter
        self._events: Deque[Tuple[Any, ...]] = deque()
        self._task: "Optional[asyncio.Future[None]]" = None
        self._dropped = False

    def put(self, *event: Any) -> None:
        if len(self._events) >= MAX_UNHANDLED:
            if not self._dropped:
                self._dropped = True
                self._emitter.overrun(self._handler)
            return
        self._events.append(event)
        if self._task is None:
            self._task = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        while self._events:
            try:
                await self._handler(*self._events.popleft())
            except Exception as problem:  # noqa: BLE001 - a handler's own
                self._emitter.report(problem)
        self._dropped = False
        self._task = None


def takes_two(handler: Handler) -> bool:
    """Whether it can be given the second argument."""
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError):
        return False
    positional = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return len(positional) >= 2 or any(
        parameter.kind is parameter.VAR_POSITIONAL for parameter in signature.parameters.values()
    )
