"""How late r-emsd woke, as its own log has it to the nanosecond, and how that is printed."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


def instants(log, kind):
    """When the records of a kind were delivered, in ns."""
    command = [PROGRAMS / "r-emsctl", "show", log, "--kind", kind, "--format", "json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line)["at_ns"] for line in shown.splitlines()]


def late(wakes, boot, period_ns):
    """The lateness of each wake that the period asked for, in µs.

    They are planned from the boot on, one each period; whatever else the controller wakes for comes later in the period.
    """
    planned = {}
    for at in wakes:
        place, after = divmod(at - boot, period_ns)
        if after < period_ns // 2:
            planned.setdefault(place, after / 1e3)
    return list(planned.values())


def line(what, late):
    """Prints how late they were; gives what 99 % were not later than, in µs."""
    late = sorted(late)
    at = lambda share: late[min(len(late) - 1, int(len(late) * share))]
    print(f"{what:30} {len(late):6} wakes  p50 {at(0.5):7.1f}  p99 {at(0.99):7.1f}  p99.9 {at(0.999):7.1f}  longest {late[-1]:8.1f} us", flush=True)
    return at(0.99)
