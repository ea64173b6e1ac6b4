"""The chats on sqlite3. Every change is one transaction, and collects the events that tell of it, for whoever publishes them."""
import contextlib
import datetime
import json
import os
import sqlite3
import threading

#: The rooms that `join_room` takes, each with the event that tells of one of its chats.
DASHBOARDS = {
    "Partner": ("PartnerApp", "room_update"),
    "Customer": ("CustomerApp", "room_update_customer"),
    "Vendor": ("VendorApp", "room_update_vendor"),
    "SRDP": ("SRDPApp", "room_update_srdp"),
}
LISTED = 100
HISTORY = 50
SCHEMA = """
CREATE TABLE IF NOT EXISTS chats (chat_id TEXT PRIMARY KEY, customer_type TEXT, name TEXT, last_message TEXT,
  last_at TEXT, unread INTEGER, tags TEXT, "order" INTEGER, version INTEGER);
CREATE INDEX IF NOT EXISTS places ON chats (customer_type, "order");
CREATE TABLE IF NOT EXISTS messages (message_id TEXT PRIMARY KEY, chat_id TEXT, "from" TEXT, name TEXT, text TEXT,
  sent_at TEXT, place INTEGER);
CREATE INDEX IF NOT EXISTS histories ON messages (chat_id, place);
CREATE TABLE IF NOT EXISTS counter (last INTEGER);
INSERT INTO counter SELECT 0 WHERE NOT EXISTS (SELECT * FROM counter);
"""
_db = sqlite3.connect(os.environ.get("DATABASE", ":memory:"), check_same_thread=False, isolation_level=None)
_db.row_factory = sqlite3.Row
_db.executescript(SCHEMA)
_lock = threading.RLock()


@contextlib.contextmanager
def change():
    """One transaction; `as events`: what to publish once it is committed, in this order."""
    events = []
    with _lock:
        _db.execute("BEGIN IMMEDIATE")
        try:
            yield events
            _db.execute("COMMIT")
        except BaseException:
            _db.execute("ROLLBACK")
            raise


def room_of(chat_id):
    return f"chat_{chat_id}"


def find(chat_id):
    """None when there is none."""
    row = _one("SELECT * FROM chats WHERE chat_id = ?", chat_id)
    return None if row is None else _chat(row)


def message(message_id):
    row = _one("SELECT * FROM messages WHERE message_id = ?", message_id)
    return None if row is None else _message(row)


def latest(customer_type):
    """The chats of one dashboard that had a message last, newest first."""
    query = 'SELECT * FROM chats WHERE customer_type = ? ORDER BY "order" DESC LIMIT ?'
    return [_chat(row) for row in _all(query, customer_type, LISTED)]


def history(chat_id):
    """The latest messages of a chat, oldest first."""
    rows = _all("SELECT * FROM messages WHERE chat_id = ? ORDER BY place DESC LIMIT ?", chat_id, HISTORY)
    return [_message(row) for row in reversed(rows)]


def stats():
    rooms = {room: {"chats": 0, "unread": 0} for room, _ in DASHBOARDS.values()}
    for row in _all("SELECT customer_type, count(*) AS chats, sum(unread) AS unread FROM chats GROUP BY 1"):
        rooms[DASHBOARDS[row["customer_type"]][0]] = {"chats": row["chats"], "unread": row["unread"]}
    total = lambda of: sum(count[of] for count in rooms.values())
    return {"chats": total("chats"), "unread": total("unread"), "rooms": rooms}


def add_message(events, chat, said):
    """One more message: to who is in the chat, and the chat moves to the top of its dashboard. An agent's answer is also a look at it."""
    order = _next()
    sent = {**said, "chat_id": chat["chat_id"], "sent_at": _now()}
    _db.execute(
        'INSERT INTO messages (message_id, chat_id, "from", name, text, sent_at, place) VALUES (?, ?, ?, ?, ?, ?, ?)',
        [*(sent[name] for name in ("message_id", "chat_id", "from", "name", "text", "sent_at")), order],
    )
    events.append({"topic": room_of(chat["chat_id"]), "event": "new_message", "data": sent})
    unread = chat["unread"] + 1 if sent["from"] == "customer" else 0
    save(events, {**chat, "last_message": sent["text"], "last_at": sent["sent_at"], "unread": unread, "order": order})
    return sent


def save(events, changed):
    """Keeps a chat and tells its dashboard; `dashboard_stats` only when a count changed."""
    before = find(changed["chat_id"])
    chat = {**changed, "version": _next()}
    _db.execute(
        f"INSERT OR REPLACE INTO chats VALUES ({', '.join('?' * 9)})",
        [json.dumps(value) if name == "tags" else value for name, value in chat.items()],
    )
    room, update = DASHBOARDS[chat["customer_type"]]
    events.append({"topic": room, "event": update, "data": chat})
    if before is None or before["unread"] != chat["unread"]:
        events.append({"topic": "dashboard", "event": "dashboard_stats", "data": stats()})
    return chat


def told(sent):
    """The events of a message that is kept, as it stands now."""
    chat = find(sent["chat_id"])
    room, update = DASHBOARDS[chat["customer_type"]]
    return [
        {"topic": room_of(sent["chat_id"]), "event": "new_message", "data": sent},
        {"topic": room, "event": update, "data": chat},
        {"topic": "dashboard", "event": "dashboard_stats", "data": stats()},
    ]


def blank(chat_id, customer_type, name):
    counts = {"unread": 0, "tags": [], "order": 0}
    return {"chat_id": chat_id, "customer_type": customer_type, "name": name, "last_message": "", "last_at": "", **counts}


def _chat(row):
    return {**dict(row), "tags": json.loads(row["tags"])}


def _message(row):
    return {name: row[name] for name in ("message_id", "chat_id", "from", "name", "text", "sent_at")}


def _one(query, *values):
    with _lock:
        return _db.execute(query, values).fetchone()


def _all(query, *values):
    with _lock:
        return _db.execute(query, values).fetchall()


def _next():
    """Grows with every message and every change."""
    _db.execute("UPDATE counter SET last = last + 1")
    return _one("SELECT last FROM counter")["last"]


def _now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
