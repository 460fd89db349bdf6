"""The same kill -9 with keepalived: VRRPv3 at its shortest interval moves an address between the same hosts, a and b.

The service dies together with keepalived, as a controller with its lease. It is a fair race but for one thing: keepalived only
sees to it that somebody has the address. Whether the other one still writes, and who is right when both do, it does not ask.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from network import IN_MEMORY, inside, run
from site_of_three import now, wait_until

VIP, PORT = "10.77.0.100", 1502
HERE = Path(__file__).parent
# The priority of r-emsd's loop. nopreempt: whoever has the address keeps it, as r-emsd does.
CONFIGURATION = """
global_defs {
    vrrp_version 3
    vrrp_rt_priority 40
}
vrrp_instance site {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority %d
    advert_int 0.01
    nopreempt
    virtual_ipaddress { 10.77.0.100/24 }
}
"""
PRIORITIES = {"a": 100, "b": 99}
STARTS_WITHIN = 10
# A backup listens so long before it is trusted to be one.
LISTENS_S, BROKEN_S, BEFORE_S = 1.0, 0.5, 0.3


class Host:
    """keepalived and the service on one host."""

    def __init__(self, folder, host):
        self.host = host
        self.configuration = folder / f"keepalived-{host}.conf"
        self.configuration.write_text(CONFIGURATION % PRIORITIES[host])
        self.said = open(folder / f"keepalived-{host}.log", "a", encoding="utf-8")
        self.pids = [folder / f"keepalived-{host}.pid", folder / f"vrrp-{host}.pid"]

    def start(self):
        daemon = ["keepalived", "--vrrp", "--dont-fork", "--log-console", "--use-file", self.configuration]
        daemon += ["--pid", self.pids[0], "--vrrp_pid", self.pids[1]]
        self.daemon = self.begin(self.said, *daemon)
        self.service = self.begin(subprocess.PIPE, sys.executable, HERE / "vip.py", "serve", PORT)
        if self.service.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the service on {self.host} did not begin")

    def begin(self, output, *command):
        return subprocess.Popen(inside(self.host, *command), stdout=output, stderr=self.said)

    def kill(self):
        """Ends both at once: the service, and keepalived with its child that speaks VRRP."""
        child = int(self.pids[1].read_text())
        # A child whose parent is gone would say farewell, and a parent whose child is gone would start another.
        self.daemon.send_signal(signal.SIGSTOP)
        os.kill(child, signal.SIGKILL)
        self.service.kill()
        self.daemon.kill()
        self.service.wait()
        self.service.stdout.close()
        self.daemon.wait()

    def come_back(self):
        """Starts again as a host that was off: without the address."""
        subprocess.run(["ip", "-n", self.host, "address", "delete", f"{VIP}/24", "dev", "eth0"], capture_output=True)
        for pid in self.pids:
            pid.unlink(missing_ok=True)
        self.start()

    def has_address(self):
        return bool(re.search(rf"inet {re.escape(VIP)}/", run("ip", "-n", self.host, "address", "show", "dev", "eth0")))


def gaps(folder, count):
    """The longest times without an acknowledged write, in seconds, of so many kills."""
    hosts = {host: Host(folder, host) for host in PRIORITIES}
    for host in hosts.values():
        host.start()
    wait_until(lambda: any(host.has_address() for host in hosts.values()), "keepalived takes the address", STARTS_WITHIN)
    record = IN_MEMORY / "keepalived-record"
    client = subprocess.Popen(inside("d", sys.executable, HERE / "vip.py", "write", VIP, PORT, record))
    wait_until(lambda: record.exists() and record.read_text(), "the client writes", STARTS_WITHIN)
    found = [gap_of_kill(list(hosts.values()), record) for _ in range(count)]
    client.terminate()
    return found


def gap_of_kill(hosts, record):
    """Kills the master; returns the longest time without an acknowledged write, in seconds."""
    time.sleep(LISTENS_S)
    master, backup = sorted(hosts, key=Host.has_address, reverse=True)
    killed = now()
    master.kill()
    time.sleep(BROKEN_S)
    wait_until(backup.has_address, "the backup takes the address", STARTS_WITHIN)
    # Until here both have it: whoever was killed did not give it back.
    master.come_back()
    times = [float(line) for line in record.read_text().splitlines()]
    times = [at for at in times if at > killed - BEFORE_S]
    return max(later - earlier for earlier, later in zip(times, times[1:]))
