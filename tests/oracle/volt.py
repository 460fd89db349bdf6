"""What volt-var and volt-watt have in common here: an inverter with sun on a stiff grid whose voltage follows a course."""
import logging
from dataclasses import dataclass
from typing import Callable

logging.disable(logging.WARNING)

from opender import DER, DER_PV

from courses import ramps, steps, swing, walk

RATING_W = 250e3
APPARENT_VA = 300e3
# Neither law is asked what happens where a device would trip: IEEE 1547's bounds are 0.88 and 1.1 pu.
LOW, HIGH = 0.90, 1.095
CORNERS = [(0, 1.0), (30, 1.0), (90, 0.91), (130, 0.91), (250, 1.09), (300, 1.09), (330, 1.0), (600, 1.0)]
STEPS = [(20, 0.95), (60, 1.0), (100, 1.07), (130, 1.09), (160, 1.03), (200, 0.91), (250, 1.0)]


@dataclass
class Case:
    name: str
    seconds: float
    input: Callable
    response_s: float


def cases(response_s):
    return [
        Case("steps", 300, steps(STEPS, 1.0), response_s),
        Case("steps answered in a second", 300, steps(STEPS, 1.0), 1.0),
        Case("ramps", 600, ramps(CORNERS), response_s),
        Case("a swing of a period of 20 s", 300, swing(20, 0.06, 1.0), response_s),
        Case("random walk", 1800, walk(11, 0.002, 1.0, LOW, HIGH), response_s),
        Case("random walk at a high voltage", 1800, from_rest(walk(12, 0.001, 1.07, LOW, HIGH)), response_s),
    ]


def from_rest(course):
    """Both begin at the nominal voltage, where neither does anything."""
    return lambda time: course(time) if time > 20 else 1.0


def files(case, law, sun_w):
    site = f"""Site(
    version: 1,
    hosts: {{ "a": () }},
    grids: {{
        "g": (
            scan: "100 ms",
            devices: {{
                "pcc": Meter(link: Points(positive: Import, latency: "0 s"), rating: "1 MW", measures: [v]),
                "pv": Pv(
                    link: Points(latency: "0 s"), rating: "{RATING_W:g} W", apparent: "{APPARENT_VA:g} VA", dead_band: "0 W",
                ),
            }},
            functions: [{law}(meter: "pcc", pv: "pv", response: "{case.response_s:g} s")],
            controllers: {{ "a": (host: "a", order: 0) }},
        ),
    }},
)
"""
    scenario = f"""Scenario(
    version: 1,
    name: "{case.name}",
    site: "site.ron",
    start: "2016-01-01",
    duration: "{case.seconds:g} s",
    profiles: {{
        "course": Csv(file: "course.csv", time: "time_s", epoch: "2016-01-01 UTC", interpolation: Linear),
    }},
    plant: {{
        "g": {{
            "load": Load(rating: "1 MW", source: Constant("80 kW")),
            "pv": Pv(rating: "{RATING_W:g} W", source: Constant("{sun_w:g} W"), lag: "0 s", release: "1 MW/s"),
            "pcc": GridConnection(import_max: "1 MW", voltage: Profile("course", "value")),
        }},
    }},
)
"""
    return site, scenario


def inverter():
    """OpenDER's, that does at once what is wanted of it, and nothing yet."""
    DER.t_s = 0.1
    made = DER_PV(
        NP_P_MAX=RATING_W, NP_VA_MAX=APPARENT_VA, NP_Q_MAX_INJ=0.44 * APPARENT_VA, NP_Q_MAX_ABS=0.44 * APPARENT_VA
    )
    made.der_file.NP_INV_DELAY = 0
    made.der_file.CONST_PF_MODE_ENABLE = made.der_file.QV_MODE_ENABLE = made.der_file.PV_MODE_ENABLE = False
    made.der_file.PF_MODE_ENABLE = False
    return made


def stepped(inverter, voltages, sun_w, output):
    """What it gives, one value for each voltage."""
    for voltage in voltages:
        inverter.update_der_input(v_pu=voltage, f=60.0, p_dc_w=sun_w)
        inverter.run()
        yield getattr(inverter, output)
