"""What devices accepted, and what must be true of it.

Nothing here asks a controller: the recorder in front of the devices saw each write acknowledged, with the host that sent it and
the epoch that came beside the set-point.
"""

import json
import math
from dataclasses import dataclass

from network import HOST_OF

# The epoch is the first four registers of the request; its last byte is the seat.
EPOCH_REGISTERS = 4
SEAT_BITS = 8
HOST_OF_SEAT = {0: "a", 1: "b"}


@dataclass(frozen=True)
class Write:
    """One accepted write; times are seconds of CLOCK_BOOTTIME."""

    at: float
    asked: float
    host: str
    epoch: int

    @property
    def epoch_text(self):
        """As reports and logs spell it: round and seat."""
        return f"{self.epoch >> SEAT_BITS}.{self.epoch & (1 << SEAT_BITS) - 1}"


def of_line(line):
    """Reads a line of the record; `None`: it is none of a write."""
    record = json.loads(line)
    if "values" not in record:
        return None
    epoch = 0
    for register in record["values"][:EPOCH_REGISTERS]:
        epoch = epoch << 16 | register
    return Write(record["at"], record["asked"], HOST_OF.get(record["from"], record["from"]), epoch)


class Record:
    """The recorder's file, which grows."""

    def __init__(self, path):
        self.file = open(path, encoding="utf-8")
        self.writes, self.rest = [], ""

    def read(self):
        """All writes so far."""
        lines = (self.rest + self.file.read()).split("\n")
        self.rest = lines.pop()
        self.writes += filter(None, map(of_line, lines))
        return self.writes

    def close(self):
        self.file.close()

    def between(self, begin, end):
        """The writes acknowledged in a window, and the last one before it."""
        writes = self.read()
        before = [write for write in writes if write.at < begin][-1:]
        return before + [write for write in writes if begin <= write.at <= end]


def longest_gap(writes, end):
    """The longest time without an accepted write, in seconds."""
    times = [write.at for write in writes] + [end]
    return max(later - earlier for earlier, later in zip(times, times[1:]))


def rank(values, share):
    """The value that such a share of all does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def older_after_newer(writes):
    """Writes of an epoch below one that was accepted before, each with how long that one had been in force, in seconds."""
    found, newest, since = [], 0, 0.0
    for write in writes:
        if write.epoch > newest:
            newest, since = write.epoch, write.at
        elif write.epoch < newest:
            found.append((write, write.at - since))
    return found


def foreign(writes):
    """Writes under an epoch that is not the sender's own."""
    seat = (1 << SEAT_BITS) - 1
    return [write for write in writes if HOST_OF_SEAT.get(write.epoch & seat) != write.host]


def turns(writes):
    """Who wrote, one after the other: `a 1.0`, `b 2.1`."""
    found = []
    for write in writes:
        turn = f"{write.host} {write.epoch_text}"
        if not found or found[-1] != turn:
            found.append(turn)
    return found
