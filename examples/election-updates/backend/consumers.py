"""What roomwire asks: who may connect, who belongs to a committee, and, on `roomwire serve`, what its calls answer.

Every request is signed with ROOMWIRE_HOOKS_SECRET.
"""
import datetime
import hashlib
import hmac
import logging
import os
import re
import time

import models
from websocket_utils import greet, tell

logger = logging.getLogger("websocket")
#: Nothing but the config is between clients and this: groups, greeting and calls are ours. Else server.ts does them.
ALONE = "ROOMWIRE_URL" in os.environ
GROUP = re.compile(r"election_updates|committee:[^:]+|user:[^:]+")
SECRET = os.environ["ROOMWIRE_HOOKS_SECRET"].encode()


def is_genuine(headers, body):
    id, timestamp = headers.get("Roomwire-Id", ""), headers.get("Roomwire-Timestamp", "")
    mac = hmac.new(SECRET, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    fresh = timestamp.isdigit() and abs(time.time() - int(timestamp)) < 300
    return fresh and hmac.compare_digest("v1=" + mac, headers.get("Roomwire-Signature", ""))


def connect(ask):
    """roomwire has checked the token; whether its user may still come in only the database knows."""
    user = user_of(ask["user"]["id"])
    if user is None or not user["is_active"]:
        logger.warning("refused user %s from %s: inactive or unknown", ask["user"]["id"], ask.get("address"))
        return {"allow": False, "reason": "User account is disabled"}
    more = {"name": user["name"], "roles": ["admin"] if user["is_staff"] else [], "committee_id": user["committee_id"]}
    if not ALONE:
        return {"allow": True, "user": more}
    groups = ["election_updates", f"user:{user['id']}"]
    if ask["via"] == "connect":
        greet(str(user["id"]), "connection_success", {"user": {**ask["user"], **more}, "groups": groups})
    return {"allow": True, "user": more, "topics": groups}


def authorize(ask):
    """May this user join `committee:<id>`? Admins were let in before anyone asks."""
    user = user_of(ask["user"]["id"])
    own = user is not None and ask.get("topic") == f"committee:{user['committee_id']}"
    return {"allow": own, **({} if own else {"reason": f"You are not in {ask.get('topic')}"})}


def user_of(id):
    return models.read("users", int(id)) if str(id).isascii() and str(id).isdigit() else None


# ---- calls: proxied here by `roomwire serve` ----------------------------------------------------------


class Refused(Exception):
    def __init__(self, name, message):
        super().__init__(message)
        self.name = name


def call(ask):
    try:
        return CALLS[ask["call"]](ask)
    except Refused as refusal:
        return {"error": {"name": refusal.name, "message": str(refusal)}}


def ping(ask):
    now = datetime.datetime.now(datetime.timezone.utc)
    pong = {"type": "pong", "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    tell(ask["sid"], "pong", pong)
    return {"result": pong}


def subscribe(ask):
    """All of the groups or none; who has the answer is in."""
    groups = groups_of(ask["input"])
    for group in groups:
        if not may_join(ask["user"], group):
            raise Refused("forbidden", f"You are not in {group}")
    subscribed = {"type": "subscribed", "groups": groups}
    tell(ask["sid"], "subscribed", subscribed)
    return {"subscribe": groups, "result": subscribed}


def unsubscribe(ask):
    groups = groups_of(ask["input"])
    return {"unsubscribe": groups, "result": {"type": "unsubscribed", "groups": groups}}


def groups_of(given):
    """roomwire passes on whatever a client sent: its shape is looked at here."""
    groups = given.get("groups") if isinstance(given, dict) else None
    if not isinstance(groups, list) or not 0 < len(groups) <= 50 or not all(isinstance(one, str) for one in groups):
        raise Refused("invalid_data", "groups: send 1 to 50 names")
    for group in groups:
        if not GROUP.fullmatch(group):
            raise Refused("unknown_topic", f"no group {group}")
    return groups


def may_join(user, group):
    is_admin = group.startswith("committee:") and "admin" in user.get("roles", [])
    return is_admin or group in ("election_updates", f"user:{user['id']}", f"committee:{user.get('committee_id')}")


CALLS = {"ping": ping, "subscribe": subscribe, "unsubscribe": unsubscribe}
HOOKS = {"connect": connect, "authorize": authorize, "call": call}
