"""Replays what the hosts have kept: every segment of every journal, bit for bit."""

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
