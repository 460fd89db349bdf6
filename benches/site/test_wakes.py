"""What was late or missed counts: python3 -m unittest discover benches/site"""

import contextlib
import io
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from wakes import late, line

BOOT, PERIOD = 700, 10_000_000
US = 1_000


def planned(place):
    return BOOT + place * PERIOD


class Wakes(unittest.TestCase):
    def test_each_planned_wake_is_as_late_as_the_first_that_comes_then_or_later(self):
        wakes = [planned(1) + 3 * US, planned(1) + 4_000 * US, planned(2), planned(3) + 7_000 * US, planned(4) + US]
        self.assertEqual(late(wakes, BOOT, PERIOD, planned(1), planned(5)), [3, 0, 7_000, 1])

    def test_missed_ones_are_as_late_as_they_are(self):
        wakes = [planned(1), planned(4) + 500 * US, planned(5)]
        self.assertEqual(late(wakes, BOOT, PERIOD, planned(1), planned(6)), [0, 20_500, 10_500, 500, 0])

    def test_what_is_planned_before_or_after_is_left_out(self):
        wakes = [planned(place) + place * US for place in range(1, 9)]
        self.assertEqual(late(wakes, BOOT, PERIOD, planned(2) + 1, planned(5)), [3, 4])
        self.assertEqual(late(wakes, BOOT, PERIOD, planned(7), planned(99)), [7, 8])

    def test_missed_ones_are_counted_from_a_whole_period_on(self):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.assertEqual(line("some", [1, 9_999.9, 10_000, 96_000], PERIOD), 96_000)
        self.assertIn("     4 wakes, 2 missed", printed.getvalue())


if __name__ == "__main__":
    unittest.main()
