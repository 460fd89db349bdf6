"""What a grid does over time: functions of seconds, along chords between the samples, as the simulated grid moves."""
import random
from math import pi, sin


def steps(changes, before):
    """From `before` to each value at its time."""

    def course(time):
        value = before
        for at, changed in changes:
            value = changed if time >= at - 1e-6 else value
        return value

    return course


def ramps(corners):
    """Straight from corner to corner, and level behind the last."""

    def course(time):
        for (begin, low), (end, high) in zip(corners, corners[1:]):
            if begin <= time <= end:
                return low + (high - low) * (time - begin) / (end - begin)
        return corners[-1][1]

    return course


def swing(period_s, amplitude, around):
    """A sine that begins after 20 s."""
    return lambda time: around + (amplitude * sin(2 * pi * (time - 20) / period_s) if time > 20 else 0.0)


def walk(seed, deviation, around, low=float("-inf"), high=float("inf")):
    """A walk in steps of 100 ms that is drawn back to where it began, within two ends."""
    draw = random.Random(seed)
    values = [around] * 100
    for _ in range(100_000):
        value = values[-1] + draw.gauss(0, deviation) - 0.01 * (values[-1] - around)
        values.append(min(max(value, low), high))
    return lambda time: values[round(time * 10)]
