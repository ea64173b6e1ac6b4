"""When the client comes back after an end, against a server of this file's own."""

import asyncio
import unittest

from roomwire._client.clock import now
from roomwire.aio import Backoff, connect

REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Waits(unittest.IsolatedAsyncioTestCase):
    def test_codes(self):
        """retryAfterMs spreads a drain; where the code says at once it means nothing"""
        backoff = Backoff(base_ms=500, max_ms=20_000, random=lambda: 1.0)
        self.assertEqual(backoff.delay(1, 4202, 7_000), 7_000)
        self.assertEqual([backoff.delay(1, code, 7_000) for code in (4101, 4300)], [0, 0])
        self.assertEqual([backoff.delay(n, 1006) for n in (1, 2, 3, 9)], [500, 1_000, 2_000, 20_000])
        self.assertEqual([backoff.delay(n, 4201) for n in (1, 2)], [1_000, 2_000])

    async def test_retry_after(self):
        """A refused upgrade is tried again no earlier than Retry-After says"""
        tries, again = [], asyncio.Event()

        async def refuse(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            tries.append(now())
            writer.write(REFUSAL)
            await writer.drain()
            writer.close()
            if len(tries) == 2:
                again.set()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = connect("ws://127.0.0.1:%d" % port, backoff=Backoff(random=lambda: 0.0))
        connecting = asyncio.ensure_future(client.connect())
        await asyncio.wait_for(again.wait(), 20)
        await client.close()
        connecting.cancel()
        server.close()
        await server.wait_closed()
        self.assertGreater(tries[1] - tries[0], 950)


if __name__ == "__main__":
    unittest.main()
