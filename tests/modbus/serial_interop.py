"""Modbus RTU with pymodbus at the other end of a serial line, both ways; called by .ci/interop.

    serial_interop.py R_EMSCTL R_EMSD FOLDER

First pymodbus' client asks the devices of `r-emsctl device`; then `r-emsd` runs a site whose meter and battery are pymodbus' server. Lines
are pseudo-terminals, which have no parity.
"""
import asyncio
import os
import pathlib
import re
import select
import struct
import subprocess
import sys
import threading
import tty

from pymodbus import pymodbus_apply_logging_config
from pymodbus.client import ModbusSerialClient
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

BAUD = 9600
LIMIT_W = 220_000
DRAWN_W = 300_000.0
SET_POINT = 200
PATIENCE_S = 60
SITE = "scenarios/sites/commerce_serial.ron"


def client_of_our_devices(emsctl):
    """pymodbus asks our meter and commands our battery."""
    serves = [emsctl, "device", "scenarios/peak_shaving_serial.ron", "--set", 'start="2016-03-09 17:30"']
    devices = subprocess.Popen(serves, stdout=subprocess.PIPE, text=True)
    try:
        path = None
        for line in devices.stdout:
            path = line.split()[1] if line.startswith("commerce/pcc") else path
            if line.startswith("in real time"):
                break
        client = ModbusSerialClient(path, framer=FramerType.RTU, baudrate=BAUD, parity="N", timeout=5)
        assert client.connect(), path
        meter = client.read_input_registers(52, count=2, device_id=1)
        assert not meter.isError(), meter
        drawn = client.convert_from_registers(meter.registers, client.DATATYPE.FLOAT32)
        words = client.convert_to_registers(60_000, client.DATATYPE.INT32)
        written = client.write_registers(SET_POINT, words, device_id=3)
        assert not written.isError(), written
        held = client.read_holding_registers(SET_POINT, count=2, device_id=3)
        assert held.registers == words, held
        refused = client.read_holding_registers(99, count=2, device_id=3)
        assert refused.isError() and refused.exception_code == 2, refused
        client.close()
        print(f"    pymodbus over RTU: our meter shows {drawn / 1e3:.1f} kW, our battery holds its set-point")
    finally:
        devices.kill()
        devices.wait()


def line():
    """A line of two ports that are joined: their paths."""
    ends = [os.openpty() for _ in range(2)]
    for _, port in ends:
        tty.setraw(port)
    joined = [end for end, _ in ends]

    def pass_on():
        while True:
            for end in select.select(joined, [], [])[0]:
                os.write(joined[1 - joined.index(end)], os.read(end, 1024))

    threading.Thread(target=pass_on, daemon=True).start()
    return [os.ttyname(port) for _, port in ends]


def block(address, words):
    return [SimData(address, values=words, datatype=DataType.REGISTERS)]


async def server_of_our_master(emsd, folder):
    """r-emsd polls pymodbus' meter and writes to its battery."""
    theirs, ours = line()
    words = list(struct.unpack(">2H", struct.pack(">f", DRAWN_W)))
    battery = block(100, [0, 0, 500, 25_000, 25_000]) + block(SET_POINT, [0, 0])
    devices = [SimDevice(1, block(52, words)), SimDevice(3, battery)]
    set_point = asyncio.get_running_loop().create_future()

    def told(is_sent, pdu):
        if not is_sent and pdu.function_code == 16 and not set_point.done():
            power = struct.unpack(">i", struct.pack(">2H", *pdu.registers))[0]
            if power >= DRAWN_W - LIMIT_W:
                set_point.set_result((pdu.dev_id, pdu.address, power))
        return pdu

    settings = {"port": theirs, "framer": FramerType.RTU, "baudrate": BAUD, "parity": "N", "stopbits": 2}
    server = ModbusSerialServer(devices, trace_pdu=told, **settings)
    await server.serve_forever(background=True)
    site = folder / "site.ron"
    text = pathlib.Path(SITE).read_text()
    site.write_text(re.sub(r"/dev/ttyUSB0\", baud: 9600", f'{ours}", baud: {BAUD}, parity: None', text))
    runs = [emsd, "--mode", "production", str(site), "--state", str(folder / "state"), "--socket", str(folder / "socket")]
    daemon = subprocess.Popen(runs, stderr=(folder / "said").open("w"))
    try:
        unit, address, power = await asyncio.wait_for(set_point, PATIENCE_S)
        assert (unit, address) == (3, SET_POINT), (unit, address)
        print(f"    pymodbus over RTU: its battery is told to give {power / 1e3:.1f} kW by r-emsd")
    finally:
        daemon.terminate()
        ended = daemon.wait(PATIENCE_S)
        await server.shutdown()
    assert ended == 0, (folder / "said").read_text()


def main():
    emsctl, emsd, folder = sys.argv[1:]
    # Who ends a line says what passed on it last.
    pymodbus_apply_logging_config("CRITICAL")
    client_of_our_devices(emsctl)
    asyncio.run(server_of_our_master(emsd, pathlib.Path(folder)))


main()
