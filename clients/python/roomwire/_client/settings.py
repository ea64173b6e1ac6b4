"""The options of ``connect``, each once, with its default."""

from __future__ import annotations

import inspect
import secrets
import sys
import traceback
from dataclasses import dataclass
from typing import Any, Awaitable, Callable, Optional, Union
from urllib.parse import urlsplit, urlunsplit

from ..errors import error
from .backoff import Backoff

TokenSource = Union[None, str, Callable[[], Union[None, str, Awaitable[Optional[str]]]]]

# Tells a reconnect of this process from a copy of it.
INSTANCE = secrets.token_urlsafe(12)


def _print(problem: BaseException) -> None:
    # Silence would hide what a handler raised.
    traceback.print_exception(type(problem), problem, problem.__traceback__, file=sys.stderr)


@dataclass
class Settings:
    """Times are in seconds. Raises ValueError or TypeError for what can never work."""

    url: str
    #: A str, or a function (also a coroutine function) that is asked before each connect and before the token expires;
    #: None from it says that nobody is signed in.
    token: TokenSource = None
    #: How long the session shall outlive its connection; the server caps it.
    grace: Optional[float] = None
    #: By default one of its own for each client: two of one process are two sessions.
    instance: Optional[str] = None
    #: Where GET /api/rooms is; by default the origin of ``url``.
    http_url: Optional[str] = None
    backoff: Backoff = Backoff()
    #: Of calls that name no timeout.
    call_timeout: float = 10.0
    #: For a sign of life after the server should have pinged.
    ping_timeout: float = 10.0
    #: Name and version of the application, for the server's log.
    agent: str = "roomwire-python"
    #: Hears what handlers raise and failures nobody waits for.
    on_error: Optional[Callable[[BaseException], Any]] = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
        if scheme not in ("ws", "wss") or not parts.netloc:
            raise ValueError("not a ws:, wss:, http: or https: URL: %s" % self.url)
        if not (self.token is None or isinstance(self.token, str) or callable(self.token)):
            raise TypeError("token: must be a str or a function")
        self.url = urlunsplit((scheme, parts.netloc, parts.path or "/", parts.query, ""))
        origin = urlunsplit(({"ws": "http", "wss": "https"}[scheme], parts.netloc, "", "", ""))
        self.http_url = (self.http_url or origin).rstrip("/")
        self.instance = self.instance or "%s.%s" % (INSTANCE, secrets.token_urlsafe(6))
        self.backoff = self.backoff or Backoff()
        self.report: Callable[[BaseException], Any] = self.on_error or _print
        # What the client counts by is ms.
        self.grace_ms = None if self.grace is None else self.grace * 1000
        self.call_timeout_ms = self.call_timeout * 1000
        self.ping_timeout_ms = self.ping_timeout * 1000

    async def ask_token(self) -> Optional[str]:
        """Raises ``unauthenticated`` when nobody is signed in, and whatever the application's function raises."""
        if not callable(self.token):
            return self.token
        token = self.token()
        if inspect.isawaitable(token):
            token = await token
        if token is None:
            raise error("unauthenticated", "signed out")
        if not isinstance(token, str):
            raise TypeError("token: the function must return a str, or None when nobody is signed in")
        return token
