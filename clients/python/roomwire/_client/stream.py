"""What a room and a subscription have in common: handlers, and sending to one topic."""

from __future__ import annotations

from typing import Any, Optional, TYPE_CHECKING

from .emitter import Emitter

if TYPE_CHECKING:
    from .core import Core, Published


class Stream(Emitter):
    def __init__(self, core: "Core", topic: str) -> None:
        super().__init__(core.settings.report)
        self.core = core
        self.topic = topic

    async def publish(
        self, event: str, data: Any, *, key: Optional[str] = None, timeout: Optional[float] = None
    ) -> "Published":
        """With a ``key`` it is sent again after a reconnect, and appended once."""
        return await self.core.publish(self.topic, event, data, key=key, timeout=timeout)

    def volatile(self, event: str, slot: str, data: Any) -> None:
        """The newest value per slot wins; dropped while there is no connection."""
        self.core.requests.volatile(self.topic, event, slot, data)
