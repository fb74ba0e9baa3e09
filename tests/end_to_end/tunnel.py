"""A proxy as institutions have them, CONNECT alone: `python tunnel.py HOST PORT` prints where each tunnel leads."""

import asyncio
import contextlib
import sys
from asyncio import StreamReader, StreamWriter


async def tunnel(reader: StreamReader, writer: StreamWriter) -> None:
    asked, *_ = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    print(asked, flush=True)
    host, _, port = asked.split()[1].rpartition(":")
    far_reader, far_writer = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


async def pump(source: StreamReader, target: StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await source.read(65536):
            target.write(content)
            await target.drain()
    target.close()


async def main() -> None:
    server = await asyncio.start_server(tunnel, sys.argv[1], int(sys.argv[2]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
