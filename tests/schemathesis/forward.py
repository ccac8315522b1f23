"""Lets a client of TCP speak to a Unix socket: forward.py PORT SOCKET."""

import asyncio
import sys


async def whole(reader):
    """What comes in one go. A head that arrives without its body can be answered, and the connection closed, before the
    body is there; the answer is lost then."""
    data = await reader.read(65536)
    while data and len(data) < 1 << 20:
        try:
            more = await asyncio.wait_for(reader.read(65536), 0.003)
        except asyncio.TimeoutError:
            break
        if not more:
            break
        data += more
    return data


async def pump(reader, writer):
    try:
        while data := await whole(reader):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def forward(reader, writer):
    try:
        inner_reader, inner_writer = await asyncio.open_unix_connection(sys.argv[2])
    except OSError:
        writer.close()
        return
    await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))


async def main():
    server = await asyncio.start_server(forward, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
