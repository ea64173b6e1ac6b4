"""One HTTP request to roomwire, and what its failure means.

Every failure is a RoomwireError: the server's own refusal, Disconnected where it could not be reached (or a proxy
answered for it), Deadline where it did not answer in time. Each request has a connection of its own, so that threads
and forked workers share nothing. Proxies of the environment are not used.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from typing import Any, Dict, Mapping, NamedTuple, Optional
from urllib.parse import urlsplit

from .errors import RoomwireError, error

#: Seconds: the first pause before another try, and the longest.
_PAUSE = 0.1
_LONGEST_PAUSE = 2.0

#: Nothing took effect, and it will be different later.
_LATER = ("too_many", "store_unavailable", "draining", "backend_unavailable")


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: Any


class Transport:
    """``retries`` is how often a request is tried again, after growing pauses, where that can do no harm."""

    def __init__(self, url: str, api_key: str, timeout: float, retries: int) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError("the address of roomwire is http://host:port, not %r" % url)
        self._connection = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._api_key, self._timeout, self._retries = api_key, timeout, retries

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Optional[Mapping[str, str]] = None,
        *,
        repeatable: bool,
        timeout: Optional[float] = None,
    ) -> Answer:
        """``repeatable``: doing it twice is the same as doing it once. Otherwise it is tried again only where it
        certainly was not done. Raises RoomwireError; a TypeError or ValueError for a body that is not JSON."""
        sent: Dict[str, str] = {"accept": "application/json", **(headers or {})}
        if self._api_key:
            sent["authorization"] = "Bearer " + self._api_key
        data = None
        if body is not None:
            sent["content-type"] = "application/json"
            data = json.dumps(body, allow_nan=False).encode()
        for tries in range(self._retries + 1):
            try:
                return self._once(method, path, data, sent, self._timeout if timeout is None else timeout)
            except _NotSent as trouble:
                refused, may_repeat = trouble.error, True
            except RoomwireError as trouble:
                lost = trouble.name in ("disconnected", "deadline")
                refused, may_repeat = trouble, (repeatable and lost) or trouble.name in _LATER
            if tries == self._retries or not may_repeat:
                raise refused
            time.sleep(_pause(tries, refused))
        raise AssertionError("unreachable")

    def _once(self, method: str, path: str, data: Optional[bytes], headers: Dict[str, str], timeout: float) -> Answer:
        where = "%s %s" % (method, path)
        connection = self._connection(self._host, self._port, timeout=timeout)
        try:
            try:
                connection.connect()
            except OSError as trouble:
                raise _NotSent(error("disconnected", "roomwire cannot be reached: %s" % trouble)) from trouble
            try:
                connection.request(method, self._base + path, data, headers)
                response = connection.getresponse()
                text = response.read()
            except TimeoutError as trouble:
                raise error("deadline", "%s: no answer in %g s" % (where, timeout)) from trouble
            except (OSError, http.client.HTTPException) as trouble:
                raise error("disconnected", "%s: the answer did not come: %s" % (where, trouble)) from trouble
        finally:
            connection.close()
        return _read(where, response, text)


class _NotSent(Exception):
    """The server saw nothing of the request."""

    def __init__(self, refused: RoomwireError) -> None:
        super().__init__(str(refused))
        self.error = refused


def _read(where: str, response: http.client.HTTPResponse, text: bytes) -> Answer:
    status = response.status
    try:
        body = json.loads(text) if text else None
    except ValueError:
        body = text
    if 200 <= status < 300 and not isinstance(body, bytes):
        return Answer(status, {name.lower(): value for name, value in response.getheaders()}, body)
    problem = body if isinstance(body, dict) else {}
    if status >= 500 and "code" not in problem:
        raise error("disconnected", "%s: %d, and not from roomwire" % (where, status))
    # Only HTTP knows some refusals: they have a status and no code.
    code = problem.get("code", "bad_request")
    raise error(code, problem.get("detail") or "%s: %d" % (where, status), problem.get("details"))


def _pause(tries: int, refused: RoomwireError) -> float:
    details = refused.details if isinstance(refused.details, dict) else {}
    asked = details.get("retryAfterMs", 0) / 1000
    grown = _PAUSE * 2**tries * (0.5 + random.random() / 2)
    return min(max(asked, grown), _LONGEST_PAUSE)
