"""One handle on a topic. Several handles on one topic share its stream."""

from __future__ import annotations

import asyncio
from typing import Any, Generator, NamedTuple, Optional, TYPE_CHECKING

from ..errors import RoomwireError
from .stream import Stream
from .topics import EventInfo, Listener, Position

if TYPE_CHECKING:
    from .core import Core


class Ready(NamedTuple):
    """``recovered``: every event after the position asked for follows."""

    position: Position
    recovered: bool


class Subscription(Stream, Listener):
    """``await subscription`` waits for the server's answer; handlers registered before it miss nothing."""

    def __init__(self, core: "Core", topic: str, direct: bool, start: Optional[Position]) -> None:
        super().__init__(core, topic)
        self.direct = direct
        self.start = start
        self._over = False
        # What comes before is of an earlier subscription.
        self._begun = not direct
        self._ready: "asyncio.Future[Ready]" = asyncio.get_running_loop().create_future()
        # Told here and as 'removed', so nobody is forced to wait for it.
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())
        self._unlisten = core.topics.listen(topic, self)

    def __await__(self) -> Generator[Any, None, Ready]:
        return asyncio.shield(self._ready).__await__()

    @property
    def position(self) -> Optional[Position]:
        """The last event handed to the handlers; None until the server answered."""
        topic = self.core.topics.get(self.topic)
        return topic.position if topic and self._begun and not self._over else None

    def unsubscribe(self) -> None:
        if not self._over:
            self._over = True
            self._unlisten()

    def begin(self, position: Position, recovered: Optional[bool]) -> None:
        if self._begun:
            return
        self._begun = True
        if recovered is None:
            recovered = self.start is not None and tuple(self.start) == tuple(position)
        if not self._ready.done():
            self._ready.set_result(Ready(position, recovered))
        self.start = None

    def event(self, data: Any, info: EventInfo) -> None:
        if self._begun:
            self.emit(info.event, data, info)

    def reset(self, reason: str, position: Position) -> None:
        if self._begun:
            self.tell("reset", reason)

    def removed(self, problem: RoomwireError, lost: bool) -> None:
        if not self._ready.done():
            self._ready.set_exception(problem)
        # The server has dropped it: nothing is left to unsubscribe. What a call began, another may begin again.
        if self.direct:
            self.unsubscribe()
        self.tell("removed", problem)
