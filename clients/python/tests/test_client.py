"""The client against a real server, whose address is in ROOMWIRE_TEST_URL (test/python/client.test.ts starts it)."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import unittest
import uuid

from roomwire.aio import Backoff, connect
from roomwire.client import connect as connect_sync
from roomwire.errors import Deadline, EncodeError, LockHeld, LockLost, Refused, RoomNotFound, RoomwireError

URL = os.environ.get("ROOMWIRE_TEST_URL", "")
SOON = Backoff(random=lambda: 0.0)


def name():
    return "py-" + uuid.uuid4().hex[:8]


def cut(client):
    """As a network that goes away: no close frame."""
    client._core.connection._wire._socket.transport.abort()


async def until(condition, seconds=20):
    async def wait():
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), seconds)


@unittest.skipUnless(URL, "ROOMWIRE_TEST_URL names no server")
class Aio(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        # In debug mode, which unittest turns on: a busy machine is no fault to report.
        asyncio.get_running_loop().slow_callback_duration = 60
        self.problems = []
        self.clients = []

    async def asyncTearDown(self):
        for client in self.clients:
            await client.close()
        self.assertEqual(self.problems, [], "reported")

    async def client(self, **options):
        client = connect(URL, backoff=SOON, on_error=self.problems.append, **options)
        self.clients.append(client)
        return await asyncio.wait_for(client.connect(), 20)

    async def two_in(self, room_id):
        a, b = await self.client(), await self.client()
        await a.room(room_id).join(create=True)
        await b.room(room_id).join()
        return a, b

    async def test_a_room_and_its_state(self):
        """Joining brings the state, events keep it current, and handlers hear them in order"""
        room_id = name()
        a, b = await self.two_in(room_id)
        room = b.room(room_id)
        self.assertEqual(room.state.status, "joined")
        self.assertEqual(room.state.member_count, 2)
        heard = []
        room.on("chat:message:new", lambda data, info: heard.append((data["text"], info.offset)))
        anywhere = []
        b.on("chat:message:new", lambda data: anywhere.append(data["text"]))
        slow = []

        @room.on("chat:message:new")
        async def slowly(data):
            await asyncio.sleep(0)
            slow.append(data["text"])

        for n in range(50):
            await a.call("chat:send", {"roomId": room_id, "text": str(n)})
        await until(lambda: len(slow) == 50)
        texts = [str(n) for n in range(50)]
        self.assertEqual(([text for text, _ in heard], anywhere, slow), (texts, texts, texts))
        offsets = [offset for _, offset in heard]
        self.assertEqual(offsets, list(range(offsets[0], offsets[0] + 50)))
        await a.room(room_id).leave()
        await until(lambda: room.state.member_count == 1)
        self.assertEqual(a.room(room_id).state.status, "left")

    async def test_a_lock_is_held_and_refused(self):
        """A lock refuses others by name, is shown to all, and is released on the way out"""
        room_id = name()
        a, b = await self.two_in(room_id)
        room = a.room(room_id)
        async with room.lock("trajectory:meta", msg="Uploading") as lock:
            self.assertTrue(lock.held)
            with self.assertRaises(LockHeld) as refused:
                await b.room(room_id).lock()
            self.assertEqual((refused.exception.code, refused.exception.details["msg"]), (205, "Uploading"))
            await lock.message("50 %")
            await until(lambda: b.room(room_id).state.metadata["metadataLocked"]["msg"] == "50 %")
            waiting = asyncio.ensure_future(b.room(room_id).lock(wait=20).acquire())
            await asyncio.sleep(0)
        self.assertFalse(lock.held)
        mine = await waiting
        self.assertGreater(mine.token, lock.token)
        await b.room(room_id).leave()
        self.assertFalse(mine.held)
        await asyncio.wait_for(mine.lost(), 10)
        with self.assertRaises(LockLost):
            mine.check_held()

    async def test_a_cut_connection_is_resumed(self):
        """After a cut the session goes on: what was missed comes once, the lock is still held, a keyed call runs once"""
        room_id = name()
        a, b = await self.two_in(room_id)
        sid, heard = b.sid, []
        b.room(room_id).on("chat:message:new", lambda data: heard.append(data["text"]))
        lock = await b.room(room_id).lock()
        connects = []
        b.on("connect", connects.append)
        for round_ in range(3):
            cut(b)
            sent = [a.call("chat:send", {"roomId": room_id, "text": "%d.%d" % (round_, n)}) for n in range(10)]
            keyed = asyncio.ensure_future(
                b.call("chat:send", {"roomId": room_id, "text": "%d.b" % round_}, key="k%d" % round_)
            )
            await asyncio.gather(*sent, keyed)
            await until(lambda: len(heard) == 11 * (round_ + 1))
        self.assertEqual((b.sid, connects), (sid, [True, True, True]))
        self.assertEqual(len(set(heard)), 33)
        self.assertTrue(lock.held)
        await lock.refresh()
        self.assertTrue(await lock.release())

    async def test_a_session_that_is_gone(self):
        """When its session is gone the client joins again by itself, tells of a reset, and its lock is lost"""
        room_id = name()
        a = await self.client()
        await a.room(room_id).join(create=True)
        b = await self.client()
        room = b.room(room_id)
        await room.join()
        resets, heard = [], []
        room.on("reset", resets.append)
        room.on("chat:message:new", lambda data: heard.append(data["text"]))
        lock = await room.lock()
        sid = b.sid
        # As after the grace: the server does not know it.
        b._core.connection._ticket = ["gone", "gone"]
        cut(b)
        await until(lambda: b.sid != sid and room.state.status == "joined" and resets)
        self.assertFalse(lock.held)
        await a.call("chat:send", {"roomId": room_id, "text": "again"})
        await until(lambda: heard == ["again"])

    async def test_publishing(self):
        """A publish is told its offset before its event comes, and a key appends it once"""
        room_id = name()
        a = await self.client()
        room = a.room(room_id)
        heard, order = [], []
        room.on("note", lambda data, info: (heard.append((data, info.offset, info.sender)), order.append("event")))
        await room.join(create=True)
        published = await room.publish("note", {"n": 1}, key="once")
        order.append("answer")
        await until(lambda: heard)
        self.assertEqual(order, ["answer", "event"])
        self.assertEqual(heard, [({"n": 1}, published.offset, a.sid)])
        self.assertEqual(published.matched, 1)
        again = await room.publish("note", {"n": 1}, key="once")
        self.assertEqual(again.offset, published.offset)
        room.volatile("note", "pointer", {"x": 1})
        await until(lambda: ({"x": 1}, None, a.sid) in heard)

    async def test_refusals(self):
        """Refusals have types, codes and details; what waits without a connection waits in order"""
        a = await self.client()
        with self.assertRaises(RoomNotFound):
            await a.room(name()).join()
        with self.assertRaises(RoomwireError) as refused:
            await a.call("nope")
        self.assertEqual((refused.exception.code, refused.exception.name), (102, "unknown_call"))
        with self.assertRaises(RoomwireError) as refused:
            await a.call("chat:send", {})
        self.assertEqual(refused.exception.details["issues"][0]["path"], "roomId")
        with self.assertRaises(EncodeError):
            await a.call("chat:send", {"at": object()})
        with self.assertRaises(Deadline):
            await a.call("hang", {}, timeout=0.05)
        down = asyncio.Event()
        a.on("disconnect", lambda _reason: down.set())
        cut(a)
        await down.wait()
        answers = await asyncio.gather(*(a.call("echo", n) for n in range(10)))
        self.assertEqual(answers, list(range(10)))

    async def test_calls_of_the_server(self):
        """The server's calls are answered by handlers, by refusals, and by 102 where there is none"""
        a = await self.client()

        @a.handle("double")
        async def double(n):
            return n * 2

        @a.handle("refuse")
        def refuse(_data):
            raise RoomwireError("forbidden", "no", {"why": 1})

        self.assertEqual(await a.call("ask:me", {"name": "double", "data": 21}), {"ok": 42})
        self.assertEqual(await a.call("ask:me", {"name": "refuse", "data": 1}), {"code": 106})
        self.assertEqual(await a.call("ask:me", {"name": "other", "data": 1}), {"code": 102})

    async def test_the_list_of_rooms(self):
        """The list is loaded and kept current"""
        a, b = await self.client(), await self.client()
        rooms = b.rooms()
        await rooms.watch()
        room_id = name()
        await a.room(room_id).join(create={"description": "new"})
        await until(lambda: room_id in rooms)
        self.assertEqual(rooms.get(room_id)["description"], "new")
        async with a.room(room_id).lock(msg="Uploading"):
            await until(lambda: (rooms.get(room_id)["metadataLocked"] or {}).get("msg") == "Uploading")
        await until(lambda: rooms.get(room_id)["metadataLocked"] is None)

    async def test_a_presenter(self):
        """The presenter's part is taken, given and released"""
        room_id = name()
        a, b = await self.two_in(room_id)
        await a.room(room_id).take_presenter()
        with self.assertRaises(LockHeld):
            await b.room(room_id).take_presenter()
        await a.room(room_id).give_presenter(b.sid)
        await until(lambda: (a.room(room_id).state.presenter or {}).get("sid") == b.sid)
        await b.room(room_id).release_presenter()
        await until(lambda: a.room(room_id).state.presenter is None)

    async def test_a_subscription(self):
        """A topic is subscribed, gone on from a position, and left"""
        topic = "open:" + name()
        a, b = await self.client(), await self.client()
        heard = []
        first = a.subscribe(topic)
        first.on("note", lambda data, info: heard.append((data, info.offset)))
        ready = await first
        for n in range(5):
            await b.call("tell", {"topic": topic, "data": n})
        await until(lambda: len(heard) == 5)
        later = b.subscribe(topic, start=(ready.position[0], heard[2][1]))
        missed = []
        later.on("note", missed.append)
        self.assertTrue((await later).recovered)
        await until(lambda: missed == [3, 4])
        first.unsubscribe()
        await b.call("tell", {"topic": topic, "data": 5})
        await until(lambda: missed == [3, 4, 5])
        self.assertEqual(len(heard), 5)

    async def test_a_subscription_without_a_connection(self):
        """A handle taken while there is no connection begins when WELCOME says that the stream goes on, not before"""
        a = await self.client()
        topic = "open:" + name()
        await a.subscribe(topic)
        down = asyncio.Event()
        a.on("disconnect", lambda _reason: down.set())
        cut(a)
        await down.wait()
        second = a.subscribe(topic)
        self.assertFalse(second._ready.done())
        self.assertTrue((await second).recovered)

    async def test_a_cancelled_wait(self):
        """A wait for a lock that is cancelled leaves no lock behind"""
        room_id = name()
        a, b = await self.two_in(room_id)
        lock = await a.room(room_id).lock()
        waiting = asyncio.ensure_future(b.room(room_id).lock(wait=20).acquire())
        await a.call("echo", 1)
        waiting.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await waiting
        await lock.release()
        again = await asyncio.wait_for(a.room(room_id).lock(wait=5).acquire(), 10)
        self.assertTrue(again.held)

    async def test_nobody_signed_in(self):
        """A token function that returns None refuses the connection"""
        client = connect(URL, token=lambda: None, on_error=self.problems.append)
        self.clients.append(client)
        with self.assertRaises(Refused) as refused:
            await client
        self.assertEqual(refused.exception.name, "unauthenticated")


SCRIPT = """
import sys
from roomwire.client import connect
client = connect(sys.argv[1])
room = client.room(sys.argv[2])
room.join(create=True)
with room.lock("trajectory:meta", msg="Uploading"):
    print("held", flush=True)
    client.wait()
"""


@unittest.skipUnless(URL, "ROOMWIRE_TEST_URL names no server")
class Sync(unittest.TestCase):
    def test_a_script(self):
        """A script joins, hears, calls from a handler, and locks without await"""
        room_id = name()
        with connect_sync(URL) as client:
            room = client.room(room_id)
            answers, done = [], threading.Event()

            @client.on("chat:message:new")
            def message(data):
                answers.append(client.call("echo", data["text"]))
                done.set()

            self.assertEqual(room.join(create=True).status, "joined")
            with room.lock("trajectory:meta", msg="Uploading") as lock:
                self.assertTrue(lock.held)
                self.assertGreater(lock.token, 0)
            self.assertFalse(lock.held)
            client.call("chat:send", {"roomId": room_id, "text": "hello"})
            self.assertTrue(done.wait(20))
            self.assertEqual(answers, ["hello"])

            @client.handle("double")
            def double(n):
                return n * 2

            self.assertEqual(client.call("ask:me", {"name": "double", "data": 21}), {"ok": 42})
            self.assertIn(room_id, [one["id"] for one in client.rooms().watch()])
            with self.assertRaises(RoomwireError):
                client.call("nope")
        self.assertEqual(client.status, "closed")
        with self.assertRaises(RoomwireError):
            client.call("echo", 1)

    def test_an_interrupt(self):
        """Ctrl-C ends a script with its locks released, long before its grace is over"""
        room_id = name()
        script = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, URL, room_id], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.assertEqual(script.stdout.readline(), "held\n")
        with connect_sync(URL) as client:
            room = client.room(room_id)
            room.join()
            alone = threading.Event()
            room.on("state", lambda state: alone.set() if state.member_count == 1 else None)
            script.send_signal(signal.SIGINT)
            with room.lock(wait=10):
                # Its session ends, too.
                self.assertTrue(alone.wait(10))
        self.assertNotEqual(script.wait(20), 0)
        script.stdout.close()


if __name__ == "__main__":
    unittest.main()
