"""One client of a run of test/chaos: it hears topics and publishes to one of them, through cuts and restarts of the server, and
tells all that it is told as JSON lines. A room's id on stdin asks for the state that it has of that room."""

import asyncio
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from roomwire.aio import Backoff, connect  # noqa: E402
from roomwire.errors import RoomwireError  # noqa: E402

# Seconds: longer than any fault.
PATIENCE = 60


def say(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def problem(what):
    say(kind="problem", text=str(what))


class Part:
    def __init__(self, url, token, topics, publish):
        self.topics = topics
        self.publishing = publish
        self.client = connect(
            url,
            token=token,
            grace=120,
            backoff=Backoff(base_ms=5, max_ms=100),
            call_timeout=PATIENCE,
            on_error=problem,
        )
        self.client.on("connect", lambda _resumed: say(kind="live"))
        self.kept = []

    async def run(self):
        await self.client
        await asyncio.gather(*(self.hear(topic) for topic in self.topics))
        numbers = iter(range(self.publishing["count"]))
        await asyncio.gather(*(self.publish(numbers) for _ in range(self.publishing["window"])))
        say(kind="published")

    async def hear(self, topic):
        say(kind="begin", topic=topic)
        if topic.startswith("room:"):
            room = self.client.room(topic[len("room:") :])
            listening = self.client.listen(topic)
            # What was missed is in the state that was read again.
            self.tell(topic, room, lambda: listening.position, lambda: room._follower._as_of)
            room.on("removed", lambda _problem: self.again(room))
            self.kept += [room, listening]
            await room.join(create=True)
        else:
            subscription = self.client.subscribe(topic)
            self.tell(topic, subscription, lambda: subscription.position, lambda: subscription.position)
            self.kept.append(subscription)
            ready = await subscription
            say(kind="ready", topic=topic, at=ready.position)

    def tell(self, topic, stream, position, state_position):
        def event(data, info):
            # Volatile values have no place in the log.
            if info.offset is not None:
                at = [position()[0], info.offset]
                say(kind="event", topic=topic, at=at, by=info.sender, event=info.event, data=data)

        stream.on("*", event)
        stream.on("reset", lambda _reason: say(kind="reset", topic=topic, at=state_position()))
        stream.on("removed", lambda end: say(kind="end", topic=topic, code=end.code))

    def again(self, room):
        """What an application does: it makes the room again."""

        async def join():
            try:
                await room.join(create=True)
            except RoomwireError as refused:
                problem("cannot join %s again: %s" % (room.id, refused))

        say(kind="begin", topic=room.topic)
        self.kept.append(asyncio.ensure_future(join()))

    async def publish(self, numbers):
        for n in numbers:
            data = {"w": "py", "s": n}
            say(kind="ask", n=n, data=data)
            try:
                published = await self.client.publish(
                    self.publishing["topic"], self.publishing["event"], data, key="py-%d" % n, timeout=PATIENCE
                )
                say(kind="answer", n=n, at=[published.epoch, published.offset])
            except RoomwireError as refused:
                say(kind="answer", n=n, code=refused.code)
                problem("#%d was refused: %s" % (n, refused))

    def state(self, room_id):
        state = self.client.room(room_id).state._asdict()
        state["memberCount"] = state.pop("member_count")
        say(kind="state", room=room_id, state=state)


async def main():
    part = Part(**json.loads(sys.argv[1]))
    running = asyncio.ensure_future(part.run())
    running.add_done_callback(lambda done: done.cancelled() or done.exception() is None or problem(repr(done.exception())))
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            return
        part.state(line.strip())


if __name__ == "__main__":
    asyncio.run(main())
