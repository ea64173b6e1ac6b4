#!/usr/bin/env python3
"""broadcast_new_message for a Python backend, by the name of the room, with the diagnosis in its log.

    ROOMWIRE_URL=http://127.0.0.1:8420 API_KEY=... python3 broadcast.py conversation:83ddbd78 'Hello'

Nothing but the standard library. It never raises: a server that is away is a line in the log. Exits with 1 when the
message reached nobody.
"""
import datetime
import http.client
import json
import os
import sys
import urllib.error
import urllib.request

URL = os.environ.get("ROOMWIRE_URL", "http://127.0.0.1:8420")
KEY = os.environ.get("API_KEY", "")


def log(text):
    print(f"[broadcast_new_message] {text}")


def broadcast_new_message(room, text, sender="backend"):
    message = {
        "conversation_id": room.removeprefix("conversation:"),
        "sender": sender,
        "text": text,
        "sent_at": datetime.datetime.now(datetime.timezone.utc).isoformat(),
    }
    body = json.dumps({"topic": room, "event": "new_message", "data": message, "diagnose": True}).encode()
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{URL}/api/publish", body, headers), timeout=2) as answer:
            told = json.load(answer)
    except urllib.error.HTTPError as error:
        log(f"refused: {reason(error)}")
        return 0
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Away, too slow, or something else answers there: the caller's work is done and must not fail for this.
        log(f"no answer from {URL}, so nobody knows of it: {error!r}")
        return 0
    diagnosis = told.get("diagnosis") or {"subscribers": []}
    if told["matched"] > 0:
        sids = [one["sid"] for one in diagnosis["subscribers"] if one["connected"]]
        log(f"room '{room}' exists; SIDs in target room: {sids}; offset {told['offset']}")
    else:
        log(f"nobody is connected in room '{room}', of {diagnosis.get('topics', '?')} rooms; away: {away(diagnosis)}")
        log(f"similar rooms: {diagnosis.get('similar', [])}; ask: roomwire why {room} {told['offset']} <user>")
    return told["matched"]


def reason(error):
    try:
        return json.load(error)["detail"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return f"status {error.code}, by what is not roomwire"


def away(diagnosis):
    return [one["user"] for one in diagnosis["subscribers"] if not one["connected"]]


if __name__ == "__main__":
    sys.exit(0 if broadcast_new_message(sys.argv[1], sys.argv[2]) > 0 else 1)
