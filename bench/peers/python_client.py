"""The Python client in a room whose events come as fast as it takes them, into a handler that does nothing. Prints what
it took of its own CPU time, with all threads, as one line of JSON."""

import asyncio
import json
import sys
import time

asked = json.loads(sys.argv[1])
sys.path.insert(0, asked["client"])

from roomwire.aio import connect  # noqa: E402


async def main():
    async with connect(asked["url"]) as client:
        room = client.room("bench")
        room.on(asked["event"], lambda data: None)
        listening = client.listen(room.topic)
        await room.join()
        await asyncio.sleep(asked["seconds"] / 4)
        while listening.position is None or listening.position[1] == 0:
            await asyncio.sleep(0.01)
        began, cpu, first = time.perf_counter(), time.process_time(), listening.position[1]
        await asyncio.sleep(asked["seconds"])
        # However short the time and busy the machine: something is measured.
        while listening.position[1] == first:
            await asyncio.sleep(0.01)
        took, spent, last = time.perf_counter() - began, time.process_time() - cpu, listening.position[1]
        print(json.dumps({"events": last - first, "seconds": took, "cpuMicroseconds": spent * 1e6}), flush=True)


asyncio.run(main())
