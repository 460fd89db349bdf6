"""The shop that is measured: one of the shipped sites, scanned every 10 ms, whose devices answer well within that.

Its load never rests, so that nearly every scan writes a set-point: the plant is that of tests/hosts. The devices stand for other
computers: they run at a real-time priority below that of r-emsd, so that no load takes the processor from them.
"""

import contextlib
import json
import shutil
import socket
import subprocess

from wakes import PROGRAMS, ROOT

PERIOD_NS = 10_000_000
# What an authority, its devices and its functions take to begin with.
SETTLES_S = 8
# A wake is served and its answers are there within 2 ms; a value may be as old as in tests/hosts/site.ron.
CHANGES = [
    ("positive: ", 'latency: "2 ms", timeout: "60 ms", positive: '),
    ('rating: "400 kW"', 'rating: "400 kW", max_age: "100 ms"'),
    ('rating: "250 kW"', 'rating: "250 kW", max_age: "100 ms", dead_band: "1 W"'),
]
# The function codes of answers to writes, in hexadecimal, and where they stand in a frame.
WRITES, CODE = ("06", "10"), slice(14, 16)
DEVICES = ("pcc", "bess")


def free_ports(count, kind):
    """Ports that nobody has; they are free again at once."""
    sockets = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    for taken in sockets:
        taken.bind(("127.0.0.1", 0))
    return [taken.getsockname()[1] for taken in sockets]


def changed(text, changes):
    for old, new in changes:
        if old not in text:
            raise SystemExit(f"the shipped site does not say {old}")
        text = text.replace(old, new)
    return text


def written(folder, shipped, scan):
    """Writes a shipped site with such a scan, and its plant, into a folder; gives its text."""
    ports = [(f"127.0.0.1:{known}", f"127.0.0.1:{port}") for known, port in zip((15020, 15021), free_ports(2, socket.SOCK_STREAM))]
    scans = [(f'scan: "{scan}"', 'scan: "10 ms"')]
    text = changed((ROOT / "scenarios/sites" / shipped).read_text(), scans + ports + CHANGES)
    (folder / "site.ron").write_text(text)
    shutil.copy(ROOT / "tests/hosts/plant.ron", folder)
    return text


@contextlib.contextmanager
def served(folder):
    """The devices of the site, while this lasts."""
    command = ["chrt", "--fifo", "30", PROGRAMS / "r-emsctl", "device", folder / "plant.ron"]
    devices = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        # It says where each is served as soon as all are.
        if not devices.stdout.readline():
            raise SystemExit("the devices are not served: " + " ".join(map(str, command)))
        yield
    finally:
        devices.kill()
        devices.wait()


def clock(control):
    """What the clock of a daemon shows now, as its log has it, in ns."""
    command = [PROGRAMS / "r-emsctl", "status", "--socket", control, "--format", "json"]
    status = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(json.loads(status)["now_s"] * 1e9)


def controlled(records, since, until):
    """How many set-points the battery took meanwhile; ends all where the site was not controlled."""
    records = [record for record in records if since <= record["at_ns"] < until]
    lost = [record["text"] for record in records if record.get("event") == "function_lost"]
    unusable = [record["text"] for record in records if record.get("event") == "quality_changed"]
    lost += [text for text in unusable if text.removeprefix("quality_changed: ").split(".")[0] in DEVICES]
    taken = sum(record["kind"] == "frame" and record["hex"][CODE] in WRITES for record in records)
    scans = (until - since) // PERIOD_NS
    if lost or taken < scans // 2:
        raise SystemExit(f"the site was not controlled: {taken} set-points taken in {scans} scans\n" + "\n".join(lost))
    return taken
