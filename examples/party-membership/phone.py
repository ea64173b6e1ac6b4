#!/usr/bin/env python3
"""A phone in a party: joins by the code, and prints who is in the room each time that this changes, until Ctrl-C.

    PYTHONPATH=clients/python python3 examples/party-membership/phone.py H7KQ2M --token $TOKEN

Ctrl-C is a phone that is put away: its owner stays a member. `--leave` leaves the room.
"""
import argparse
import os
import signal
import sys

from roomwire.client import RoomwireError, connect

URL = os.environ.get("ROOMWIRE_URL", "http://127.0.0.1:8420")


def show(info):
    print(" ".join(member["username"] for member in info["members"]), f"(host: {info['host']})", flush=True)


def party(client, code):
    topic = client.listen(f"room:{code}")
    topic.on("room_info_updated", show)  # before joining: nothing is missed
    # Updates that are gone are told, not guessed: ask how it is now.
    topic.on("reset", lambda *_: show(client.call("request_room_info", {"code": code})))
    show(client.call("join_room", {"code": code}))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("code", type=str.upper)
    options.add_argument("--token", default=os.environ.get("TOKEN"))
    options.add_argument("--leave", action="store_true", help="leaves the room instead")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with connect(URL.replace("http", "ws", 1), token=chosen.token) as client:
        if chosen.leave:
            left = client.call("leave_room", {"code": chosen.code})["left"]
            return print("left" if left else "was not in it")
        party(client, chosen.code)
        client.wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except RoomwireError as refused:
        sys.exit(f"refused ({refused.name}): {refused}")
