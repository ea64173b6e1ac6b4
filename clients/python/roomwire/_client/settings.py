"""The options of ``connect`` with every default filled in."""

from __future__ import annotations

import inspect
import secrets
import sys
import traceback
from typing import Any, Awaitable, Callable, Optional, Union
from urllib.parse import urlsplit, urlunsplit

from ..errors import error
from .backoff import Backoff

TokenSource = Union[None, str, Callable[[], Union[None, str, Awaitable[Optional[str]]]]]

# Tells a reconnect of this process from a copy of it.
INSTANCE = secrets.token_urlsafe(12)


class Settings:
    def __init__(
        self,
        url: str,
        *,
        token: TokenSource = None,
        grace: Optional[float] = None,
        instance: Optional[str] = None,
        http_url: Optional[str] = None,
        backoff: Optional[Backoff] = None,
        call_timeout: float = 10.0,
        agent: str = "roomwire-python",
        on_error: Optional[Callable[[BaseException], Any]] = None,
    ) -> None:
        parts = urlsplit(url)
        scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
        if scheme not in ("ws", "wss") or not parts.netloc:
            raise ValueError("not a ws:, wss:, http: or https: URL: %s" % url)
        if not (token is None or isinstance(token, str) or callable(token)):
            raise TypeError("token: must be a str or a function")
        self.url = urlunsplit((scheme, parts.netloc, parts.path or "/", parts.query, ""))
        origin = urlunsplit(({"ws": "http", "wss": "https"}[scheme], parts.netloc, "", "", ""))
        self.http_url = (http_url or origin).rstrip("/")
        self.token = token
        self.grace_ms = None if grace is None else grace * 1000
        # Two clients of one process are two sessions: each gets an instance of its own.
        self.instance = instance or "%s.%s" % (INSTANCE, secrets.token_urlsafe(6))
        self.backoff = backoff or Backoff()
        self.call_timeout_ms = call_timeout * 1000
        self.agent = agent
        self.report: Callable[[BaseException], Any] = on_error or _print

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


def _print(problem: BaseException) -> None:
    # Silence would hide what a handler raised.
    traceback.print_exception(type(problem), problem, problem.__traceback__, file=sys.stderr)
