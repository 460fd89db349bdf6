"""An account of a run kept by somebody else: peak, shaved energy, cycles and losses from the table of the plant's truth alone.

    python3 tests/oracle/account.py target/release/r-emsctl

Runs `peak_shaving.ron` and `year.ron`, integrates the powers of the table by the rectangle rule between its rows, and compares
with the summary that the run prints. Nothing of R-EMS's own integrals is used: neither its energies nor its windows.

Tolerances: a row shows the plant as it stood at its instant, before what happens then; so its powers stand for the time since the
row before. A battery follows a step of the load some seconds later, and what is integrated is off by up to one row then; stored
energy is a state and has no such error.
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"

# Scenario, the time between two rows in s, the limit in W, the capacity in Wh, the share by which numbers may differ.
RUNS = [
    ("peak_shaving.ron", 1, 220e3, 500e3, 0.002),
    ("year.ron", 60, 250e3, 500e3, 0.02),
]
# Means of a quarter of an hour may differ by this share: a battery answers each of its steps once.
PEAK_SHARE = 0.01
WINDOW_S = 900


def run(program, scenario, step_s):
    """Runs a scenario; gives its summary and the rows of its table as dictionaries of numbers."""
    with tempfile.TemporaryDirectory() as directory:
        table = Path(directory) / "truth.csv"
        command = [program, "run", str(SCENARIOS / scenario), "--format", "json", "--csv", str(table), "--csv-step", f"{step_s} s"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr}")
        with table.open(newline="") as lines:
            rows = csv.reader(lines)
            heading = next(rows)
            wanted = {
                name: heading.index(f"commerce/{name}")
                for name in ("load.p_w", "pv.p_w", "bess.p_w", "bess.stored_wh", "pcc.p_w")
                if f"commerce/{name}" in heading
            }
            values = [{name: float(row[place]) for name, place in wanted.items()} for row in rows]
    return json.loads(done.stdout), values


def account(rows, step_s, limit_w, capacity_wh):
    """What one grid went through, from rows that are `step_s` apart."""
    hours = step_s / 3600
    baseline = [-row["load.p_w"] - row.get("pv.p_w", 0.0) for row in rows]
    grid = [row["pcc.p_w"] for row in rows]
    battery = [row["bess.p_w"] for row in rows[1:]]

    def above(powers, level):
        return sum(max(0.0, power - level) for power in powers[1:]) * hours

    def peak(powers):
        per_window = WINDOW_S // step_s
        imports = [max(0.0, power) for power in powers[1:]]
        windows = range(0, len(imports) - per_window + 1, per_window)
        return max(sum(imports[first : first + per_window]) / per_window for first in windows)

    discharged = sum(power for power in battery if power > 0) * hours
    charged = -sum(power for power in battery if power < 0) * hours
    stored = rows[-1]["bess.stored_wh"] - rows[0]["bess.stored_wh"]
    return {
        "balance": max(abs(row["pcc.p_w"] + row["load.p_w"] + row.get("pv.p_w", 0.0) + row["bess.p_w"]) for row in rows),
        "peak": peak(grid),
        "peak without battery": peak(baseline),
        "shaved": above(baseline, limit_w) - above(grid, limit_w),
        "discharged": discharged,
        "cycles": discharged / capacity_wh,
        "losses": charged - discharged - stored,
    }


def summary_of(summary):
    """The same numbers as the run's summary has them."""
    grid = summary["grids"][0]
    energy = grid["energy_wh"]
    return {
        "peak": grid["peak"]["mean_w"],
        "peak without battery": grid["peak_without_batteries"]["mean_w"],
        "shaved": grid["shaved_wh"],
        "discharged": energy["discharge"],
        "cycles": grid["batteries"][0]["cycles"],
        "losses": energy["conversion_loss"] + energy["standby_loss"],
    }


def main():
    program = sys.argv[1]
    failed = False
    for scenario, step_s, limit_w, capacity_wh, share in RUNS:
        summary, rows = run(program, scenario, step_s)
        found, said = account(rows, step_s, limit_w, capacity_wh), summary_of(summary)
        print(f"{scenario}, {len(rows):,} rows of {step_s} s, powers balance to {found['balance']:.1e} W")
        failed |= found["balance"] > 1e-3
        for name, value in said.items():
            allowed = PEAK_SHARE if name.startswith("peak") else share
            differs = abs(found[name] / value - 1)
            failed |= not differs <= allowed
            verdict = "ok" if differs <= allowed else "DIFFERS"
            print(f"  {name:22} {found[name]:16,.2f} {value:16,.2f}   {differs:8.5%} of {allowed:.1%}   {verdict}")
    if failed:
        sys.exit("the account differs from the summary")


main()
