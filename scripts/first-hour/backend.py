"""The team's backend: signs people in, lets them into rooms, and tells of a message once it is saved."""
import base64
import hashlib
import hmac
import json
import os
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import roomwire

VALID_ROOMS = {"PartnerApp", "CustomerApp", "VendorApp", "SRDPApp"}
JWT_SECRET = os.environ["ROOMWIRE_JWT_SECRET"].encode()
FILES = {"/": ("page.html", "text/html; charset=utf-8"), "/inbox.bundle.js": ("inbox.bundle.js", "text/javascript")}
db = sqlite3.connect("messages.sqlite3", check_same_thread=False)
db.execute("create table if not exists messages (id integer primary key, chat_id text, text text)")
lock = threading.Lock()


def token(user):
    """A JSON Web Token (HS256), good for an hour."""
    part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    claims = {"sub": user, "name": user.title(), "exp": int(time.time()) + 3600}
    text = ".".join(part(json.dumps(value).encode()) for value in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{text}.{part(hmac.new(JWT_SECRET, text.encode(), hashlib.sha256).digest())}"


def login(body):
    return {"url": os.environ["ROOMWIRE_URL"], "token": token(body["user"])}


def incoming(body):
    """A customer's message: kept first, told after the commit, under its id."""
    with lock, db:
        row = (body["chat_id"], body["text"])
        id = db.execute("insert into messages (chat_id, text) values (?, ?)", row).lastrowid
    update = {"chat_id": body["chat_id"], "last_message": body["text"]}
    return roomwire.broadcast("CustomerApp", "room_update_customer", update, key=f"message-{id}")


def hook(ask):
    """What roomwire asks: who may connect, and what `join_room` does."""
    if ask["type"] == "connect":
        return {"allow": ask["user"]["id"] != "mallory", "reason": "User account is disabled"}
    room = ask["input"].get("room", "")
    if room not in VALID_ROOMS:
        return {"result": {"status": 0, "message": f"Invalid room: {room}"}}
    return {"subscribe": [room], "result": {"status": 1, "room": room}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path not in FILES:
            return self.answer(404, b"", "text/plain")
        name, kind = FILES[self.path]
        with open(name, "rb") as file:
            self.answer(200, file.read(), kind)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/hooks" and not roomwire.is_genuine(self.headers, body):
            return self.answer(401, b"{}")
        view = {"/hooks": hook, "/login": login, "/messages": incoming}[self.path]
        self.answer(200, json.dumps(view(json.loads(body))).encode())

    def answer(self, status, data, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["BACKEND_PORT"])), Handler)
print("the backend listens", flush=True)
server.serve_forever()
