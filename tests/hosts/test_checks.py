"""Each check fails on what it is there for: python3 -m unittest discover tests/hosts"""

import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from faults import FAULTS
from trial import order_of, writer_of
from writes import Record, Write, longest_gap, of_line, rank


def write(at, host, round_of_epoch, seat):
    return Write(at, at - 0.003, host, round_of_epoch << 8 | seat)


class Checks(unittest.TestCase):
    def test_a_take_over_in_order_is_well(self):
        self.assertEqual(order_of([write(1.0, "a", 1, 0), write(1.1, "b", 2, 1), write(1.2, "b", 2, 1)]), [])

    def test_an_older_epoch_after_a_newer_is_told_with_how_late_it_was(self):
        late = [write(1.0, "a", 1, 0), write(1.1, "b", 2, 1), write(2.6, "a", 1, 0)]
        self.assertEqual(order_of(late), ["a 1.0 was accepted 1500 ms after a newer epoch"])

    def test_an_epoch_of_another_seat_is_foreign(self):
        self.assertEqual(order_of([write(1.0, "b", 1, 0)]), ["b wrote under the epoch 1.0"])

    def test_who_writes_must_be_who_should(self):
        fault = {fault.name: fault for fault in FAULTS}
        by_a, by_b = [write(1.0, "a", 1, 0)], [write(1.1, "b", 2, 1)]
        self.assertEqual(writer_of(fault["kill"], by_b, "a", "b"), [])
        self.assertEqual(writer_of(fault["kill"], by_a + by_b, "a", "b"), ["a and b wrote, not b"])
        self.assertEqual(writer_of(fault["kill"], [], "a", "b"), ["nobody wrote, not b"])
        self.assertEqual(writer_of(fault["kill-witness"], by_b, "a", "b"), ["b wrote, not a"])
        self.assertEqual(writer_of(fault["kill-all"], by_a, "a", "b"), ["a wrote, not nobody"])

    def test_silence_at_the_end_counts(self):
        writes = [write(1.0, "a", 1, 0), write(1.01, "a", 1, 0)]
        self.assertAlmostEqual(longest_gap(writes, 1.02), 0.01)
        self.assertAlmostEqual(longest_gap(writes, 3.01), 2.0)

    def test_ranks_are_of_what_was_measured(self):
        self.assertEqual([rank([3, 1, 2, 4], share) for share in (0.5, 0.99, 1)], [2, 4, 4])


class Reading(unittest.TestCase):
    LINE = {"at": 1.0, "asked": 0.9, "from": "10.77.0.2", "first": 200, "values": [0, 0, 1, 0x0201, 0, 5]}

    def test_host_and_epoch_are_read(self):
        found = of_line(json.dumps(self.LINE))
        self.assertEqual((found.host, found.epoch_text), ("b", "258.1"))

    def test_half_a_line_waits_for_its_rest(self):
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            record, line = Record(file.name), json.dumps(self.LINE)
            file.write(line[:20])
            file.flush()
            self.assertEqual(record.read(), [])
            file.write(line[20:] + "\n")
            file.flush()
            self.assertEqual(len(record.read()), 1)
            record.close()


if __name__ == "__main__":
    unittest.main()
