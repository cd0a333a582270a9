"""The journal as others may find it: cut at any byte, bits turned over, bytes added. Whole records
before the damage are used, the rest is made anew, and the result has the same bits.

test_resume_damage.py [--every]: at every byte of the last two records, else at a choice of them."""
import os
import random
import re
import sys
import unittest

import resume_case as case
from resume_case import LOW, SMALL, journal, read, sweep, write

EVERY = "--every" in sys.argv
MOST = 30  # damages of a kind without --every


class ResumeDamage(case.Resume):
    """whole is the journal of a job that was killed, ends are the sizes after its records."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ends = cls.saved(SMALL, "made.nc")
        cls.whole = read(journal("made.nc"))
        cls.pairs = {0: 0}  # in the records up to an end, once asked for
        cls.rng = random.Random(11)

    def pick(self, places):
        places = sorted(set(places))
        return places if EVERY or len(places) <= MOST else sorted(self.rng.sample(places, MOST))

    def before(self, place):
        """The bytes of whole records in front of a place."""
        return max((e for e in self.ends if e <= place), default=0)

    def sweep(self, data, ranks=None):
        """Go on with a journal of these bytes; how many pairs the program found in it."""
        case.remove(self.output)
        write(journal(self.output), data)
        done = sweep(SMALL, self.output, "--resume", *LOW[SMALL], ranks=ranks)
        found = re.search(r"(\d+) pairs were saved", done.stderr)
        return done, int(found[1]) if found else 0

    def pairs_before(self, end):
        if end not in self.pairs:
            done, self.pairs[end] = self.sweep(self.whole[:end])
            self.assertEqual(done.returncode, 0, done.text)
        return self.pairs[end]

    def go_on(self, data, kept, text, codes=(0,), ranks=None):
        """Finish the job of a journal with these bytes, of which the first kept are to be used."""
        want = self.pairs_before(kept)
        done, found = self.sweep(data, ranks)
        self.assertIn(done.returncode, codes, f"{text}\n{done.text}")
        if done.returncode != 0:
            self.assertEqual(len(done.errors), 1, f"{text}\n{done.text}")
            self.assertIn(journal(self.output), done.errors[0], text)
            self.assertFalse(os.path.exists(self.output), text)
            self.assertEqual(read(journal(self.output)), data, text)
            return done
        self.assertEqual(case.differences(self.output, self.plain[SMALL]), [], text)
        self.assertEqual(case.leftovers(self.output), [], text)
        self.assertEqual(found, want, f"{text}: pairs that were used\n{done.text}")
        return done

    # -- cut ------------------------------------------------------------------------------------

    def test_whole(self):
        counts = [self.pairs_before(end) for end in self.ends]
        self.assertEqual(counts, sorted(counts))
        self.assertGreater(counts[-1], 10)
        for ranks in (None, 1, 2, 3, 4):
            self.go_on(self.whole, len(self.whole), f"{ranks} ranks", ranks=ranks)

    def test_cut_in_the_last_records(self):
        for cut in self.pick(range(self.ends[-3], len(self.whole))):
            self.go_on(self.whole[:cut], self.before(cut), f"cut at {cut} of {len(self.whole)}")

    def test_cut_anywhere(self):
        cuts = [self.rng.randrange(len(self.whole)) for _ in range(300 if EVERY else 12)]
        for cut in cuts + self.ends[-4:]:
            self.go_on(self.whole[:cut], self.before(cut), f"cut at {cut} of {len(self.whole)}")

    def test_cut_in_the_head(self):
        """A job that is killed in its first write leaves as little; nothing is saved in it."""
        for cut in self.pick([0, 1, 2, 3, 7, 8, 9, *range(10, self.ends[0] + 1)]):
            self.go_on(self.whole[:cut], 0, f"cut at {cut}, the first write ends at {self.ends[0]}")

    def test_cut_with_ranks(self):
        for ranks in (2, 4):
            cut = self.rng.randrange(self.ends[-2] + 1, self.ends[-1])
            self.go_on(self.whole[:cut], self.before(cut), f"cut at {cut}", ranks=ranks)

    # -- changed --------------------------------------------------------------------------------

    def flipped(self, place, bit=None):
        data = bytearray(self.whole)
        data[place] ^= 1 << (self.rng.randrange(8) if bit is None else bit)
        return bytes(data)

    def test_flips_in_the_last_records(self):
        for place in self.pick(range(self.ends[-3], len(self.whole))):
            self.go_on(self.flipped(place), self.before(place),
                       f"a bit of byte {place} of {len(self.whole)}")

    def test_every_bit_of_the_last_byte(self):
        for bit in range(8):
            self.go_on(self.flipped(len(self.whole) - 1, bit), self.ends[-2],
                       f"bit {bit} of the last byte")

    def test_flips_anywhere(self):
        """In the midst of the records the rest of the file is either made anew or refused, never
        believed."""
        places = self.pick(range(self.ends[0], self.ends[-3]))
        for place in places if EVERY else places[::2]:
            self.go_on(self.flipped(place), self.before(place),
                       f"a bit of byte {place} of {len(self.whole)}", codes=(0, 1))

    def test_flips_in_the_head(self):
        """Refused, as a version that is unknown or a job that is another one, or made anew."""
        codes = [self.go_on(self.flipped(place), 0, f"a bit of byte {place}", (0, 1, 2)).returncode
                 for place in self.pick(range(self.ends[0]))]
        self.assertGreater(len(codes) - codes.count(0), 0, "no damage of the head is noticed")
        done = self.go_on(self.flipped(0), 0, "a bit of byte 0", codes=(1,), ranks=3)
        self.assertEqual(done.returncode, 1)

    def test_zeros_and_more(self):
        """What file systems leave at the end of a file after a crash, and what nobody wrote."""
        last = self.whole[self.ends[-2]:]
        half = self.ends[-2] + len(last) // 2
        for name, data, kept in (
                ("zeros added", self.whole + bytes(4096), len(self.whole)),
                ("one zero added", self.whole + b"\0", len(self.whole)),
                ("noise added", self.whole + self.rng.randbytes(333), len(self.whole)),
                ("the last record twice", self.whole + last, len(self.whole)),
                ("the end is zeros", self.whole[:half] + bytes(len(self.whole) - half),
                 self.ends[-2]),
                ("the last record is zeros", self.whole[:self.ends[-2]] + bytes(len(last)),
                 self.ends[-2]),
                ("a record is missing", self.whole[:self.ends[-3]] + last, self.ends[-3]),
                ("two records in another order", self.whole[:self.ends[-3]] + last +
                 self.whole[self.ends[-3]:self.ends[-2]], self.ends[-3])):
            with self.subTest(name):
                self.go_on(data, kept, name)
                self.go_on(data, kept, name, ranks=3)


if __name__ == "__main__":
    unittest.main(argv=[s for s in sys.argv if s != "--every"], verbosity=2)
