"""Replays what the hosts have kept: every segment of every journal, bit for bit, and then all of it as it is taken home."""

import json
import subprocess


def replay(site, segment):
    """Replays one segment; returns what is wrong with that, or nothing, and how many deliveries it holds."""
    done = subprocess.run([site.bins / "r-emsctl", "replay", segment, "--format", "json"], capture_output=True, text=True)
    if not done.stdout:
        return f"exit {done.returncode}: {done.stderr.strip()}", 0
    found = json.loads(done.stdout)
    if found["divergence"] or found["event_difference"] or found["poisoned"]:
        return f"exit {done.returncode}: {found['divergence'] or found['event_difference'] or found['poisoned']}", 0
    return ("torn" if found["end"] == "torn" else "" if done.returncode == 0 else f"exit {done.returncode}"), found["deliveries"]


def replay_all(site):
    """Replays all; a segment may be torn only if it was the last of a process that was killed. Returns whether all is well."""
    torn_by_us = set((site.folder / "torn").read_text().split()) if (site.folder / "torn").exists() else set()
    segments = sorted(site.folder.glob("state-*/*/*/*.rlog"))
    is_well, total, torn = bool(segments), 0, 0
    for segment in segments:
        problem, deliveries = replay(site, segment)
        total += deliveries
        if problem == "torn" and str(segment) in torn_by_us:
            torn += 1
        elif problem:
            is_well = False
            print(f"{segment.relative_to(site.folder)}: {problem}")
    print(f"\n{len(segments)} segments, {total:,} deliveries replayed, {torn} torn by kill -9: {'ok' if is_well else 'WRONG'}")
    return is_well


def ctl(site, *arguments):
    """What r-emsctl did."""
    return subprocess.run([site.bins / "r-emsctl", *arguments], capture_output=True, text=True)


def hand_over(site):
    """Collects what each host has kept, and replays it all in one time. Returns whether all is well, and all that happened."""
    archives = {host: site.folder / f"{host}.tar.gz" for host in site.daemons}
    for host, daemon in site.daemons.items():
        done = ctl(site, "collect", "--state", daemon.state, "--output", archives[host], "--socket", daemon.socket)
        if done.returncode != 0:
            print(f"{host} cannot be collected: exit {done.returncode}: {done.stderr.strip()}")
            return False, []
    done = ctl(site, "replay", *archives.values(), "--timeline", "--format", "json")
    if not done.stdout:
        print(f"the archives cannot be replayed: exit {done.returncode}: {done.stderr.strip()}")
        return False, []
    found = json.loads(done.stdout)
    sent, lost, unsent = (sum(between[what] for between in found["letters"]) for what in ("sent", "lost", "unsent"))
    within = max((clock["within_s"] for clock in found["clocks"] if clock["within_s"] is not None), default=0)
    # Where all were off, no letter links what was before with what came after.
    tell = {clock["told_by"] for clock in found["clocks"]}
    alone = [place for place, clock in enumerate(found["clocks"]) if clock["told_by"] is None and place not in tell]
    is_well = done.returncode == 0 and not unsent and not alone
    for log in found["logs"]:
        if log["verdict"] not in ("same", "torn"):
            print(f"{log['path']}: {log['verdict']}")
    print(
        f"collected and replayed in one time: {sent:,} letters, {lost:,} of them lost, {unsent} never sent; "
        f"clocks within {within * 1e3:.3f} ms: {'ok' if is_well else 'WRONG'}"
    )
    return is_well, found["events"]
