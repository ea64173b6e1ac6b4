"""What roomwire asks of a backend (docs/hooks.md): who else could have sent it."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from typing import Mapping, Optional

#: Seconds that the clocks of both sides may differ.
FRESH = 300


def is_genuine(headers: Mapping[str, str], body: bytes, secret: Optional[str] = None) -> bool:
    """Whether roomwire sent this request, not long ago: its signature is over the bytes as received, under ``secret``,
    by default ``ROOMWIRE_HOOKS_SECRET``. ``headers`` takes names in any case, as those of http.server, Django and Flask do."""
    key = (os.environ["ROOMWIRE_HOOKS_SECRET"] if secret is None else secret).encode()
    id, timestamp = headers.get("Roomwire-Id") or "", headers.get("Roomwire-Timestamp") or ""
    mac = hmac.new(key, ("%s.%s." % (id, timestamp)).encode() + body, hashlib.sha256).hexdigest()
    is_fresh = timestamp.isascii() and timestamp.isdigit() and abs(time.time() - int(timestamp)) < FRESH
    given = (headers.get("Roomwire-Signature") or "").encode()
    return is_fresh and hmac.compare_digest(("v1=" + mac).encode(), given)
