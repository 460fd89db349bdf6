"""The programs of the test: three daemons on three hosts, and the devices with their recorder on a fourth."""

import json
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from network import IN_MEMORY, inside
from writes import Record

HERE = Path(__file__).parent
FILES = ["site.ron", "plant.ron"]
# What a battery that refuses older epochs says in place of how long a write may be on its way.
EPOCHS = ('longest_write: "50 ms"', "checks_epochs: true")
TIMEOUT = 'timeout: "60 ms"'
GRID = "commerce"
# Where the devices are served, behind the ports that the site file names.
PORTS = {15020: 16020, 15021: 16021}
# The devices, as the recorder, are no part of what is measured.
DEVICE_PRIORITY = 30
# A function that has lost a measurement trusts it again after 10 s, and a device is tried again after 10 s at the most.
LIVES_WITHIN = 40
ENDS_WITHIN = 20


def now():
    """The clock of the recorder."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wait_until(condition, what, seconds):
    """Waits until a condition holds; returns what it gave."""
    end = now() + seconds
    while not (result := condition()):
        if now() > end:
            raise RuntimeError(f"in {seconds} s not: {what}")
        time.sleep(0.05)
    return result


class Daemon:
    """r-emsd on one host."""

    def __init__(self, bins, folder, host, key):
        self.host, self.bins, self.folder = host, bins, folder
        self.state, self.socket = folder / f"state-{host}", folder / f"{host}.sock"
        self.command = inside(
            host, bins / "r-emsd", "--mode", "production", folder / "site.ron", "--host", host, "--key", key,
            "--state", self.state, "--socket", self.socket,
        )
        self.process = None

    def start(self):
        with open(self.folder / f"{self.host}.log", "a", encoding="utf-8") as said:
            self.process = subprocess.Popen(self.command, stdout=said, stderr=said)

    def kill(self):
        """Ends it at once; its last segment of the journal is torn, and remembered as such."""
        self.process.kill()
        self.process.wait()
        segments = sorted(self.state.glob("*/*/*.rlog"))
        if segments:
            with open(self.folder / "torn", "a", encoding="utf-8") as torn:
                torn.write(f"{segments[-1]}\n")

    def stall(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        """Ends it in order; returns its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=ENDS_WITHIN)

    def ask(self, *command):
        """Asks it something; returns what r-emsctl printed."""
        done = subprocess.run(
            [self.bins / "r-emsctl", *command, "--socket", self.socket, "--format", "json"], capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} on {self.host}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def fares(self):
        """How its controller or witness fares, in the words of `status`, and what is not as it should be."""
        try:
            grid = self.ask("status")["grids"][0]
        except RuntimeError as error:
            why = [str(error), f"exit code {self.process.poll()}"]
            return {"role": "gone", "life": "none", "is_ready": False, "reaches_devices": False, "conditions": why}
        return grid["controllers"][0] | {"conditions": [condition["message"] for condition in grid["conditions"]]}


def is_well(fares):
    """Whether a controller could be active at once, and control. That its last write failed hinders no standby."""
    hindrances = [condition for condition in fares["conditions"] if not condition.startswith("write_failed")]
    return fares["is_ready"] and fares["reaches_devices"] and not hindrances


class Site:
    """Everything that runs."""

    def __init__(self, bins, folder, replaced):
        """Each pair of `replaced` is a text of site.ron and what stands in its place."""
        self.bins, self.folder = bins, folder
        for name in FILES:
            text = (HERE / name).read_text()
            for old, new in replaced:
                text = text.replace(old, new)
            (folder / name).write_text(text)
        key = folder / "site.key"
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(32))
        self.daemons = {host: Daemon(bins, folder, host, key) for host in "abw"}

    def start(self):
        """Starts all; returns when one is active and the other stands by."""
        device = ["chrt", "--fifo", DEVICE_PRIORITY, self.bins / "r-emsctl", "device", self.folder / "plant.ron"]
        device += ["--ports", min(PORTS.values())]
        with open(self.folder / "devices.log", "w", encoding="utf-8") as said:
            self.devices = subprocess.Popen(inside("d", *device), stdout=said, stderr=said)
        listens = self.folder / "devices.log"
        wait_until(lambda: "in real time" in listens.read_text(), "the devices are served", LIVES_WITHIN)
        record = IN_MEMORY / "record"
        ports = [f"{port}:{behind}" for port, behind in PORTS.items()]
        self.recorder = subprocess.Popen(inside("d", sys.executable, HERE / "recorder.py", record, *ports))
        wait_until(lambda: record.exists() and record.read_text(), "the recorder listens", LIVES_WITHIN)
        self.record = Record(record)
        for daemon in self.daemons.values():
            daemon.start()
        self.settle()

    def roles(self):
        """The active and its standby, if that is how they fare: one active, the other ready, and the witness votes."""
        fares = {host: daemon.fares() for host, daemon in self.daemons.items()}
        roles = {fares[host]["role"]: host for host in "ab" if is_well(fares[host])}
        if roles.keys() == {"active", "standby"} and fares["w"]["life"] == "voting":
            return roles["active"], roles["standby"]
        self.fared = fares
        return None

    def settle(self):
        """Waits until all fare well."""
        try:
            return wait_until(self.roles, "one is active, the other stands by, the witness votes", LIVES_WITHIN)
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {json.dumps(self.fared)}") from None

    def promised(self):
        """What `check` promises, in seconds: how long a take-over lasts at most, and through which stalls authority lasts."""
        done = subprocess.run(
            [self.bins / "r-emsctl", "check", self.folder / "site.ron", "--format", "json"],
            capture_output=True, text=True, check=True,
        )
        promised = json.loads(done.stdout)["files"][0]["redundancy"][0]
        return promised["take_over_max_s"], promised["stall_max_s"]

    def stop(self):
        """Ends the daemons in order, and then what they spoke with; returns the daemons' exit codes."""
        codes = {host: daemon.stop() for host, daemon in self.daemons.items()}
        for process in (self.recorder, self.devices):
            process.terminate()
            process.wait()
        self.record.close()
        shutil.copy(IN_MEMORY / "record", self.folder)
        return codes
