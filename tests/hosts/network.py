"""Four hosts on a bridge, each a network namespace, and what breaks between them.

    a 10.77.0.1 ─┐
    b 10.77.0.2 ─┼─ bridge, in the namespace of this process; nftables drops what a fault says
    w 10.77.0.3 ─┤
    d 10.77.0.4 ─┘

Everything is made inside the network and mount namespaces that this process is given, and ends with them.
"""

import subprocess
import sys
from pathlib import Path

ADDRESSES = {"a": "10.77.0.1", "b": "10.77.0.2", "w": "10.77.0.3", "d": "10.77.0.4"}
HOST_OF = {address: host for host, address in ADDRESSES.items()}
# A file system of this test alone: what is recorded here waits for no disk.
IN_MEMORY = Path("/run")
RELAY = Path(__file__).with_name("relay.py")


def run(*command, text=None):
    """Runs a command that must succeed."""
    done = subprocess.run(command, input=text, text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def inside(host, *command):
    """The command that runs another one on a host."""
    return ["ip", "netns", "exec", host, *map(str, command)]


def port(host):
    """The bridge's end of a host's cable."""
    return f"port-{host}"


def lay_out():
    """Makes the bridge and the hosts."""
    run("mount", "-t", "tmpfs", "tmpfs", str(IN_MEMORY))
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "bridge", "type", "bridge")
    run("ip", "link", "set", "bridge", "up")
    for host, address in ADDRESSES.items():
        run("ip", "netns", "add", host)
        run("ip", "link", "add", port(host), "type", "veth", "peer", "name", "eth0", "netns", host)
        run("ip", "link", "set", port(host), "master", "bridge", "up")
        run("ip", "-n", host, "address", "add", f"{address}/24", "dev", "eth0")
        run("ip", "-n", host, "link", "set", "eth0", "up")
        run("ip", "-n", host, "link", "set", "lo", "up")
        # As r-emsd advises: a write that waits for the address of its device must not outlast its connection.
        run(*inside(host, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/neigh/eth0/unres_qlen_bytes"))
    run("nft", "-f", "-", text="""
        table bridge faults {
            chain forward { type filter hook forward priority 0; policy accept; }
        }
    """)


def unplug(host):
    """Takes a host's cable out, which it notices; returns what puts it in again."""
    run("ip", "link", "set", port(host), "down")
    return lambda: run("ip", "link", "set", port(host), "up")


def drop(*paths, which=""):
    """Drops frames from one host to another: all of them, or which nftables is told."""
    rules = [f"add rule bridge faults forward iifname {port(a)} oifname {port(b)} {which} drop\n" for a, b in paths]
    run("nft", "-f", "-", text="".join(rules))


def heal():
    """Drops nothing any more."""
    run("nft", "flush", "chain", "bridge", "faults", "forward")


def both_ways(host, *others):
    """The paths from a host to others, and back."""
    return [path for other in others for path in ((host, other), (other, host))]


class Delay:
    """Holds every frame from and to a host for so many milliseconds: a relay between two TAP devices stands in its way."""

    def __init__(self, host, milliseconds):
        self.host = host
        run("ip", "link", "add", "detour", "type", "bridge")
        run("ip", "link", "set", "detour", "up")
        command = [sys.executable, str(RELAY), "near", "far", str(milliseconds)]
        self.relay = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        if self.relay.stdout.readline() != "ready\n":
            raise RuntimeError("the relay that delays did not begin: it needs /dev/net/tun")
        run("ip", "link", "set", "near", "master", "detour", "up")
        run("ip", "link", "set", "far", "master", "bridge", "up")
        run("ip", "link", "set", port(host), "master", "detour")

    def end(self):
        """Joins the host to the others again."""
        run("ip", "link", "set", port(self.host), "master", "bridge")
        self.relay.terminate()
        self.relay.wait()
        self.relay.stdout.close()
        run("ip", "link", "delete", "detour")
