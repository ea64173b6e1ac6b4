#!/usr/bin/env python3
"""Uploads a trajectory over the socket: in the room as a member, under its lock, while the others watch.

    PYTHONPATH=clients/python python3 examples/zndraw-rooms/upload.py water-box --user ada

The lock is the session's: it is renewed by itself, and free at once when the program ends, also by Ctrl-C. Frames go over
HTTP with the lock's token, so that a lock that was lost writes nothing. trajectory.py does the same without a socket.
"""
import argparse
import sys
import urllib.parse

from roomwire.client import RoomwireError, connect
from trajectory import AT_ONCE, URL, Refused, Server, frame

LOCK = "trajectory:meta"


def upload(client, server, room_id, frames):
    room = client.room(room_id)
    room.join(create={"description": f"made by {client.user['name']}"})
    path = f"/api/rooms/{urllib.parse.quote(room_id, safe='')}/frames"
    with room.lock(LOCK, msg="Uploading") as lock:
        for start in range(0, len(frames), AT_ONCE):
            lock.check_held()
            part = frames[start : start + AT_ONCE]
            count = server.ask("POST", path, {"frames": part}, {"token": lock.token})["frameCount"]
            lock.message(f"Uploading: {start + len(part)} of {len(frames)}")
    client.call("chat:message:create", {"roomId": room_id, "content": f"{len(frames)} frames are there"}, key="uploaded")
    return count


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("room")
    options.add_argument("--frames", type=int, default=60)
    options.add_argument("--user", default="python")
    chosen = options.parse_args()
    server = Server(chosen.user)
    with connect(URL.replace("http", "ws", 1), token=server.token) as client:
        count = upload(client, server, chosen.room, [frame(step, chosen.frames) for step in range(chosen.frames)])
    print(f"{chosen.room} has {count} frames")


if __name__ == "__main__":
    try:
        main()
    except (Refused, RoomwireError) as refused:
        sys.exit(f"refused ({refused.name}): {refused}")
