"""Relays frames between two TAP devices and holds each for so many milliseconds: relay.py DEVICE DEVICE MILLISECONDS.

The kernel of a test machine need not have netem; /dev/net/tun it has.
"""

import fcntl
import os
import select
import struct
import sys
import time
from collections import deque

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FRAME_MAX = 65_536
# What a link with so much under way would drop too.
HELD_MAX = 10_000
# A cable waits for no processor.
PRIORITY = 30


def tap(name):
    """Makes a TAP device, which ends with this process."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return descriptor


def take(descriptor, to, due, held):
    """Takes all that has come."""
    while True:
        try:
            frame = os.read(descriptor, FRAME_MAX)
        except BlockingIOError:
            return
        if len(held) < HELD_MAX:
            held.append((due, to, frame))


def leave(held):
    """Lets everything leave that is due; returns how long nothing is, in seconds."""
    while held:
        wait = held[0][0] - time.monotonic()
        if wait > 0:
            return wait
        _, to, frame = held.popleft()
        try:
            os.write(to, frame)
        except OSError:
            pass  # The device is down, or full: a frame is lost, as on any link.
    return None


def main():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    one, other = tap(sys.argv[1]), tap(sys.argv[2])
    delay = float(sys.argv[3]) / 1e3
    # All are held equally long, so that what came first is due first.
    held = deque()
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([one, other], [], [], leave(held))
        for descriptor in ready:
            take(descriptor, other if descriptor == one else one, time.monotonic() + delay, held)


if __name__ == "__main__":
    main()
