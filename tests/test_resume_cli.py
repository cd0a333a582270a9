"""sweep --resume as its users meet it: going on, finished work, other options and data, files that
are in the way. Nothing here is left to chance."""
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

import numpy as np

import resume_case as case
from resume_case import GRAM, LARGE, LOW, SMALL, TILES, Run, digest, journal, run, sweep


class ResumeCli(case.Resume):
    # -- going on -------------------------------------------------------------------------------

    def test_nothing_saved(self):
        for ranks in (None, 1, 3):
            case.remove(self.output)
            self.expect(sweep(SMALL, self.output, "--resume", ranks=ranks), 0)
            self.same(SMALL)

    def test_goes_on(self):
        """With any number of ranks, any memory, and whatever does not change a result."""
        self.saved(SMALL, self.output)
        for name in os.listdir("."):
            if name.startswith(self.output):
                shutil.copy(name, "saved_" + name)
        for ranks, more in ((None, ()), (1, ()), (2, ("-q",)), (3, ("--log-json",)),
                            (4, ("--memory", "1G")), (None, ("--memory", "1G", "--format", "csv")),
                            (2, ("--profile",)), (None, ("-v",))):
            case.remove(self.output)
            shutil.copy("saved_" + journal(self.output), journal(self.output))
            self.expect(sweep(SMALL, self.output, "--resume", *more, ranks=ranks), 0)
            self.same(SMALL)

    def test_work_of_many_ranks(self):
        """A job of four ranks that was asked to stop is finished by one, and conversely."""
        for first, second in ((4, None), (None, 4), (3, 2)):
            self.stop(first, signal.SIGTERM)
            self.expect(sweep(LARGE, self.output, "--resume",
                              ranks=second), 0)
            self.same(LARGE)

    def test_passes(self):
        """Kernels, neighbours and distances: ranks are killed in the midst of a pass over all pairs of
        examples, when the medians of a later tile are there and its sums are not."""
        for first, memory, medians, second in ((None, "10M", 6, 4), (3, "5M", 6, None)):
            case.remove(self.output)
            killed = Run(("sweep", *TILES, "-o", self.output, "--resume", "--memory", memory), first)
            killed.wait_for_ranks()
            pids = killed.pids()  # takes a while: not when the moment has come
            case.wait_for(lambda: not killed.running() or
                          case.read(killed.err.name).count(b"median distance") >= medians, step=0.001)
            case.kill(pids)
            killed.end()
            killed.gone()
            killed.close()
            self.assertFalse(os.path.exists(self.output), killed.text)
            done = sweep(TILES, self.output, "--resume", ranks=second)
            self.expect(done, 0, "[1-9][0-9]? pairs were saved")
            self.same(TILES)

    def test_records_of_passes(self):
        self.saved(TILES, self.output)
        self.expect(sweep(TILES, self.output, "--resume", ranks=2), 0, "pairs were saved")
        self.same(TILES)

    def test_saved_work_is_used(self):
        """What is saved is not made anew: a job that goes on appends the rest."""
        ends = self.saved(SMALL, self.output)
        shutil.move(journal(self.output), "kept.journal")
        written = []
        for begun in (False, True):
            if begun:
                shutil.move("kept.journal", journal(self.output))
            done = sweep(SMALL, self.output, "--resume", *LOW[SMALL],
                         env=case.faulty("none:1", self.output))
            self.expect(done, 0)
            self.same(SMALL)
            os.remove(self.output)
            written.append(case.journal_records()[-1][1])
        self.assertLess(written[1], written[0] - 0.8 * ends[-1])

    def test_finished(self):
        self.expect(sweep(SMALL, self.output), 0)
        before, stamp = digest(self.output), os.stat(self.output).st_mtime_ns
        for ranks in (None, 3):
            self.expect(sweep(SMALL, self.output, "--resume", ranks=ranks), 0, "finished")
        self.assertEqual((digest(self.output), os.stat(self.output).st_mtime_ns), (before, stamp))
        self.assertEqual(case.leftovers(self.output), [])
        for words in (GRAM, (*SMALL, "--svcca.variance", "0.5"), ("large_a.npz", *SMALL[1:])):
            self.expect(sweep(words, self.output, "--resume"), (1, 2))
            self.assertEqual(digest(self.output), before)

    def test_finished_with_journal(self):
        """A job that was killed between the results and the removal of its journal."""
        self.saved(SMALL, self.output)
        shutil.copy(self.plain[SMALL], self.output)
        for ranks in (None, 2):
            self.expect(sweep(SMALL, self.output, "--resume", ranks=ranks), 0, "finished")
            self.same(SMALL)
        
    def test_faults(self):
        """A vote that fails on one rank ends the job; the same command goes on in the end."""
        for seed in range(1, 4):
            case.remove(self.output)
            for attempt in range(4):
                done = sweep(SMALL, self.output, "--resume", *LOW[SMALL], ranks=3,
                             env={"CONTRASIM_FAULT": f"25:{10 * seed + attempt}"})
                self.assertNotIn("leak", done.stderr, done.text)
                self.expect(done, (0, 1))
                if done.returncode == 0:
                    break
                self.assertFalse(os.path.exists(self.output), done.text)
            self.expect(sweep(SMALL, self.output, "--resume"), 0)
            self.same(SMALL)

    # -- refused --------------------------------------------------------------------------------

    def refused(self, words, *parts, env=None, how=("--resume",), ranks=(None, 3), code=(1, 2)):
        """Refused with one message; the work that was saved stays as it is."""
        before = digest(journal(self.output))
        for many in ranks:
            done = sweep(words, self.output, *how, ranks=many, env=env)
            self.expect(done, code, *parts)
            self.assertEqual(digest(journal(self.output)), before, done.text)
            self.assertFalse(os.path.exists(self.output), done.text)

    def test_other_options(self):
        self.saved(SMALL, self.output)
        a, b, _, which, _, measures = SMALL
        base = (a, b, "--pairs", which, "--measures")
        for words, *parts in (
                ((*base, measures.replace("svcca,", "")), "svcca|measures"),
                ((*base, measures + ",eos"), "eos|measures"),
                ((*base, "svcca"), "measures"),
                ((*SMALL, "--svcca.variance", "0.5"), "variance"),
                ((*SMALL, "--rank-floor", "1e-6"), "rank.floor"),
                ((*SMALL, "--examples", "0:150"), "examples"),
                ((*SMALL, "--layers", "l00,l01,l02"), "layer"),
                ((a, b, "--pairs", "cross", "--measures", measures), "pairs|cross"),
                ((b, a, *SMALL[2:]), "small_[ab]"),
                ((a, *SMALL[2:]), "small_b|set"),
                (("other=" + a, b, *SMALL[2:]), "other|small_a")):
            with self.subTest(words=words):
                self.refused(words, *parts, ranks=(None,))
        self.refused((*SMALL, "--rank-floor", "1e-7"), "rank.floor", ranks=(1, 3))
        self.expect(sweep(SMALL, self.output, "--resume", ranks=2), 0)
        self.same(SMALL)

    def test_more_or_fewer_options(self):
        """What only one of the two sweeps has is named, and not what stands in its place there."""
        self.saved(SMALL, self.output)
        for words, line in ((("--jackknife", "16"), "jackknife: 16 blocks"),
                            (("--null", "permutation", "--permutations", "9"),
                             "null: permutation, 9 permutations of seed 1, alpha 0.05"),
                            (("--grid", "1x2", "--grid-from", "20"),
                             "large pairs: from 20 on grids of 1 x 2 ranks")):
            with self.subTest(words=words):
                self.refused((*SMALL, *words), f"another sweep: '{line}' here, nothing of the kind there",
                             ranks=(2,))
        jackknife = (*SMALL, "--jackknife", "16")
        LOW[jackknife] = ("--memory", "1M")
        self.saved(jackknife, self.output)
        self.refused(SMALL, "another sweep: 'jackknife: 16 blocks' there, nothing of the kind here",
                     ranks=(None,))
        self.refused((*SMALL, "--jackknife", "17"), "'jackknife: 16 blocks' there, 'jackknife: 17 blocks' here",
                     ranks=(None,))

    def test_other_precision(self):
        self.saved(GRAM, self.output)
        self.refused((*GRAM, "--precision", "single"), "precision")
        self.expect(sweep(GRAM, self.output, "--resume"), 0)
        self.same(GRAM)

    def test_other_data(self):
        """One number of one layer is another one. It is refused; but where no saved pair is of that
        layer, going on may also give what a sweep of the new data gives."""
        made = case.layers(2, 200, (9, 24, 16, 40))
        shutil.copy("small_b.npz", "kept_b.npz")
        self.addCleanup(shutil.move, "kept_b.npz", "small_b.npz")
        refusals = 0
        for share in (0.3, 0.7, 0.97):
            self.saved(SMALL, self.output, share)
            kept = case.read(journal(self.output))
            for at, layer in enumerate(made):
                changed = [x.copy() for x in made]
                changed[at][199, -1] = np.nextafter(layer[199, -1], np.float32(9))
                case.write_set("small_b.npz", changed)
                for ranks in (None, 3):
                    done = sweep(SMALL, self.output, "--resume", ranks=ranks)
                    if done.returncode != 0:
                        self.expect(done, (1, 2), "small_b", f"l{at:02d}")
                        self.assertEqual(case.read(journal(self.output)), kept)
                        refusals += 1
                        continue
                    self.expect(sweep(SMALL, "changed.nc", "--overwrite"), 0)
                    different = case.differences(self.output, "changed.nc")
                    self.assertEqual(different, [], f"share {share}, layer {at}, {done.text}")
                    os.remove(self.output)
                    case.write(journal(self.output), kept)
            shutil.copy("kept_b.npz", "small_b.npz")
            self.expect(sweep(SMALL, self.output, "--resume"), 0)
            self.same(SMALL)
        self.assertGreater(refusals, 20)

    def test_other_layers(self):
        self.saved(SMALL, self.output)
        shutil.copy("small_b.npz", "kept_b.npz")
        made = case.layers(2, 200, (9, 24, 16, 40))
        try:
            for other in (made[:-1], [*made, made[0]], made[::-1], [x[:199] for x in made]):
                with self.subTest(shapes=[x.shape for x in other]):
                    case.write_set("small_b.npz", other)
                    self.refused(SMALL, "small_b", ranks=(None,))
        finally:
            shutil.move("kept_b.npz", "small_b.npz")
        self.expect(sweep(SMALL, self.output, "--resume"), 0)
        self.same(SMALL)

    def test_other_examples(self):
        """As many examples, but others."""
        for share in (0.5, 0.97):
            words = (*SMALL, "--examples", "0:150")
            done = sweep(words, "examples.nc", "--overwrite")
            self.expect(done, 0)
            self.saved(words, self.output, share)
            self.refused((*SMALL, "--examples", "50:200"), "examples|small_a")
            self.expect(sweep(words, self.output, "--resume", ranks=2), 0)
            self.assertEqual(case.differences(self.output, "examples.nc"), [])

    def test_other_blas_core(self):
        text = subprocess.run([case.BIN, "--version"], env={**os.environ, **case.ALONE}, text=True,
                              capture_output=True, check=True).stdout
        core = re.search(r"OpenBLAS .*core (\w+)", text)
        if core is None:
            self.skipTest("the BLAS is not OpenBLAS")
        self.saved(SMALL, self.output)
        other = "Nehalem" if core[1] != "Nehalem" else "Haswell"
        self.refused(SMALL, f"{core[1]}", other, env={"OPENBLAS_CORETYPE": other})
        self.expect(sweep(SMALL, self.output, "--resume"), 0)
        self.same(SMALL)

    def test_existing(self):
        self.expect(sweep(SMALL, self.output), 0)
        before = digest(self.output)
        for ranks in (None, 3):
            self.expect(sweep(SMALL, self.output, ranks=ranks), 1, "exists")
        self.assertEqual(digest(self.output), before)
        self.assertEqual(case.leftovers(self.output), [])

    def test_existing_journal(self):
        """Saved work is not overwritten by a command that says nothing of it."""
        self.saved(SMALL, self.output)
        self.refused(SMALL, "--resume", "--overwrite", how=(), code=1)
        self.refused(GRAM, "--resume", "--overwrite", how=(), code=1)
        self.expect(sweep(GRAM, self.output, "--overwrite", ranks=2), 0)
        self.same(GRAM)
        for ranks in (None, 3):
            self.saved(SMALL, self.output)
            self.expect(sweep(SMALL, self.output, "--overwrite", ranks=ranks), 0)
            self.same(SMALL)

    def test_killed_overwrite(self):
        """The old results stay until the new ones are there, and are not taken for them."""
        self.expect(sweep(GRAM, self.output), 0)
        before = digest(self.output)
        done = sweep(SMALL, self.output, "--overwrite", *LOW[SMALL],
                     env=case.faulty("none:1", self.output))
        self.expect(done, 0)
        self.same(SMALL)
        records = case.journal_records()
        for how in ("--overwrite", "--resume"):
            shutil.copy(self.plain[GRAM], self.output)
            before = digest(self.output)
            done = sweep(SMALL, self.output, "--overwrite", *LOW[SMALL],
                         env=case.faulty(f"kill:{records[-3][0]}", journal(self.output)))
            self.assertEqual(done.returncode, -signal.SIGKILL, done.text)
            self.assertEqual(digest(self.output), before)
            saved = digest(journal(self.output))
            self.assertIsNotNone(saved)
            done = sweep(SMALL, self.output, how)
            if how == "--resume" and done.returncode != 0:
                self.expect(done, (1, 2))
                self.assertEqual(digest(self.output), before)
                self.assertEqual(digest(journal(self.output)), saved)
            else:
                self.expect(done, 0)
                self.same(SMALL)

    def test_usage(self):
        self.expect(run("sweep", *SMALL, "--resume", "--format", "csv"), 2, "--output|resume")
        self.expect(run("sweep", *SMALL, "--resume", "--format", "csv", ranks=3), 2)
        for text in ("soon", "-1", "1:2:3:4"):
            self.expect(sweep(SMALL, self.output, "--walltime", text), 2, "walltime")
        self.assertFalse(os.path.exists(self.output))
        self.assertEqual(case.leftovers(self.output), [])

    def test_inputs_are_safe(self):
        """A set that has the name of the journal or the lock is no journal or lock."""
        for end in (".journal", ".lock"):
            name = self.output + end
            for how in ((), ("--overwrite",), ("--resume",)):
                shutil.copy("small_a.npz", name)
                before = digest(name)
                done = run("sweep", "c=" + name, "small_b.npz", "-m", "cka", "-o", self.output,
                           *how)
                self.expect(done, (1, 2), re.escape(name))
                self.assertEqual(digest(name), before, done.text)
                os.remove(name)

    # -- journals that are none ------------------------------------------------------------------

    def test_garbage(self):
        rng = np.random.default_rng(3)
        for data in (rng.bytes(1000), b"# notes of mine\n" * 40, b"CDF\x05" + bytes(500),
                     case.read("small_a.npz"), b"x"):
            case.write(journal(self.output), data)
            with self.subTest(data=data[:16]):
                self.refused(SMALL, re.escape(journal(self.output)), code=1)
        self.expect(sweep(SMALL, self.output, "--overwrite"), 0)
        self.same(SMALL)

    def test_folders_in_the_way(self):
        for end in (".journal", ".lock"):
            os.mkdir(self.output + end)
            try:
                for ranks in (None, 3):
                    done = sweep(SMALL, self.output, "--resume", ranks=ranks)
                    self.expect(done, 1, re.escape(self.output + end))
                    self.assertFalse(os.path.exists(self.output))
            finally:
                os.rmdir(self.output + end)

    def test_journal_of_another_output(self):
        self.saved(SMALL, self.output)
        other = "other_" + self.output
        case.remove(other)
        shutil.copy(journal(self.output), journal(other))
        self.expect(sweep(GRAM, other, "--resume"), (1, 2), "measures")
        self.assertEqual(digest(journal(other)), digest(journal(self.output)))


if __name__ == "__main__":
    unittest.main(argv=sys.argv, verbosity=2)
