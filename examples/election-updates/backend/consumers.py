"""What roomwire asks: who may connect, and who belongs to a committee. Signed with ROOMWIRE_HOOKS_SECRET."""
import hashlib
import hmac
import logging
import os
import time

import models

logger = logging.getLogger("websocket")
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
    roles = ["admin"] if user["is_staff"] else []
    return {"allow": True, "user": {"name": user["name"], "roles": roles, "committee_id": user["committee_id"]}}


def authorize(ask):
    """May this user join `committee:<id>`? Admins were let in before anyone asks."""
    user = user_of(ask["user"]["id"])
    own = user is not None and ask.get("topic") == f"committee:{user['committee_id']}"
    return {"allow": own, **({} if own else {"reason": f"You are not in {ask.get('topic')}"})}


def user_of(id):
    return models.read("users", int(id)) if str(id).isascii() and str(id).isdigit() else None


HOOKS = {"connect": connect, "authorize": authorize}
