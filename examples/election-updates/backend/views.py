"""The endpoints: each takes a Request and returns a status and what becomes JSON, or raises Refused."""
import base64
import hashlib
import hmac
import json
import os
import time

import models
import signals
from consumers import user_of
from websocket_utils import get_channel_layer_safe, get_connection_count, send_to_user

#: One secret for both sides, by whichever name it is in the environment.
SECRET = (os.environ.get("JWT_SECRET") or os.environ["ROOMWIRE_JWT_SECRET"]).encode()
IMPORT = 10_000


class Refused(Exception):
    def __init__(self, status, detail):
        super().__init__(detail)
        self.status = status


def health(request):
    """GET /api/utils/websocket/health/, for admins: whether events arrive, and how many are connected."""
    admin_of(request)
    layer = get_channel_layer_safe()
    healthy = layer is not None and layer["status"] == "ok"
    return (200 if healthy else 503), {
        "status": "healthy" if healthy else "unhealthy",
        "channel_layer": layer or {"status": "unreachable"},
        "connection_count": get_connection_count(),
    }


def dashboard(request):
    authenticated(request)
    return 200, signals.dashboard_cache.get()


def create(request, table):
    user = authenticated(request)
    fields = fields_of(request.json(), table)
    within_committee(user, fields)
    return 201, models.create(table, fields)


def change(request, table, id):
    user = authenticated(request)
    fields = fields_of(request.json(), table, partial=True)
    with models.atomic():
        within_committee(user, row_of(table, id), fields)
        return 200, models.update(table, int(id), fields)


def delete(request, table, id):
    user = authenticated(request)
    with models.atomic():
        within_committee(user, row_of(table, id))
        models.delete(table, int(id))
    return 204, None


def bulk_import(request, table):
    admin_of(request)
    rows = request.json()
    if not isinstance(rows, list) or not 0 < len(rows) <= IMPORT:
        raise Refused(400, f"send a list of 1 to {IMPORT} rows")
    return 201, {"count": len(models.bulk_import(table, [fields_of(row, table) for row in rows]))}


def notify(request, id):
    """POST /api/users/<id>/notify/ {message}: to that user alone; `sent`: somebody was there, `matched`: on how many devices."""
    sender = admin_of(request)
    text = request.json().get("message") if isinstance(request.json(), dict) else None
    if not isinstance(text, str) or text == "":
        raise Refused(400, "Missing parameters: message")
    report = send_to_user(id, "notification", {"message": text, "from": sender["name"]})
    return (200 if report else 503), {"sent": report.matched > 0, "matched": report.matched, "error": report.error}


def fields_of(given, table, partial=False):
    wanted = models.FIELDS[table]
    if not isinstance(given, dict):
        raise Refused(400, "send an object")
    missing = [] if partial else [name for name in wanted if name not in given]
    if missing or not given:
        raise Refused(400, f"Missing parameters: {', '.join(missing or wanted)}")
    for name, value in given.items():
        if type(value) is not wanted.get(name):
            raise Refused(400, f"{name}: not a field, or not of its type")
        if not (0 <= value < 2**53 if type(value) is int else len(str(value)) <= 200):
            raise Refused(400, f"{name}: out of range")
    return given


def row_of(table, id):
    row = models.read(table, int(id))
    if row is None:
        raise Refused(404, "Not found")
    return row


def within_committee(user, *rows):
    for row in rows:
        if not user["is_staff"] and row.get("committee_id", user["committee_id"]) != user["committee_id"]:
            raise Refused(403, "This row is of another committee")


def admin_of(request):
    user = authenticated(request)
    if not user["is_staff"]:
        raise Refused(403, "You do not have permission to perform this action")
    return user


def authenticated(request):
    """The user of a token signed with JWT_SECRET (HS256), the same that roomwire takes."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Refused(401, "Authentication credentials were not provided")
    try:
        head, body, signature = token.split(".")
        genuine = hmac.new(SECRET, f"{head}.{body}".encode(), hashlib.sha256).digest()
        claims = json.loads(_decoded(body))
        good = (
            json.loads(_decoded(head))["alg"] == "HS256"
            and hmac.compare_digest(genuine, _decoded(signature))
            and claims.get("exp", 0) > time.time()
        )
        user = user_of(claims["sub"]) if good else None
    except (ValueError, KeyError, TypeError, AttributeError):
        user = None
    if user is None or not user["is_active"]:
        raise Refused(401, "Given token not valid")
    return user


def _decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
