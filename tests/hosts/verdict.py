"""What is the site's fault, and what is that of a machine on which a host stood still: the journals tell the two apart.

A host that stands still for longer than `r-emsctl check` says loses its authority, and whoever gets it is right to take it. A
scan is late by at least as long as its host stood still, less the 10 ms to the next one. What a fault stands still itself does
not count, and nothing excuses a write of an older epoch or one that nobody may make. Where more than a tenth of all trials is
not judged for that, they tell too little of the site, and it is not well.
"""

import re

# The share of all trials that may go without a judgment.
NOT_JUDGED_MAX = 0.1
SECONDS = {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
LATE = re.compile(r"scans_missed: [\d,]+, (.*) late")


def seconds(words):
    """What a span like `40 ms 596 us 816 ns` is, in seconds."""
    parts = words.split()
    return sum(int(count) * SECONDS[unit] for count, unit in zip(parts[::2], parts[1::2]))


def during(outcome, events):
    """What happened during a trial."""
    return [event for event in events if outcome.began_unix_ns <= event["at_unix_ns"] <= outcome.ended_unix_ns]


def stood_still(outcome, events, longest_s):
    """Who stood still during a trial for longer than that, and for how many seconds at least, but for whom the fault stalled."""
    found = {}
    for event in during(outcome, events):
        host, late = event["controller"].split("/")[1], LATE.match(event["message"])
        if late and host != outcome.stalled and seconds(late[1]) > longest_s:
            found[host] = max(found.get(host, 0), seconds(late[1]))
    return found


def judge(outcomes, events, longest_s):
    """Tells what happened in each trial that failed, and why it may not count; returns whether every fault and all but a few
    trials were judged, and all was well."""
    failed = [outcome for outcome in outcomes if not outcome.is_well]
    faulty, spoiled = [], []
    for outcome in failed:
        print(f"\n{outcome.fault}: {outcome.said}")
        for event in during(outcome, events):
            print(f"  {event['at']}  {event['controller']:<12} {event['message']}")
        still = {} if outcome.problems else stood_still(outcome, events, longest_s)
        for host, lasted in still.items():
            print(
                f"  not judged: host {host} stood still for {lasted * 1e3:.1f} ms or longer, and authority lasts through "
                f"{longest_s * 1e3:.1f} ms"
            )
        (spoiled if still else faulty).append(outcome)
    judged = {outcome.fault for outcome in outcomes if outcome not in spoiled}
    never = sorted({outcome.fault for outcome in spoiled} - judged)
    if never:
        print(f"\nnot judged at all, so run it again on a machine that stands still less: {', '.join(never)}")
    are_few = len(spoiled) <= len(outcomes) * NOT_JUDGED_MAX
    if not are_few:
        print(
            f"\n{len(spoiled)} of {len(outcomes)} trials were not judged, and no more than {NOT_JUDGED_MAX:.0%} may be: "
            "run it again on a machine that stands still less"
        )
    return not faulty and not never and are_few
