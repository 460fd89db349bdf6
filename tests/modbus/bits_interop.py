"""Coils, discrete inputs and texts with pymodbus; called by .ci/interop.

    bits_interop.py R_EMSCTL

pymodbus' client reads what the battery of `r-emsctl device scenarios/battery_bits.ron` says by bits and by texts, and commands it
by a set-point, a coil that brings it into force, and another that hears heartbeats.
"""
import subprocess
import sys
import time

from pymodbus.client import ModbusTcpClient

PATIENCE_S = 30


def done(answer):
    assert not answer.isError(), answer
    return answer


def main():
    serves = [sys.argv[1], "device", "scenarios/battery_bits.ron", "--ports", "0"]
    devices = subprocess.Popen(serves, stdout=subprocess.PIPE, text=True)
    try:
        address = None
        for line in devices.stdout:
            address = line.split()[1] if line.startswith("commerce/bess") else address
            if line.startswith("in real time"):
                break
        host, port = address.split(":")
        battery = ModbusTcpClient(host, port=int(port), timeout=5)
        assert battery.connect(), address
        inputs = done(battery.read_discrete_inputs(0, count=3, device_id=1)).bits
        assert inputs[:3] == [True, False, True], inputs
        serial = done(battery.read_input_registers(108, count=8, device_id=1)).registers
        assert battery.convert_from_registers(serial, battery.DATATYPE.STRING) == "BX-0417", serial
        done(battery.write_registers(0, battery.convert_to_registers(40_000, battery.DATATYPE.INT32), device_id=1))
        done(battery.write_coil(0, True, device_id=1))
        until, beats = time.monotonic() + PATIENCE_S, 0
        while True:
            beats += 1
            done(battery.write_coil(1, beats % 2 == 1, device_id=1))
            coils = done(battery.read_coils(0, count=2, device_id=1)).bits
            assert coils[:2] == [True, beats % 2 == 1], coils
            words = done(battery.read_input_registers(0, count=2, device_id=1)).registers
            power = battery.convert_from_registers(words, battery.DATATYPE.INT32)
            if power > 39_000:
                break
            assert time.monotonic() < until, f"the battery does not follow: {power} W"
            time.sleep(0.05)
        done(battery.write_coil(0, False, device_id=1))
        assert done(battery.read_coils(0, count=1, device_id=1)).bits[0] is False
        refused = battery.write_coils(0, [True, True], device_id=1)
        assert refused.isError() and refused.exception_code == 2, refused
        refused = battery.read_discrete_inputs(2, count=2, device_id=1)
        assert refused.isError() and refused.exception_code == 2, refused
        battery.close()
        print(f"    pymodbus by coils: the battery is BX-0417, its contactor is closed, and it gives {power / 1e3:.1f} kW")
    finally:
        devices.kill()
        devices.wait()


main()
