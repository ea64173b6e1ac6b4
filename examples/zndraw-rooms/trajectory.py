#!/usr/bin/env python3
"""Uploads a trajectory into a room of its own, under the room's lock, so that nobody else writes meanwhile.

    python3 trajectory.py water-box --frames 60 --user ada        # makes the room if there is none
    python3 trajectory.py water-box --work                        # does one job of the room's queue

Nothing but the standard library. ROOMWIRE_URL is where the server is (http://127.0.0.1:8420). Exits with 1 when it is
refused, and says by whom and why.
"""
import argparse
import json
import math
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

URL = os.environ.get("ROOMWIRE_URL", "http://127.0.0.1:8420")
LOCK_MS = 10_000
AT_ONCE = 20


class Refused(Exception):
    """`name` is one of PROTOCOL.md's, such as lock_held; `details` may name the holder."""

    def __init__(self, problem):
        super().__init__(problem.get("detail", "refused"))
        self.name, self.details = problem.get("name"), problem.get("details", {})


class Server:
    def __init__(self, user):
        self.token = None
        self.token = self.ask("POST", "/api/login", {"userName": user})["token"]

    def ask(self, method, path, body=None, lock=None):
        headers = {"content-type": "application/json"}
        if self.token is not None:
            headers["authorization"] = f"Bearer {self.token}"
        if lock is not None:
            headers["lock-token"] = str(lock["token"])
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(URL + path, data, headers, method=method), timeout=5) as answer:
                text = answer.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            raise Refused(json.load(error)) from None


class Lock:
    """The room's lock, taken over HTTP: it belongs to no connection, so its lease and its token are all there is to it."""

    def __init__(self, server, room, msg):
        self.server, self.msg = server, msg
        self.path = f"/api/rooms/{room}/locks/trajectory:meta"

    def __enter__(self):
        self.lease = self.server.ask("POST", self.path, {"ttl": LOCK_MS, "msg": self.msg})
        return self

    def say(self, msg):
        """Begins the lease anew, and shows everybody how far it is."""
        self.lease = self.server.ask("PATCH", self.path, {"ttl": LOCK_MS, "msg": msg}, self.lease)

    def __exit__(self, *_):
        try:
            self.server.ask("DELETE", self.path, lock=self.lease)
        except Refused as refused:
            if refused.name != "lock_lost":
                raise


def frame(step, of, side=4):
    """A box of atoms in which a wave goes round."""
    phase = 2 * math.pi * step / of
    positions = [
        [x + 0.15 * math.sin(phase + y), y + 0.15 * math.cos(phase + z), z + 0.6 * math.sin(phase + x + y / 2)]
        for x in range(side) for y in range(side) for z in range(side)
    ]
    return {"positions": positions, "numbers": [[8, 1, 6][sum(divmod(n, side)) % 3] for n in range(side**3)]}


def append(server, room, frames, msg):
    path = f"/api/rooms/{room}/frames"
    count = 0
    with Lock(server, room, msg) as lock:
        for start in range(0, len(frames), AT_ONCE):
            count = server.ask("POST", path, {"frames": frames[start : start + AT_ONCE]}, lock.lease)["frameCount"]
            lock.say(f"{msg}: {min(start + AT_ONCE, len(frames))} of {len(frames)}")
    return count


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("room")
    options.add_argument("--frames", type=int, default=60)
    options.add_argument("--user", default="python")
    options.add_argument("--work", action="store_true", help="does one job of the queue instead")
    chosen = options.parse_args()
    room = urllib.parse.quote(chosen.room, safe="")
    server = Server(chosen.user)
    job = None
    if chosen.work:
        job = server.ask("POST", f"/api/rooms/{room}/jobs/take")["job"]
        if job is None:
            return print("there is no job")
    else:
        try:
            server.ask("POST", f"/api/rooms/{room}", {"description": f"made by {chosen.user}"})
        except Refused as refused:
            if refused.name != "room_exists":
                raise
    frames = [frame(step, chosen.frames) for step in range(chosen.frames)]
    count = append(server, room, frames, job["name"] if job else "appends frames")
    if job:
        server.ask("DELETE", f"/api/rooms/{room}/jobs/{job['id']}")
    print(f"{chosen.room} has {count} frames")


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(f"refused ({refused.name}): {refused}")
