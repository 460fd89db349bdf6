"""How late r-emsd woke for its scans, as its own log has it to the nanosecond, and how that is printed."""

import bisect
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


def records(log):
    """What a log holds."""
    shown = subprocess.run([PROGRAMS / "r-emsctl", "show", log, "--format", "json"], capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in shown.splitlines()]


def instants(records, kind):
    """When the records of a kind were delivered, in ns."""
    return [record["at_ns"] for record in records if record["kind"] == kind]


def late(wakes, boot, period_ns, since, until):
    """The lateness in us of each wake that the period asks for from `since` on and before `until`.

    They are planned from the boot on, one each period, and what comes first then or later is that wake, whatever else it is for.
    Where it comes a period late or more, it is that of several: all but the last are missed, and each is as late as it is.
    """
    found, place = [], 0
    first = boot - (boot - since) // period_ns * period_ns
    for planned in range(first, until, period_ns):
        place = bisect.bisect_left(wakes, planned, place)
        if place == len(wakes):
            break
        found.append((wakes[place] - planned) / 1e3)
    return found


def line(what, late, period_ns):
    """Prints how late they were and how many were missed; gives what 99 % were not later than, in us."""
    late = sorted(late)
    at = lambda share: late[min(len(late) - 1, int(len(late) * share))]
    missed = len(late) - bisect.bisect_left(late, period_ns / 1e3)
    print(
        f"{what:32} {len(late):6} wakes, {missed} missed  p50 {at(0.5):7.1f}  p99 {at(0.99):7.1f}"
        f"  p99.9 {at(0.999):7.1f}  longest {late[-1]:8.1f} us",
        flush=True,
    )
    return at(0.99)
