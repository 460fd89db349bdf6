"""Volt-watt: `VoltWatt` beside OpenDER's inverter with the curve from 1.06 to 1.10 pu, over steps, ramps and random walks.

They may differ as with volt-var, in units of the rating: 0.0015 is to be expected, and 0.003 allowed.
"""
import volt

NAME = "volt-watt"
BOUND = 3e-3
SUN_W = volt.RATING_W


def cases():
    return volt.cases(10.0)


def files(case):
    return volt.files(case, "VoltWatt", SUN_W)


def column(case):
    return "g/pv.p_w", volt.RATING_W


def reference(case, samples):
    inverter = volt.inverter()
    settings = inverter.der_file
    settings.PV_MODE_ENABLE = True
    settings.PV_OLRT = case.response_s
    settings.PV_CURVE_V1, settings.PV_CURVE_V2 = 1.06, 1.10
    settings.PV_CURVE_P1, settings.PV_CURVE_P2 = 1.0, 0.0
    return [power / volt.RATING_W for power in volt.stepped(inverter, samples, SUN_W, "p_out_w")]
