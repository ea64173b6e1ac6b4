"""The election's rows on sqlite3, with the two things of Django's that live updates need: atomic() and on_commit()."""
import contextlib
import os
import sqlite3
import threading

import signals

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT, is_staff INTEGER, is_active INTEGER, committee_id INTEGER);
CREATE TABLE IF NOT EXISTS guarantees (id INTEGER PRIMARY KEY, version INTEGER, committee_id INTEGER, voter TEXT, status TEXT);
CREATE TABLE IF NOT EXISTS attendance (id INTEGER PRIMARY KEY, version INTEGER, committee_id INTEGER, voter TEXT, present INTEGER);
CREATE TABLE IF NOT EXISTS voting (
  id INTEGER PRIMARY KEY, version INTEGER, committee_id INTEGER, election_id INTEGER, candidate TEXT, votes INTEGER);
CREATE TABLE IF NOT EXISTS versions (last INTEGER);
INSERT INTO versions SELECT 0 WHERE NOT EXISTS (SELECT * FROM versions);
INSERT OR IGNORE INTO users VALUES
  (1, 'Ada', 1, 1, NULL), (2, 'Ben', 0, 1, 3), (3, 'Cleo', 0, 1, 5), (4, 'Mallory', 0, 0, 3);
"""
#: What a client may set, by table, and of which type.
FIELDS = {
    "guarantees": {"committee_id": int, "voter": str, "status": str},
    "attendance": {"committee_id": int, "voter": str, "present": bool},
    "voting": {"committee_id": int, "election_id": int, "candidate": str, "votes": int},
}
_path = os.environ.get("DATABASE", ":memory:")
if _path != ":memory:":
    os.makedirs(os.path.dirname(_path), exist_ok=True)
_db = sqlite3.connect(_path, check_same_thread=False, isolation_level=None)
_db.row_factory = sqlite3.Row
_db.executescript(SCHEMA)
_lock = threading.RLock()
_callbacks = None


@contextlib.contextmanager
def atomic():
    """One transaction; what on_commit() was given runs after it, without holding anybody up, or not at all."""
    global _callbacks
    with _lock:
        if _callbacks is not None:  # within another one
            yield
            return
        _callbacks = []
        _db.execute("BEGIN IMMEDIATE")
        try:
            yield
            _db.execute("COMMIT")
            committed = _callbacks
        except BaseException:
            _db.execute("ROLLBACK")
            raise
        finally:
            _callbacks = None
    for callback in committed:
        callback()


def on_commit(callback):
    if _callbacks is None:
        callback()
    else:
        _callbacks.append(callback)


def create(table, fields, raw=False):
    with atomic():
        columns = ", ".join(fields)
        marks = ", ".join("?" * len(fields))
        values = [*fields.values(), _next_version()]
        id = _db.execute(f"INSERT INTO {table} ({columns}, version) VALUES ({marks}, ?)", values).lastrowid
        signals.post_save(table, read(table, id), created=True, raw=raw)
        return read(table, id)


def update(table, id, fields):
    with atomic():
        changes = ", ".join(f"{name} = ?" for name in fields)
        _db.execute(f"UPDATE {table} SET {changes}, version = ? WHERE id = ?", [*fields.values(), _next_version(), id])
        signals.post_save(table, read(table, id), created=False)
        return read(table, id)


def delete(table, id):
    with atomic():
        row = {**read(table, id), "version": _next_version()}
        _db.execute(f"DELETE FROM {table} WHERE id = ?", [id])
        signals.post_delete(table, row)


def bulk_import(table, rows):
    """All or none. The rows' own signals are raw, so that they tell nobody; one summary does."""
    with atomic():
        created = [create(table, fields, raw=True) for fields in rows]
        signals.post_import(table, created)
        return created


def read(table, id):
    """None when there is none."""
    with _lock:
        row = _db.execute(f"SELECT * FROM {table} WHERE id = ?", [id]).fetchone()
    if row is None:
        return None
    return {name: bool(row[name]) if name == "present" else row[name] for name in row.keys()}


def dashboard():
    with _lock:
        one = lambda sql: _db.execute(sql).fetchone()[0]
        results = _db.execute(
            "SELECT election_id, candidate, sum(votes) AS votes FROM voting GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"
        ).fetchall()
        return {
            "version": one("SELECT last FROM versions"),
            "guarantees": one("SELECT count(*) FROM guarantees"),
            "confirmed": one("SELECT count(*) FROM guarantees WHERE status = 'confirmed'"),
            "attended": one("SELECT count(*) FROM attendance WHERE present"),
            "votes": one("SELECT coalesce(sum(votes), 0) FROM voting"),
            "results": [dict(row) for row in results],
        }


def _next_version():
    _db.execute("UPDATE versions SET last = last + 1")
    return _db.execute("SELECT last FROM versions").fetchone()[0]
