"""A sweep that goes on, and every call it makes on its files: killed before it, in its midst or
after it, a full disk, errors, short writes. io_fault.c says how calls are made to fail.

test_resume_io.py [--every]: at every call, else at a choice of them."""
import os
import random
import re
import signal
import sys
import unittest

import resume_case as case
from resume_case import LOW, SMALL, journal, read, sweep

EVERY = "--every" in sys.argv


class ResumeIo(case.Resume):
    def faulty(self, fault, ranks=None):
        """Go on with the output, with a fault; the calls it made are in self.calls."""
        done = sweep(SMALL, self.output, "--resume", *LOW[SMALL], ranks=ranks,
                     env=case.faulty(fault, self.output))
        self.calls = case.calls()
        return done

    def last(self, at=0):
        """In words: the last call made, or call number at."""
        return " ".join(map(str, self.calls[at - 1])) if len(self.calls) >= at else f"{at}"

    def count(self, ranks=None):
        """How many calls an undisturbed run makes on its files; the records of its journal."""
        case.remove(self.output)
        self.expect(self.faulty("none:1", ranks), 0)
        self.same(SMALL)
        case.remove(self.output)
        self.records = case.journal_records()
        self.assertGreater(len(self.records), 10, self.calls)
        return len(self.calls)

    def choice(self, many, most):
        """All calls, or the first and the last ones, and some between."""
        if EVERY or many <= most:
            return range(1, many + 1)
        third = most // 3
        middle = random.Random(1).sample(range(third + 1, many - third + 1), most - 2 * third)
        return sorted({*range(1, third + 1), *middle, *range(many - third + 1, many + 1)})

    def go_on(self, text, ranks=None):
        done = sweep(SMALL, self.output, "--resume", ranks=ranks)
        self.assertEqual(done.returncode, 0, f"after {text}:\n{done.text}")
        self.assertEqual(case.differences(self.output, self.plain[SMALL]), [], text)
        self.assertEqual(case.leftovers(self.output), [], text)

    def check_output(self, text):
        """Whatever happened, an output that is there is whole."""
        if os.path.exists(self.output):
            self.assertEqual(case.differences(self.output, self.plain[SMALL]), [], text)

    def sound(self, calls):
        """The bytes of whole records after so many calls."""
        return max((end for number, end in self.records if number <= calls), default=0)

    # -- deaths ---------------------------------------------------------------------------------

    def test_killed_at_every_call(self):
        many = self.count()
        for how in ("kill", "torn"):
            for at in self.choice(many, 24):
                case.remove(self.output)
                done = self.faulty(f"{how}:{at}")
                text = f"{how} at call {self.last()} of {many}"
                self.assertEqual(done.returncode, -signal.SIGKILL, f"{text}\n{done.text}")
                self.check_output(text)
                if not os.path.exists(self.output):
                    self.assertGreaterEqual(case.size(journal(self.output)),
                                            self.sound(at - (how == "kill")), text)
                self.go_on(text)

    def test_killed_rank_0_of_three(self):
        many = self.count(3)
        for at in self.choice(many, 9):
            case.remove(self.output)
            done = self.faulty(f"torn:{at}", 3)
            self.assertNotEqual(done.returncode, 0, done.text)
            self.check_output(done.text)
            self.go_on(f"torn at call {self.last()} of {many}, three ranks", 2)

    def test_killed_again_and_again(self):
        """Each run is killed some calls after it has begun, until one comes to its end. None finds
        fewer pairs than the one before it."""
        rng = random.Random(7)
        for _ in range(20 if EVERY else 3):
            case.remove(self.output)
            faults, most = [], 0
            while len(faults) < 100:
                faults.append(f"{rng.choice(('kill', 'torn'))}:{rng.randint(1, 70)}")
                done = self.faulty(faults[-1])
                found = self.pairs(done)
                if found is not None:
                    self.assertGreaterEqual(found, most, f"{faults}\n{done.text}")
                    most = found
                self.assertIn(done.returncode, (0, -signal.SIGKILL), f"{faults}\n{done.text}")
                self.check_output(f"{faults}")
                if done.returncode == 0:
                    break
            self.assertGreater(most, 10, faults)
            self.go_on(f"{faults}")

    def pairs(self, done):
        """How many pairs a run found in its journal; None if it died before it said so."""
        found = re.search(r"(\d+) pairs were saved", done.stderr)
        return int(found[1]) if found else None

    # -- errors ---------------------------------------------------------------------------------

    def errors(self, how, ranks, most, *parts):
        """The fault at many calls: an error that names the file, or none where it matters less."""
        many = self.count(ranks)
        codes = []
        for at in self.choice(many, most):
            case.remove(self.output)
            done = self.faulty(f"{how}:{at}", ranks)
            codes.append(done.returncode)
            text = f"{how} at call {self.last(at)} of {many}\n{done.text}"
            self.assertIn(done.returncode, (0, 1), text)
            self.check_output(text)
            if done.returncode == 1:
                self.assertEqual(len(done.errors), 1, text)
                for part in parts:
                    self.assertRegex(done.errors[0], part, text)
            else:
                self.assertTrue(os.path.exists(self.output), text)
            self.go_on(text)
        self.assertGreater(codes.count(1), len(codes) // 2, codes)

    def test_full_disk(self):
        self.errors("full", None, 18, "space|cannot make the file", "test_full_disk.nc")

    def test_full_disk_three_ranks(self):
        self.errors("full", 3, 6, "space|cannot make the file", "test_full_disk_three_ranks.nc")

    def test_broken_disk(self):
        self.errors("broken", None, 18, "Input/output error", "test_broken_disk.nc")

    def test_work_before_an_error_is_kept(self):
        many = self.count()
        at = self.records[2 * len(self.records) // 3][0] - 1
        for how in ("full", "broken"):
            case.remove(self.output)
            self.expect(self.faulty(f"{how}:{at}"), 1)
            self.assertGreaterEqual(case.size(journal(self.output)), self.sound(at - 1),
                                    f"{how} at call {at} of {many}")
            self.go_on(f"{how} at call {at}")

    def test_short_writes(self):
        for ranks in (None, 3):
            case.remove(self.output)
            self.expect(self.faulty("short:1", ranks), 0)
            self.same(SMALL)

    def test_interrupted_writes(self):
        many = self.count()
        for at in self.choice(many, 12):
            case.remove(self.output)
            self.expect(self.faulty(f"interrupted:{at}"), 0)
            self.same(SMALL)

    def test_full_disk_after_a_death(self):
        """The journal of a killed job, torn, and then no room to go on."""
        many = self.count()
        for at in self.choice(many, 6):
            case.remove(self.output)
            self.faulty(f"torn:{at}")
            had = read(journal(self.output)) if case.size(journal(self.output)) else b""
            done = self.faulty("full:1")
            text = f"torn at {at} of {many}, then full\n{done.text}"
            self.assertIn(done.returncode, (0, 1), text)
            if done.returncode == 1:
                self.assertEqual(len(done.errors), 1, text)
            if self.pairs(done) and not os.path.exists(self.output):
                whole = self.sound(at)
                self.assertGreaterEqual(len(had), whole)
                self.assertEqual(read(journal(self.output))[:whole], had[:whole], text)
            self.go_on(text)


if __name__ == "__main__":
    unittest.main(argv=[s for s in sys.argv if s != "--every"], verbosity=2)
