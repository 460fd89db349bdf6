"""What is broken in turn, how it is healed, and who must write meanwhile.

Each fault is a function of the site, the active host and the standby's; it breaks something and returns what heals it.
"""

import time
from dataclasses import dataclass
from typing import Callable

from network import Delay, both_ways, drop, heal, unplug
from site_of_three import GRID


@dataclass(frozen=True)
class Fault:
    name: str
    what: str
    breaks: Callable
    # Who writes at its end: "other", "same", "nobody", or "any" where chance decides.
    writes: str
    # How long it lasts, in seconds.
    lasts: float = 1.5
    # Whether the active stands still by it.
    stalls_active: bool = False


def switchover(is_named):
    def breaks(site, active, standby):
        to = ["--to", standby] if is_named else []
        site.daemons[active].ask("switchover", GRID, *to)
        return lambda: None

    return breaks


def kill(*whom):
    def breaks(site, active, standby):
        hosts = [{"active": active, "standby": standby}.get(role, role) for role in whom]
        for host in hosts:
            site.daemons[host].kill()
        return lambda: [site.daemons[host].start() for host in hosts]

    return breaks


def stop(site, active, _standby):
    code = site.daemons[active].stop()
    if code != 0:
        raise RuntimeError(f"{active} ended with {code} on SIGTERM, not 0")
    return site.daemons[active].start


def stall(site, active, _standby):
    site.daemons[active].stall()
    return site.daemons[active].go_on


def cut(paths, which=""):
    """Paths are those of the active x, the standby y, the witness w and the devices d."""

    def breaks(_site, active, standby):
        host = {"x": active, "y": standby, "w": "w", "d": "d"}
        drop(*((host[a], host[b]) for a, b in paths), which=which)
        return heal

    return breaks


def cut_mid_write(_site, active, standby):
    """The next set-point is lost, so that TCP owes it to the device, and then everything is."""
    drop((active, "d"), which=SET_POINT)
    time.sleep(A_SCAN_AND_A_HALF_S)
    drop(*both_ways(active, standby, "w", "d"))
    return heal


def unplugged(_site, active, _standby):
    return unplug(active)


def stall_mid_write(site, active, standby):
    """The same, and the active cannot take back what it wrote: its kernel has to."""
    go_on = cut_mid_write(site, active, standby)
    site.daemons[active].stall()

    def heals():
        go_on()
        site.daemons[active].go_on()

    return heals


def delay(milliseconds):
    def breaks(_site, active, _standby):
        return Delay(active, milliseconds).end

    return breaks


# Two headers, time stamps and a set-point with its epoch are 77 bytes; what asks for registers is 64.
SET_POINT = "ip length > 70"
A_SCAN_AND_A_HALF_S = 0.015
LOSS = "numgen random mod 100 < 20"
AMONG_HOSTS = both_ways("x", "y", "w") + both_ways("y", "w")

FAULTS = [
    Fault("switchover", "an operator moves authority", switchover(False), "other", 1.0),
    Fault("switchover-to", "an operator moves it, and says to whom", switchover(True), "other", 1.0),
    Fault("kill", "kill -9 of the active", kill("active"), "other", 0.6),
    Fault("kill-standby", "kill -9 of the standby", kill("standby"), "same"),
    Fault("kill-witness", "kill -9 of the witness", kill("w"), "same"),
    Fault("kill-both-others", "kill -9 of standby and witness: no majority", kill("standby", "w"), "nobody"),
    Fault("kill-all", "kill -9 of all three", kill("active", "standby", "w"), "nobody"),
    Fault("stop", "the active ends in order, and is started again", stop, "other"),
    Fault("stall", "the active stands still for 1 s", stall, "other", 1.0, True),
    Fault("cut", "the active's cable is cut", cut(both_ways("x", "y", "w", "d")), "other"),
    Fault("unplugged", "the same, and the active notices", unplugged, "other"),
    Fault("cut-mid-write", "the same while a set-point is under way", cut_mid_write, "other", 1.0),
    Fault("stall-mid-write", "the same, and the active stands still", stall_mid_write, "other", 1.0, True),
    Fault("cut-from-hosts", "the active reaches the devices and no host", cut(both_ways("x", "y", "w")), "other"),
    Fault("cut-from-devices", "the active reaches the hosts and no device", cut(both_ways("x", "d")), "other", 3.0),
    Fault("mute", "no host hears the active", cut([("x", "y"), ("x", "w")]), "other"),
    Fault("deaf", "the active hears no host", cut([("y", "x"), ("w", "x")]), "other"),
    Fault("active-to-standby", "the standby does not hear the active", cut([("x", "y")]), "same"),
    Fault("standby-to-active", "the active does not hear the standby", cut([("y", "x")]), "same"),
    Fault("loss", "the hosts lose 20 of 100 messages", cut(AMONG_HOSTS, LOSS), "any", 5.0),
    Fault("loss-to-devices", "the active and the devices lose 20 of 100", cut(both_ways("x", "d"), LOSS), "any", 5.0),
    Fault("delay", "5 ms to and from the active, which is near what its lease bears", delay(5), "any", 3.0),
    Fault("long-delay", "60 ms to and from the active", delay(60), "other", 3.0),
]
