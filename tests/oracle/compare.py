"""Runs each case of each curve twice, ours and OpenDER's, and compares; called by `run`.

    compare.py R_EMSCTL FOLDER

A curve is a module with

    NAME, BOUND     what it is called, and the largest difference that its documentation defends, in units of the rating
    cases()         its cases, each with a `name`, a `seconds` and an `input(t)`: what the grid does
    files(case)     the site and the scenario as texts; the grid's course is the column `value` of the profile `course`
    column(case)    where ours stands in the table of the run, and how much of it is 1
    reference(case, samples)   what OpenDER makes of what is sampled, one value for each
"""
import csv
import subprocess
import sys
from pathlib import Path

import frequency_droop
import volt_var
import volt_watt

CURVES = [frequency_droop, volt_var, volt_watt]

# The scan of all sites here. OpenDER takes one step for each.
SCAN_S = 0.1
# A set-point that is decided in a scan is in the plant, and the table shows it, one row later.
ROWS_LATER = 1
# The first seconds are ours alone: a controller that boots waits until it knows its devices, and holds what it finds.
SETTLING_S = 5.0


def main(emsctl, folder):
    failed = False
    for curve in CURVES:
        print(f"{curve.NAME}: differences in units of the rating, at most {curve.BOUND:g}")
        for case in curve.cases():
            difference, at = compare(curve, case, emsctl, folder)
            is_right = difference <= curve.BOUND
            print(f"  {'ok  ' if is_right else 'FAIL'}  {case.name:<44} {difference:.6f} at {at:.1f} s")
            failed |= not is_right
    return 1 if failed else 0


def compare(curve, case, emsctl, folder):
    """The largest difference, and when it was; both courses are left in both.csv."""
    folder = folder / curve.NAME.replace(" ", "_") / case.name.replace(" ", "_")
    rows = ran(curve, case, emsctl, folder)
    # Links have no latency: what a scan decides on is what the grid is at that instant.
    times = [round(count * SCAN_S, 9) for count in range(1, round(case.seconds / SCAN_S) - ROWS_LATER)]
    theirs = curve.reference(case, [case.input(time) for time in times])
    ours = [rows[round(time / SCAN_S) + ROWS_LATER] for time in times]
    with (folder / "both.csv").open("w") as both:
        both.write("time_s,ours,theirs\n")
        both.writelines(f"{time},{own:.9f},{other:.9f}\n" for time, own, other in zip(times, ours, theirs))
    counted = [(abs(own - other), time) for time, own, other in zip(times, ours, theirs) if time >= SETTLING_S]
    return max(counted)


def ran(curve, case, emsctl, folder):
    """What ours makes of it: one value for each row of the run's table."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = round(case.seconds / SCAN_S) + 10
    course = "".join(f"{round(row * SCAN_S, 9)},{case.input(row * SCAN_S)!r}\n" for row in range(rows))
    (folder / "course.csv").write_text("time_s,value\n" + course)
    site, scenario = curve.files(case)
    (folder / "site.ron").write_text(site)
    (folder / "scenario.ron").write_text(scenario)
    table = folder / "run.csv"
    table.unlink(missing_ok=True)
    command = [emsctl, "run", str(folder / "scenario.ron"), "--csv", str(table), "--csv-step", f"{SCAN_S * 1e3:g} ms"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    column, unit = curve.column(case)
    with table.open() as opened:
        return [float(row[column]) / unit for row in csv.DictReader(opened)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
