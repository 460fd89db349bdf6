"""Each check fails on what it is there for: python3 -m unittest discover tests/hosts"""

import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from faults import FAULTS
from trial import Outcome, order_of, try_once, writer_of
from verdict import judge, seconds, stood_still
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

    def test_what_was_not_tried_has_a_beginning_and_an_end_in_this_order(self):
        class NeverWell:
            def settle(self):
                raise RuntimeError("nobody is active")

        outcome = try_once(NeverWell(), FAULTS[0], 1.0)
        self.assertEqual((outcome.was_tried, outcome.problems), (False, ["nobody is active"]))
        self.assertLessEqual(outcome.began_unix_ns, outcome.ended_unix_ns)

    def test_ranks_are_of_what_was_measured(self):
        self.assertEqual([rank([3, 1, 2, 4], share) for share in (0.5, 0.99, 1)], [2, 4, 4])


class Verdicts(unittest.TestCase):
    LONGEST_S = 0.025

    def outcome(self, **more):
        given = {"if_none_stood_still": ["a wrote, not b"], "began_unix_ns": 100, "ended_unix_ns": 200}
        return Outcome("switchover", "a", **{**given, **more})

    def late(self, host, words, at=150):
        message = f"scans_missed: 4, {words} late"
        return {"at": "", "at_unix_ns": at, "controller": f"commerce/{host}", "message": message}

    def judges(self, outcomes, events):
        with contextlib.redirect_stdout(io.StringIO()):
            return judge(outcomes, events, self.LONGEST_S)

    def test_spans_are_read_as_they_are_written(self):
        self.assertAlmostEqual(seconds("1 s 40 ms 596 us 816 ns"), 1.040596816)

    def test_who_stood_still_for_longer_than_allowed_is_named(self):
        just = [self.late("b", "25 ms 1 us"), self.late("a", "25 ms")]
        self.assertEqual(list(stood_still(self.outcome(), just, self.LONGEST_S)), ["b"])

    def test_a_stall_at_another_time_or_of_the_fault_itself_explains_nothing(self):
        for outcome, at in [(self.outcome(), 99), (self.outcome(), 201), (self.outcome(stalled="b"), 150)]:
            self.assertEqual(stood_still(outcome, [self.late("b", "40 ms", at)], self.LONGEST_S), {})

    def test_what_failed_fails_unless_a_host_stood_still_and_the_fault_was_judged_otherwise(self):
        failed, well, events = self.outcome(), self.outcome(if_none_stood_still=[]), [self.late("b", "40 ms")]
        self.assertTrue(self.judges([well], []))
        self.assertFalse(self.judges([failed, well], []))
        self.assertTrue(self.judges([failed] + 9 * [well], events))
        self.assertFalse(self.judges([failed], events))

    def test_no_more_than_a_tenth_may_go_without_a_judgment(self):
        failed, well, events = self.outcome(), self.outcome(if_none_stood_still=[]), [self.late("b", "40 ms")]
        self.assertTrue(self.judges(2 * [failed] + 18 * [well], events))
        self.assertFalse(self.judges(2 * [failed] + 17 * [well], events))

    def test_no_stall_excuses_a_write_of_an_older_epoch(self):
        failed, well = self.outcome(problems=["a 1.0 was accepted late"]), self.outcome(if_none_stood_still=[])
        self.assertFalse(self.judges([failed, well], [self.late("b", "40 ms")]))


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
