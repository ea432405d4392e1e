"""A way to Postgres that is cut now and then."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HOST = "127.0.0.1"


class Proxy:
    """Passes bytes on, between whoever connects and a server, until it cuts all connections."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.cuts = 0

    def cut(self) -> None:
        """End every connection at once, whatever is under way."""
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        self.cuts += bool(self._writers)
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, started: threading.Event, stopping: asyncio.Event) -> None:
        async with await asyncio.start_server(self._connect, HOST, 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            await stopping.wait()
            self._abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(HOST, self._target)
        both = {writer, there_writer}
        self._writers |= both
        try:
            async with asyncio.TaskGroup() as passing:
                passing.create_task(_pass(reader, there_writer))
                passing.create_task(_pass(there_reader, writer))
        finally:
            self._writers -= both

    @contextmanager
    def running(self) -> Iterator[None]:
        """Listen, on a thread of its own."""
        started, stopping = threading.Event(), asyncio.Event()
        thread = threading.Thread(
            target=self._loop.run_until_complete, args=[self._serve(started, stopping)], name="proxy"
        )
        thread.start()
        started.wait()
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(stopping.set)
            thread.join()
            self._loop.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
