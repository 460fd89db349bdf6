"""What keepalived is measured with: a service behind a virtual address, and a client that writes to it as a controller does.

    vip.py serve PORT               acknowledges every Modbus write
    vip.py write ADDRESS PORT FILE  writes every 10 ms, and adds to FILE when each write was acknowledged

Times are seconds of CLOCK_BOOTTIME. The client does what can be done: it connects again as soon as it is refused, and gives up
what takes longer than a scan.
"""

import asyncio
import os
import struct
import sys
import time

PRIORITY = 30
EVERY_S, TIMEOUT_S, AGAIN_S = 0.01, 0.01, 0.001
# Six registers from 200 on, as in site.ron: transaction, protocol, length, unit; function, first, count, bytes, values.
WRITE = struct.pack(">HHHB BHHB", 1, 0, 19, 3, 16, 200, 6, 12) + bytes(12)
ACKNOWLEDGED = struct.pack(">HHHB BHH", 1, 0, 6, 3, 16, 200, 6)


async def answer(reader, writer):
    try:
        while await reader.readexactly(len(WRITE)):
            writer.write(ACKNOWLEDGED)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def serve(port):
    server = await asyncio.start_server(answer, "0.0.0.0", port)
    print("ready", flush=True)
    await server.serve_forever()


async def write_once(streams):
    reader, writer = streams
    writer.write(WRITE)
    await writer.drain()
    await reader.readexactly(len(ACKNOWLEDGED))


async def write(address, port, file):
    streams, due = None, time.monotonic()
    while True:
        try:
            if streams is None:
                streams = await asyncio.wait_for(asyncio.open_connection(address, port), TIMEOUT_S)
            await asyncio.wait_for(write_once(streams), TIMEOUT_S)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            if streams:
                streams[1].transport.abort()
            streams = None
            await asyncio.sleep(AGAIN_S)
            continue
        file.write(f"{time.clock_gettime(time.CLOCK_BOOTTIME):.6f}\n")
        due = max(due + EVERY_S, time.monotonic())
        await asyncio.sleep(due - time.monotonic())


def main():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    what, *rest = sys.argv[1:]
    if what == "serve":
        return asyncio.run(serve(int(rest[0])))
    with open(rest[2], "w", buffering=1, encoding="utf-8") as file:
        return asyncio.run(write(rest[0], int(rest[1]), file))


if __name__ == "__main__":
    main()
