"""One fault, tried once: broken, healed, and what the device saw of it."""

import time
from dataclasses import dataclass, field

from site_of_three import now
from writes import foreign, longest_gap, older_after_newer, turns

# What a machine that is busy with other things may add to a take-over.
SLACK_S = 0.25
# Writes are looked at from so long before a fault, and so long after all fare well again.
BEFORE_S, AFTER_S = 0.3, 0.5
# Who wrote is asked from so long after a fault on: until then the active may not know.
STILL_S = 0.3


@dataclass
class Outcome:
    """What became of one trial."""

    fault: str
    before: str
    after: str = "nobody"
    # Whether anything was broken: where nobody fared well before, there is no gap to speak of.
    was_tried: bool = True
    gap_s: float = 0.0
    turns: list = field(default_factory=list)
    # What is wrong in any case, and what is wrong if no host stood still.
    problems: list = field(default_factory=list)
    if_none_stood_still: list = field(default_factory=list)
    # Which host the fault itself stalled.
    stalled: str | None = None
    # On the wall clock, which is that of the logs.
    began_unix_ns: int = field(default_factory=time.time_ns)
    ended_unix_ns: int = 0

    @property
    def is_well(self):
        """Whether nothing is wrong."""
        return not self.problems and not self.if_none_stood_still

    @property
    def said(self):
        """All that is wrong, in words."""
        return "; ".join(self.problems + self.if_none_stood_still) or "ok"


def order_of(writes):
    """What is wrong with the order of epochs."""
    late = [
        f"{write.host} {write.epoch_text} was accepted {late * 1e3:.0f} ms after a newer epoch"
        for write, late in older_after_newer(writes)
    ]
    return late + [f"{write.host} wrote under the epoch {write.epoch_text}" for write in foreign(writes)]


def writer_of(fault, writes, active, standby):
    """What is wrong with who wrote while it was broken."""
    wrote = {write.host for write in writes}
    must = {"other": {standby}, "same": {active}, "nobody": set(), "any": wrote}[fault.writes]
    named = [" and ".join(sorted(hosts)) or "nobody" for hosts in (wrote, must)]
    return [] if wrote == must else [f"{named[0]} wrote, not {named[1]}"]


def try_once(site, fault, bound):
    """Breaks something, and heals it. Nothing that the site does wrong ends the test."""
    began = time.time_ns()
    try:
        active, standby = site.settle()
    except RuntimeError as error:
        untried = {"was_tried": False, "problems": [str(error)]}
        return Outcome(fault.name, "nobody", began_unix_ns=began, ended_unix_ns=time.time_ns(), **untried)
    outcome = Outcome(fault.name, active, stalled=active if fault.stalls_active else None)
    time.sleep(BEFORE_S)
    broken = begun = now()
    try:
        heals = fault.breaks(site, active, standby)
        begun = now()
        time.sleep(fault.lasts)
        healed = now()
        heals()
    except RuntimeError as error:
        healed = now()
        outcome.problems.append(str(error))
    try:
        site.settle()
    except RuntimeError as error:
        outcome.problems.append(f"healed, but {error}")
    time.sleep(AFTER_S)
    end = now()
    writes = site.record.between(broken - BEFORE_S, end)
    if writes:
        outcome.after, outcome.gap_s, outcome.turns = writes[-1].host, longest_gap(writes, end), turns(writes)
    meanwhile = [write for write in writes if begun + STILL_S < write.at <= healed]
    outcome.problems += order_of(writes)
    wrong = writer_of(fault, meanwhile, active, standby)
    if fault.writes in ("other", "same"):
        if outcome.gap_s > bound + SLACK_S:
            wrong.append(f"no write for longer than {(bound + SLACK_S) * 1e3:.0f} ms")
        outcome.if_none_stood_still += wrong
    else:
        outcome.problems += wrong
    outcome.ended_unix_ns = time.time_ns()
    return outcome
