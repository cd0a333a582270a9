"""Sweeps that stop before their end, and go on: signals, time limits, two jobs on one output, disks
that are full or may not be written."""
import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
import time
import unittest

import resume_case as case
from resume_case import LARGE, LOW, SMALL, Run, digest, journal, sweep


def own_mounts():
    """Whether what this process mounts is seen by itself alone, and gone with it."""
    new_namespace = 0x00020000  # CLONE_NEWNS
    libc = ctypes.CDLL(None)
    return libc.unshare(new_namespace) == 0 and subprocess.run(
        ["mount", "--make-rprivate", "/"], capture_output=True, check=False).returncode == 0


class ResumeStops(case.Resume):
    @classmethod
    def setUpClass(cls):
        cls.may_mount = own_mounts()
        super().setUpClass()

    def mount(self, folder, *options):
        os.makedirs(folder, exist_ok=True)
        done = self.may_mount and subprocess.run(["mount", *options, folder], capture_output=True,
                                                 check=False)
        if not done or done.returncode != 0:
            self.skipTest("no file system can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=True)

    # -- stopping -------------------------------------------------------------------------------

    def test_signals(self):
        """SIGUSR1 comes through the launcher; after SIGTERM the launcher's exit code is its own."""
        for ranks, number, whom, code in (
                (None, signal.SIGTERM, "alone", 85), (None, signal.SIGUSR1, "alone", 85),
                (2, signal.SIGTERM, "rank", 85), (4, signal.SIGUSR1, "rank", 85),
                (3, signal.SIGUSR1, "launcher", 85), (3, signal.SIGTERM, "launcher", None)):
            with self.subTest(ranks=ranks, number=number, whom=whom):
                done = self.stop(ranks, number, whom)
                if code is not None:
                    self.expect(done, code, "--resume")
                elif os.path.exists(self.output):  # the launcher took its time, and the end came first
                    self.same(LARGE)
                    continue
                self.assertFalse(os.path.exists(self.output))
                had = case.size(journal(self.output))
                self.assertGreater(had, 0)
                self.expect(sweep(LARGE, self.output, "--resume", ranks=2), 0)
                self.same(LARGE)

    def test_relabellings(self):
        """A sweep that stops before its first pair says which work there is, and goes on with that."""
        words = (*SMALL, "--null", "permutation", "--permutations", "20")
        plain = sweep(words, "plain_draws.nc", "--overwrite")
        self.expect(plain, 0)
        started = Run(("sweep", *words, "-o", self.output))
        self.assertTrue(case.wait_for(lambda: case.size(journal(self.output)) > 0))
        os.kill(started.process.pid, signal.SIGUSR1)
        started.end()
        started.close()
        self.expect(started, 85, f"stopped; 0 pairs and 20 relabellings are in {journal(self.output)}")
        self.expect(sweep(words, self.output, "--resume", ranks=2), 0, "0 pairs and 20 relabellings were saved")
        self.assertEqual(case.differences(self.output, "plain_draws.nc"), [])

    def test_walltime(self):
        """Short jobs one after the other come to the end, each with some more of the work."""
        for ranks in (None, 3):
            case.remove(self.output)
            codes, sizes = [], []
            while len(codes) < 40 and (not codes or codes[-1] != 0):
                done = sweep(LARGE, self.output, "--resume", "--walltime", "0:01", ranks=ranks)
                codes.append(done.returncode)
                sizes.append(case.size(journal(self.output)))
                self.expect(done, (0, 85))
                self.assertLess(done.seconds, 10)
                if done.returncode == 85:
                    self.assertRegex("\n".join(done.lines), "--resume", done.text)
                    self.assertFalse(os.path.exists(self.output))
            self.assertEqual(codes[-1], 0, (codes, sizes))
            self.assertEqual(sorted(sizes[:-1]), sizes[:-1])
            self.same(LARGE)
        self.expect(sweep(SMALL, self.output, "--overwrite", "--walltime", "1:00:00"), 0)

    def test_walltime_stops(self):
        """Exit code 85 and no results, or 0 and results."""
        done = sweep(LARGE, self.output, "--resume", "--walltime", "0:01",
                     ranks=4)
        self.expect(done, (0, 85))
        self.assertEqual(os.path.exists(self.output), done.returncode == 0)

    # -- two jobs -------------------------------------------------------------------------------

    def test_two_jobs(self):
        """The second waits ten seconds for the first, here one that stands still, and gives up."""
        first = Run(("sweep", *LARGE, "-o", self.output, "--resume"))
        case.wait_for(lambda: case.size(journal(self.output)) > 0 or not first.running())
        os.kill(first.process.pid, signal.SIGSTOP)
        try:
            before = digest(journal(self.output))
            for how, ranks in ((("--resume",), None), (("--overwrite",), 2)):
                done = sweep(LARGE, self.output, *how, ranks=ranks)
                self.expect(done, 1, re.escape(self.output), "lock|another|in use|other job")
                self.assertGreater(done.seconds, 9)
                self.assertLess(done.seconds, 30)
                self.assertEqual(digest(journal(self.output)), before, done.text)
                self.assertFalse(os.path.exists(self.output))
        finally:
            os.kill(first.process.pid, signal.SIGCONT)
        first.end()
        first.close()
        self.assertEqual(first.returncode, 0, first.text)
        self.same(LARGE)

    def test_second_job_gets_its_turn(self):
        """A job that waits goes on as soon as the other one has ended, or was killed."""
        for death in (signal.SIGKILL, signal.SIGTERM):
            case.remove(self.output)
            first = Run(("sweep", *LARGE, "-o", self.output, "--resume"))
            case.wait_for(lambda: case.size(journal(self.output)) > 0)
            os.kill(first.process.pid, signal.SIGSTOP)
            second = Run(("sweep", *LARGE, "-o", self.output, "--resume"))
            time.sleep(2)
            self.assertTrue(second.running())
            os.kill(first.process.pid, death)
            os.kill(first.process.pid, signal.SIGCONT)
            first.end()
            second.end()
            first.close()
            second.close()
            self.assertEqual(second.returncode, 0, second.text)
            self.same(LARGE)

    def test_stale_lock(self):
        case.write(self.output + ".lock", b"")
        for ranks in (None, 3):
            done = sweep(SMALL, self.output, "--resume", ranks=ranks)
            self.expect(done, 0)
            self.assertLess(done.seconds, 9)
            case.remove(self.output)

    # -- disks ----------------------------------------------------------------------------------

    def test_size_limit(self):
        """RLIMIT_FSIZE at the size of what is saved, and a little above."""
        self.saved(SMALL, self.output)
        had = case.read(journal(self.output))
        for more in (0, 1, 50, 1000):
            size = len(had) + more
            case.write(journal(self.output), had)
            done = sweep(SMALL, self.output, "--resume", *LOW[SMALL],
                         before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
            self.expect(done, 1, re.escape(self.output))
            self.assertEqual(case.read(journal(self.output))[:len(had)], had, done.text)
            self.assertFalse(os.path.exists(self.output))
        self.expect(sweep(SMALL, self.output, "--resume"), 0)
        self.same(SMALL)

    def test_full_disk(self):
        """A small file system; with more room the same command goes on."""
        folder = "full_disk"
        self.mount(folder, "-t", "tmpfs", "-o", "size=64k", "none")
        output, filler = os.path.join(folder, "x.nc"), os.path.join(folder, "filler")
        for ranks in (None, 3):
            for filled in (65536, 57344, 49152, 0):
                for name in os.listdir(folder):
                    os.remove(os.path.join(folder, name))
                case.write(filler, b"1" * filled)
                done = sweep(SMALL, output, "--resume", *LOW[SMALL], ranks=ranks)
                self.expect(done, 1, "[Ss]pace")
                self.assertFalse(os.path.exists(output))
            self.assertGreater(case.size(journal(output)), 0)
            subprocess.run(["mount", "-o", "remount,size=4m", folder], check=True)
            self.expect(sweep(SMALL, output, "--resume"), 0)
            self.assertEqual(case.differences(output, self.plain[SMALL]), [])
            self.assertEqual(case.leftovers(output), [])
            for name in os.listdir(folder):
                os.remove(os.path.join(folder, name))
            subprocess.run(["mount", "-o", "remount,size=64k", folder], check=True)

    def test_no_place_to_write(self):
        for output in ("no_such_folder/x.nc", "/proc/self/x.nc", "small_a.npz/x.nc"):
            for ranks in (None, 3):
                done = sweep(SMALL, output, "--resume", ranks=ranks)
                self.expect(done, (1, 2), re.escape(output.rpartition("/")[0]))

    def test_read_only_folder(self):
        """The superuser may write in any folder, but not on a file system that is read-only."""
        folder = "read_only"
        if os.geteuid() == 0:
            self.mount(folder, "-t", "tmpfs", "-o", "ro,size=64k", "none")
        else:
            os.makedirs(folder, exist_ok=True)
            os.chmod(folder, 0o555)
        for ranks in (None, 3):
            for how in ("--resume", "--overwrite"):
                self.expect(sweep(SMALL, folder + "/x.nc", how, ranks=ranks), 1, folder)


if __name__ == "__main__":
    unittest.main(argv=sys.argv, verbosity=2)
