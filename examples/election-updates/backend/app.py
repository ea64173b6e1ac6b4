"""Serves the backend on the standard library alone; in a Django project this is urls.py and the rest is Django's."""
import json
import logging
import os
import re
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import consumers
import views
import websocket_utils

TABLE = "(?P<table>guarantees|attendance|voting)"
URLS = [
    ("GET", "/api/utils/websocket/health/", views.health),
    ("GET", "/api/dashboard/", views.dashboard),
    ("POST", f"/api/{TABLE}/", views.create),
    ("POST", f"/api/{TABLE}/import/", views.bulk_import),
    ("PATCH", rf"/api/{TABLE}/(?P<id>\d{{1,18}})/", views.change),
    ("DELETE", rf"/api/{TABLE}/(?P<id>\d{{1,18}})/", views.delete),
    ("POST", r"/api/users/(?P<id>\d{1,18})/notify/", views.notify),
]
FILES = {"/": ("dashboard.html", "text/html; charset=utf-8"), "/dashboard.js": ("dashboard.js", "text/javascript")}
PAGE_DIR = os.environ.get("PAGE_DIR", os.path.join(os.path.dirname(__file__), "../dist"))
BODY = 1024 * 1024


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        length = self.headers.get("Content-Length", "0")
        self.close_connection = not length.isdigit() or int(length) > BODY
        if self.close_connection:
            return self.answer(413, {"detail": "The body is too large"})
        self.body = self.rfile.read(int(length))
        path = self.path.partition("?")[0]
        try:
            if path in FILES and self.command == "GET":
                return self.file(*FILES[path])
            self.answer(*(self.hook() if path == "/roomwire/" else self.view(path)))
        except views.Refused as refusal:
            self.answer(refusal.status, {"detail": str(refusal)})
        except Exception:
            logging.exception("%s %s failed", self.command, path)
            self.answer(500, {"detail": "Internal server error"})

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_any

    def hook(self):
        if not consumers.is_genuine(self.headers, self.body):
            raise views.Refused(401, "not signed by roomwire")
        ask = json.loads(self.body)
        return 200, consumers.HOOKS[ask["type"]](ask)

    def view(self, path):
        known = False
        for method, pattern, view in URLS:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                return view(self, **match.groupdict())
            known = known or match is not None
        raise views.Refused(405 if known else 404, "Method not allowed" if known else "Not found")

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise views.Refused(400, "JSON parse error") from None

    def file(self, name, type):
        with open(os.path.join(PAGE_DIR, name), "rb") as file:
            self.answer(200, file.read().replace(b"{{ROOMWIRE_URL}}", websocket_utils.URL.encode()), type)

    def answer(self, status, body, type="application/json"):
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # whoever asked has gone
            # One event, one line.
            print("a request failed:", json.dumps(traceback.format_exc()), file=sys.stderr, flush=True)


def end_with_input():
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="[%(name)s] %(message)s")
    server = Server(("127.0.0.1", int(os.environ.get("BACKEND_PORT", "8000"))), Request)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    if "ROOMWIRE_URL" not in os.environ:
        # Started by server.ts: it says where roomwire is, and its end is ours.
        websocket_utils.URL = sys.stdin.readline().strip()
        threading.Thread(target=end_with_input, daemon=True).start()
    server.serve_forever()
