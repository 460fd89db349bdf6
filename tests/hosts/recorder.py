"""Stands in front of a device server and records each write that a device accepted: recorder.py RECORD PORT:PORT...

    host ──> PORT of this host ──> PORT of 127.0.0.1, where the devices are served
                    └── RECORD: {"at": 123.456, "asked": 123.455, "from": "10.77.0.1", "first": 200, "values": [0, 0, 0, 257, …]}

Bytes pass as they come. `at` is when the device's acknowledgement was seen, `asked` when the request came; seconds of
CLOCK_BOOTTIME. The first line is what says that all ports listen.
"""

import asyncio
import json
import os
import struct
import sys
import time

HEADER_BYTES = 7
WRITE_REGISTERS = 16
READ_BYTES = 4_096
# Requests without an answer are forgotten beyond so many.
ASKED_MAX = 64
# Above everything on this machine that is no controller, as a real device does not share its processor with anybody.
PRIORITY = 30


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Frames:
    """Finds the Modbus frames in a stream."""

    def __init__(self):
        self.rest = b""

    def feed(self, data):
        self.rest += data
        while len(self.rest) >= HEADER_BYTES:
            transaction, _, length = struct.unpack(">HHH", self.rest[:6])
            if len(self.rest) < 6 + length:
                return
            pdu, self.rest = self.rest[HEADER_BYTES:6 + length], self.rest[6 + length:]
            yield transaction, pdu


class Connection:
    """One connection of a host, and the writes of it that are not acknowledged yet."""

    def __init__(self, record, peer):
        self.record, self.peer = record, peer
        self.asked = {}
        self.requests, self.answers = Frames(), Frames()

    def request(self, data):
        for transaction, pdu in self.requests.feed(data):
            if pdu[0] == WRITE_REGISTERS:
                first, count = struct.unpack(">HH", pdu[1:5])
                self.asked[transaction] = now(), first, struct.unpack(f">{count}H", pdu[6:6 + 2 * count])
                if len(self.asked) > ASKED_MAX:
                    del self.asked[next(iter(self.asked))]

    def answer(self, data):
        at = now()
        for transaction, pdu in self.answers.feed(data):
            asked = self.asked.pop(transaction, None)
            if asked and pdu[0] == WRITE_REGISTERS:
                write = {"at": at, "asked": asked[0], "from": self.peer, "first": asked[1], "values": asked[2]}
                self.record.write(json.dumps(write) + "\n")


async def passes(reader, writer, seen):
    """Passes bytes on until an end says no more, and that too: what it said before may still be answered."""
    try:
        while data := await reader.read(READ_BYTES):
            seen(data)
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


async def serve(record, ports):
    async def accept(reader, writer):
        port = ports[writer.get_extra_info("sockname")[1]]
        connection = Connection(record, writer.get_extra_info("peername")[0])
        try:
            device_reader, device_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return writer.close()
        await asyncio.gather(
            passes(reader, device_writer, connection.request), passes(device_reader, writer, connection.answer)
        )
        device_writer.close()
        writer.close()

    servers = [await asyncio.start_server(accept, "10.77.0.4", port) for port in ports]
    record.write(json.dumps({"listens": list(ports)}) + "\n")
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main():
    ports = dict(map(int, pair.split(":")) for pair in sys.argv[2:])
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    with open(sys.argv[1], "w", buffering=1, encoding="utf-8") as record:
        asyncio.run(serve(record, ports))


if __name__ == "__main__":
    main()
