"""pysunspec2 at simulated inverters and meters, alone and beside a site that runs; called by .ci/interop.

    sunspec_interop.py R_EMSCTL R_EMSD FOLDER

First pysunspec2 scans the devices of `r-emsctl device`, reads what they measure and sets a battery and an inverter. Then `r-emsd` runs a
site on the same kind of devices, pysunspec2 sees what it has set, and its log replays.
"""
import pathlib
import re
import subprocess
import sys
import time

import sunspec2.modbus.client as sunspec

PATIENCE_S = 60
SITE = "scenarios/sites/commerce_sunspec_older.ron"


class Served:
    """The devices of a scenario, by name: address and unit."""

    def __init__(self, emsctl, scenario):
        serves = [emsctl, "device", scenario, "--ports", "0"]
        self.process = subprocess.Popen(serves, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.devices = {}
        for line in self.process.stdout:
            if line.startswith("in real time"):
                break
            found = re.match(r"(\S+/\S+) +(\S+):(\d+) +(\d+)", line)
            if found:
                name, host, port, unit = found.groups()
                self.devices[name] = (host, int(port), int(unit))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def scan(self, name):
        host, port, unit = self.devices[name]
        device = sunspec.SunSpecModbusClientDeviceTCP(slave_id=unit, ipaddr=host, ipport=port, timeout=10)
        device.scan()
        return device


def model(device, number):
    found = device.models[number][0]
    found.read()
    return found


def until(reads, is_so, what):
    ends = time.monotonic() + PATIENCE_S
    while True:
        found = reads()
        if is_so(found):
            return found
        assert time.monotonic() < ends, f"{what}: {found}"
        time.sleep(0.1)


def newer_models(emsctl):
    with Served(emsctl, "scenarios/sunspec.ron") as served:
        battery = served.scan("commerce/bess")
        common = model(battery, 1)
        assert (common.Mn.value, common.Md.value) == ("R-EMS", "simulated device"), common
        charge, capacity = model(battery, 713), model(battery, 702)
        assert 70 < charge.SoC.cvalue <= 80, charge
        assert capacity.WChaRteMax.cvalue == 250_000, capacity
        assert model(battery, 701).A.cvalue is None, "what it does not know is not implemented"
        control = model(battery, 704)
        control.WSet.cvalue, control.WSetRvrtTms.cvalue = -40_000, 60
        control.WSetMod.value, control.WSetEna.value = 1, 1
        beats = 0

        def power():
            nonlocal beats
            beats += 1
            heart = model(battery, 715)
            heart.ControllerHb.value = beats
            heart.write()
            # Its requests, in their order: the value, the time, the switch.
            for first, last in (("WSet", "WSet"), ("WSetRvrtTms", "WSetRvrtTms"), ("WSetEna", "WSetMod")):
                write(control, first, last)
            return model(battery, 701).W.cvalue

        found = until(power, lambda found: found < -39_000, "the battery does not follow")
        meter = model(served.scan("commerce/pcc"), 203)
        print(f"    pysunspec2: the battery is charged with {-found / 1e3:.1f} kW while the meter shows {meter.W.cvalue / 1e3:.1f} kW")


def settings(emsctl):
    """What is set in models that no controller uses, and reactive power by models 704 and 123."""
    with Served(emsctl, "scenarios/volt_var_sunspec.ron") as served:
        battery = served.scan("commerce/bess")
        enters = model(battery, 703)
        assert (enters.ES.value, enters.ESVLo.cvalue, enters.ESHzHi.cvalue) == (1, 91.7, 50.08), enters
        curve = model(battery, 705)
        points = [(point.V.cvalue, point.Var.cvalue) for point in curve.Crv[0].Pt]
        assert (curve.Ena.value, points) == (0, [(92, 44), (98, 0), (102, 0), (108, -44)]), curve
        droop = model(battery, 711)
        assert (droop.Ena.value, droop.Ctl[0].DbOf.cvalue, droop.Ctl[0].KOf.cvalue) == (0, 0.036, 0.05), droop
        control = model(battery, 704)
        control.WSet.cvalue, control.WSetRvrtTms.cvalue, control.WSetMod.value, control.WSetEna.value = 0, 60, 1, 1
        control.VarSet.cvalue, control.VarSetRvrtTms.cvalue = -50_000, 60
        control.VarSetEna.value, control.VarSetMod.value, control.VarSetPri.value = 1, 4, 0
        for first, last in (
            ("WSet", "WSet"), ("WSetRvrtTms", "WSetRvrtTms"), ("WSetEna", "WSetMod"),
            ("VarSet", "VarSet"), ("VarSetRvrtTms", "VarSetRvrtTms"), ("VarSetEna", "VarSetPri"),
        ):
            write(control, first, last)
        found = until(lambda: model(battery, 701).Var.cvalue, lambda found: found < -49_000, "no reactive power")
        volts = model(served.scan("commerce/pcc"), 203).PPV.cvalue
        assert 380 < volts < 440, volts
        print(f"    pysunspec2: the battery absorbs {-found / 1e3:.1f} kvar by model 704, and the meter shows {volts:.1f} V")


def write(group, first, last):
    """Writes some numbers of a model in a row with one request."""
    points = group.points
    names = list(points)
    row = names[names.index(first):names.index(last) + 1]
    data = b"".join(points[name].get_mb() for name in row)
    group.model.device.write(group.model.model_addr + points[first].offset, data)


def beside_a_site(emsctl, emsd, folder):
    with Served(emsctl, "scenarios/sunspec_older.ron") as served:
        site = pathlib.Path(SITE).read_text()
        for declared, name in (("127.0.0.1:15020", "commerce/pcc"), ("127.0.0.1:15021", "commerce/bess")):
            host, port, _unit = served.devices[name]
            site = site.replace(declared, f"{host}:{port}")
        path = folder / "sunspec_site.ron"
        path.write_text(site)
        runs = [emsd, "--mode", "production", path, "--state", folder / "sunspec_state", "--socket", folder / "sunspec.sock"]
        log = (folder / "sunspec.log").open("w")
        daemon = subprocess.Popen(runs, stdout=log, stderr=log)
        try:
            pv = served.scan("commerce/pv")
            limit = until(
                lambda: model(pv, 123),
                lambda found: found.WMaxLim_Ena.value == 1 and 30 < found.WMaxLimPct.cvalue < 60,
                "the inverter is not limited",
            )
            assert limit.WMaxLimPct_RvrtTms.cvalue == 60, limit
            battery = served.scan("commerce/bess")
            rates = until(
                lambda: model(battery, 124),
                lambda found: (found.StorCtl_Mod.value, found.OutWRte.cvalue, found.InWRte.cvalue) == (3, -100, 100),
                "the battery is not set",
            )
            hears = [model(battery, 802).CtrlHb.value]
            until(lambda: model(battery, 802).CtrlHb.value, lambda found: found != hears[0], "it hears no heartbeat")
            fed_in = until(
                lambda: model(served.scan("commerce/pcc"), 213).W.cvalue, lambda found: -55e3 < found < -45e3, "what is fed in"
            )
            print(
                f"    pysunspec2 beside r-emsd: the inverter is limited to {limit.WMaxLimPct.cvalue:.1f} %,"
                f" the battery set to {rates.InWRte.cvalue:.0f} %, {-fed_in / 1e3:.1f} kW are fed in"
            )
        finally:
            daemon.terminate()
            ended = daemon.wait(PATIENCE_S)
        assert ended == 0, (ended, (folder / "sunspec.log").read_text()[-2000:])
        segments = sorted((folder / "sunspec_state" / "commerce" / "a").glob("*.rlog"))
        assert segments, "it keeps no log"
        for segment in segments:
            subprocess.run([emsctl, "replay", segment], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    emsctl, emsd, folder = sys.argv[1:]
    newer_models(emsctl)
    settings(emsctl)
    beside_a_site(emsctl, emsd, pathlib.Path(folder))
