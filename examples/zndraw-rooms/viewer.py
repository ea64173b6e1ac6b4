#!/usr/bin/env python3
"""Watches a room and prints what happens in it, until Ctrl-C.

    PYTHONPATH=clients/python python3 examples/zndraw-rooms/viewer.py water-box --user bob

A lost connection comes back by itself with what was missed; where that is not possible, the room's state is read again.
"""
import argparse
import signal

from roomwire.client import connect
from trajectory import URL, Server


def watch(client, room_id):
    room = client.room(room_id)

    def say(text):
        print(text, flush=True)

    @room.on("room:update")
    def updated(data):
        if "metadataLocked" in data:
            lock = data["metadataLocked"]
            say("the lock is free" if lock is None else f"{lock['userName']} holds the lock: {lock['msg']}")
        if "frameCount" in data:
            say(f"{data['frameCount']} frames")

    @room.on("member:joined")
    def joined(data):
        say(f"{data['member']['name']} is here")

    @room.on("chat:message:new")
    def message(data):
        say(f"{data['author']['name']}: {data['content']}")

    @room.on("frame_update")
    def looked_at(data):
        say(f"the presenter looks at frame {data['frame']}")

    @room.on("removed")
    def removed(*_):
        say("the room is gone, or you may not stay")
        client.close()

    state = room.join(create=True)
    say(f"watching {room_id}, with {state.metadata['frameCount']} frames")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("room")
    options.add_argument("--user", default="viewer")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with connect(URL.replace("http", "ws", 1), token=Server(chosen.user).token) as client:
        watch(client, chosen.room)
        client.wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
