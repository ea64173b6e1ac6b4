"""The support desk's backend for `roomwire serve --config roomwire.json`: nothing but the standard library and the module roomwire.

It answers roomwire's hooks, takes what WhatsApp's side posts, and lists chats for pages.
"""
import base64
import hashlib
import hmac
import json
import logging
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import calls
import chats
import roomwire

JWT_SECRET = os.environ["ROOMWIRE_JWT_SECRET"].encode()
WEBHOOK_SECRET = os.environ["WEBHOOK_SECRET"].encode()
BODY = 1024 * 1024
#: Of what is posted, with the longest that each may be.
INCOMING = {"message_id": 128, "chat_id": 64, "customer_type": 16, "name": 100, "text": 4000}


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def hook(request):
    if not roomwire.is_genuine(request.headers, request.body):
        raise Refused(401, "not signed by roomwire")
    ask = json.loads(request.body)
    return calls.HOOKS[ask["type"]]({**ask, "id": request.headers["Roomwire-Id"]})


def incoming_message(request):
    """WhatsApp's side sends a message again until it is answered: a known one changes nothing."""
    wanted = "sha256=" + hmac.new(WEBHOOK_SECRET, request.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted.encode(), request.headers.get("X-Hub-Signature-256", "").encode()):
        raise Refused(401, "Invalid signature")
    given = incoming_in(request.body)
    chat_id, customer_type, name = given["chat_id"], given["customer_type"], given["name"]
    room, update = chats.DASHBOARDS[customer_type]
    with chats.change() as events:
        known = chats.find(chat_id)
        if known is not None and known["customer_type"] != customer_type:
            raise Refused(409, f"chat {chat_id} is a {known['customer_type']}'s")
        repeated = chats.message(given["message_id"]) is not None
        if not repeated:
            said = {"message_id": given["message_id"], "from": "customer", "name": name, "text": given["text"]}
            chats.add_message(events, {**(known or chats.blank(chat_id, customer_type, name)), "name": name}, said)
    return {"status": 1, "chat_id": chat_id, "repeated": repeated, "watching": publish(events).get(update, 0)}


def publish(events):
    """After the commit, in one step; how many were there, by event. An outage is logged: the message is kept, and pages load it."""
    try:
        answers = roomwire.publish_all(events) if events else []
    except roomwire.RoomwireError as error:
        logging.error("not published: %s", error)
        return {}
    for event, answer in zip(events, answers):
        if "error" in answer:
            logging.error("%s to %s was refused: %s", event["event"], event["topic"], answer["error"]["detail"])
    return {event["event"]: answer.get("matched", 0) for event, answer in zip(events, answers)}


def list_chats(request):
    if "agent" not in claims_of(request).get("roles", []):
        raise Refused(403, "This is for agents")
    customer_type = parse_qs(urlsplit(request.path).query).get("customer_type", [""])[0]
    if customer_type not in chats.DASHBOARDS:
        raise Refused(400, f"customer_type: {', '.join(chats.DASHBOARDS)}")
    return {"status": 1, "chats": chats.latest(customer_type), "stats": chats.stats()}


def incoming_in(body):
    try:
        given = json.loads(body)
    except ValueError:
        raise Refused(400, "the body is not valid JSON") from None
    for name, most in INCOMING.items():
        value = given.get(name) if isinstance(given, dict) else None
        if not isinstance(value, str) or not 0 < len(value.strip()) <= most:
            raise Refused(400, f"{name}: text of 1 to {most} characters")
    if not calls.CHAT_ID.fullmatch(given["chat_id"]):
        raise Refused(400, "chat_id: chat_id has letters, digits and _")
    if given["customer_type"] not in chats.DASHBOARDS:
        raise Refused(400, f"customer_type: {', '.join(chats.DASHBOARDS)}")
    return {**given, "text": given["text"].strip()}


def claims_of(request):
    """Of the token that the page has for roomwire, too (HS256)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        head, body, signature = token.split(".")
        genuine = hmac.new(JWT_SECRET, f"{head}.{body}".encode(), hashlib.sha256).digest()
        claims = json.loads(decoded(body))
        is_good = json.loads(decoded(head))["alg"] == "HS256" and hmac.compare_digest(genuine, decoded(signature))
        if scheme.lower() == "bearer" and is_good and claims.get("exp", 0) > time.time():
            return claims
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise Refused(401, "Invalid token")


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


ROUTES = {
    "/roomwire/": ("POST", hook),
    "/webhook/incoming-message": ("POST", incoming_message),
    "/chats": ("GET", list_chats),
}


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        length = self.headers.get("Content-Length", "0")
        self.close_connection = not length.isdigit() or int(length) > BODY
        if self.close_connection:
            return self.answer(413, {"status": 0, "message": "the body is too large"})
        self.body = self.rfile.read(int(length))
        method, view = ROUTES.get(self.path.partition("?")[0], (self.command, None))
        try:
            if view is None:
                raise Refused(404, "not found")
            if method != self.command:
                raise Refused(405, f"use {method}")
            self.answer(200, view(self))
        except Refused as refusal:
            self.answer(refusal.status, {"status": 0, "message": str(refusal)})
        except Exception:
            logging.exception("%s %s failed", self.command, self.path)
            self.answer(500, {"status": 0, "message": "Internal server error"})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="[%(name)s] %(message)s")
    server = Server(("127.0.0.1", int(os.environ.get("BACKEND_PORT", "8000"))), Request)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
