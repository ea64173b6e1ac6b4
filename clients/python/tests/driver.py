"""Drives the client for `roomwire conform client`: commands in as JSON lines, what the client saw out."""

import asyncio
import json
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from roomwire.aio import Backoff, connect  # noqa: E402
from roomwire.errors import RoomwireError  # noqa: E402


def say(**line):
    print(json.dumps(line), flush=True)


class Driver:
    def __init__(self):
        self.client = None
        self.token = ""
        self.random = random.random
        self.kept = {}
        # Calls of the server that wait for `finish`, by name.
        self.unfinished = {}

    def hear(self, topic, stream):
        stream.on("note", lambda data, info: say(saw="event", topic=topic, data=data, offset=info.offset))
        stream.on("reset", lambda _reason: say(saw="reset", topic=topic))
        stream.on("removed", lambda problem: say(saw="removed", topic=topic, code=problem.code))

    def room(self, room_id):
        room = self.client.room(room_id)
        if room_id not in self.kept:
            self.kept[room_id] = room
            self.hear(room.topic, room)
        return room

    async def do_connect(self, url, token, backoffMs, pingTimeoutMs=10_000):
        self.token = token
        self.client = connect(
            url,
            token=lambda: self.token,
            backoff=Backoff(base_ms=backoffMs, random=lambda: self.random()),
            ping_timeout=pingTimeoutMs / 1000,
            on_error=lambda _problem: None,
        )
        self.client.on("connect", lambda _resumed: say(saw="status", status="live"))
        self.client.on("disconnect", lambda end: say(saw="status", status=self.client.status, code=end and end.code))
        self.kept["connecting"] = asyncio.ensure_future(self.connected())

    async def connected(self):
        try:
            await self.client.connect()
        except Exception:
            pass

    async def do_random(self, value):
        self.random = lambda: value

    async def do_token(self, token):
        self.token = token

    async def do_subscribe(self, topic):
        subscription = self.client.subscribe(topic)
        self.kept[topic] = subscription
        self.hear(topic, subscription)
        await subscription

    async def do_unsubscribe(self, topic):
        self.kept[topic].unsubscribe()

    async def do_publish(self, topic, event, data, key=None):
        return (await self.client.publish(topic, event, data, key=key))._asdict()

    async def do_volatile(self, topic, event, slot, data):
        self.client.volatile(topic, event, slot, data)

    async def do_join(self, room, create=None):
        await self.room(room).join(create=create)

    async def do_leave(self, room):
        await self.room(room).leave()

    async def do_state(self, room):
        state = self.room(room).state
        return {
            "status": state.status,
            "members": [member["userId"] for member in state.members],
            "memberCount": state.member_count,
            "complete": state.complete,
            "presenter": state.presenter and state.presenter["sid"],
            "host": state.host and state.host["userId"],
        }

    async def do_members(self, room):
        return [member["userId"] for member in await self.room(room).members()]

    async def do_presenter(self, room, action, **parts):
        await getattr(self.room(room), action + "_presenter")(**parts)

    async def do_watch(self):
        await self.client.rooms().watch()

    async def do_unwatch(self):
        await self.client.rooms().unwatch()

    async def do_rooms(self):
        rooms = self.client.rooms()
        listed = [{"id": room["id"], "version": room["version"]} for room in rooms.list()]
        return {"watching": rooms.watching, "rooms": listed}

    async def do_call(self, name, data, key=None):
        return await self.client.call(name, data, key=key)

    async def do_handle(self, name):
        self.client.handle(name, lambda data: data)

    async def do_handle_badly(self, name):
        @self.client.handle(name)
        def fail(data):
            raise ValueError(data)

    async def do_handle_later(self, name):
        finished = self.unfinished[name] = asyncio.Event()

        @self.client.handle(name)
        async def later(data):
            await finished.wait()
            return data

    async def do_finish(self, name):
        self.unfinished[name].set()

    async def do_lock(self, room, target, ttl, wait=None, timeoutMs=None):
        in_seconds = {"ttl": ttl, "wait": wait, "timeout": timeoutMs}
        options = {name: ms / 1000 for name, ms in in_seconds.items() if ms is not None}
        lock = await self.room(room).lock(target, **options)
        self.kept[target] = lock
        lock.on_lost(lambda: say(saw="lost", target=target))

    async def run(self, command):
        number = command.pop("id")
        run = getattr(self, "do_" + command.pop("do").replace("-", "_"), None)
        if run is None:
            say(id=number, lacks=True)
            return
        try:
            say(id=number, ok=await run(**command))
        except RoomwireError as problem:
            details = {} if problem.details is None else {"details": problem.details}
            say(id=number, error={"code": problem.code, **details})


async def main():
    driver, running = Driver(), set()
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            return
        task = asyncio.ensure_future(driver.run(json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)


asyncio.run(main())
