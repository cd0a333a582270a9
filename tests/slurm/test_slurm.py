"""Jobs in a SLURM cluster of two emulated nodes: time limits, lost nodes, scancel.

test_slurm.py Train, test_slurm.py Sweep: the jobs of one command."""
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import netCDF4
import numpy as np

import cluster

BIN = os.environ["CONTRASIM_BIN"]
ALONE = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self", "OMPI_MCA_ess_singleton_isolated": "1"}
UNDISTURBED_S = 30  # how long a long job lasts about, if nothing happens to it
slurm = None  # the cluster; made first, as the program may be skipped for the lack of one


def make_sets(sites, widths, examples):
    rng = np.random.default_rng(3)
    hidden = rng.standard_normal((examples, 12))
    for name, width in zip("ab", widths):
        np.savez(f"{name}.npz", **{f"l{i:02}": (hidden @ rng.standard_normal((12, width)) + 0.3 *
                                                rng.standard_normal((examples, width))).astype("f4")
                                   for i in range(sites)})


def alone(*words, background=False):
    """The program on one rank, outside of the cluster."""
    start = subprocess.Popen if background else subprocess.run
    done = start([BIN, *words, "-q"], env={**os.environ, **ALONE}, stdout=subprocess.DEVNULL)
    assert background or done.returncode == 0, words
    return done


class Case(unittest.TestCase):
    def done(self, job, restarts):
        """The job ended well, after so many restarts at least: more where the machine is slow."""
        about = job.wait_end(200)
        self.assertEqual((about["JobState"], about["ExitCode"]), ("COMPLETED", "0:0"), job.log())
        self.assertGreaterEqual(int(about["Restarts"]), restarts, job.log())


class Train(Case):
    words = ("a.npz", "b.npz", "--batch", "256", "--lr", "1e-3")

    @classmethod
    def setUpClass(cls):
        make_sets(3, (96, 80), 512)
        times = []
        for epochs in (2, 12):
            start = time.monotonic()
            alone("train", *cls.words, "--epochs", str(epochs), "-o", "clock.nc", "--resume")
            times.append(time.monotonic() - start)
        # two ranks are at most twice as fast
        cls.long = max(20, int(20 * UNDISTURBED_S / times[1]))
        cls.short = max(10, cls.long // 5)
        cls.plain = {}
        for epochs in (cls.long, cls.short):
            cls.plain[epochs] = alone("train", *cls.words, "--epochs", str(epochs), "-o",
                                      f"plain{epochs}.nc", background=True)

    @classmethod
    def tearDownClass(cls):
        for process in cls.plain.values():
            process.kill()
            process.wait()

    def train(self, epochs, output, **how):
        return slurm.submit("train.sbatch", *self.words, "--epochs", str(epochs), "-o", output, **how)

    def fake_srun(self, *lines):
        """A folder before all others on the PATH of a job."""
        folder = tempfile.mkdtemp(prefix="fake-", dir=os.getcwd())
        with open(f"{folder}/srun", "w", encoding="utf-8") as file:
            file.write("\n".join(("#!/bin/sh", *lines, "")))
        os.chmod(f"{folder}/srun", 0o755)
        return {"PATH": f"{folder}:{slurm.env['PATH']}", "CONTRASIM_LAUNCHER": "srun"}

    def check(self, epochs, output):
        self.assertEqual(self.plain[epochs].wait(timeout=120), 0)
        self.assertTrue(filecmp.cmp(output, f"plain{epochs}.nc", shallow=False))

    def test_limit(self):
        """The warning comes some 13 seconds after the start; the job goes on to the end."""
        slurm.wait_before_tick(13)
        job = self.train(self.long, "limit.nc", minutes=1, lead=25)
        self.done(job, 1)
        for part in ("start 1, by srun", "with everything saved in limit.nc; --resume goes on",
                     "back into the queue", "start 2, by srun", "limit.nc: going on after epoch",
                     "limit.nc: encoder for measure contrasim"):
            self.assertIn(part, job.log())
        self.check(self.long, "limit.nc")

    def test_lost_node(self):
        """Under mpirun, which notices before SLURM does."""
        job = self.train(self.short, "lost.nc", env={"CONTRASIM_LAUNCHER": "mpirun"})
        job.wait("two checkpoints", lambda: os.path.exists("lost.nc.prev"))
        job.lose_node("n1")
        self.done(job, 1)
        self.assertIn("lost.nc: going on after epoch", job.log())
        self.check(self.short, "lost.nc")

    def test_most_restarts(self):
        """Not for ever: the last stop is a failure, with all saved."""
        job = self.train(self.long, "most.nc", env={"CONTRASIM_LAUNCHER": "mpirun",
                                                    "CONTRASIM_RESTARTS": "0"})
        job.wait("a checkpoint", lambda: os.path.exists("most.nc"))
        job.warn()
        about = job.wait_end()
        self.assertEqual((about["JobState"], about["ExitCode"]), ("FAILED", "1:0"), job.log())
        self.assertIn("with everything saved in most.nc", job.log())
        self.assertIn("stopped after 0 restarts", job.log())
        with netCDF4.Dataset("most.nc") as data:
            self.assertEqual(data.state_finished, 0)
            self.assertGreater(data.state_step, 0)

    def test_cancel(self):
        """A job that its user takes back stays away, with its work saved."""
        job = self.train(self.long, "cancel.nc")
        job.wait("two checkpoints", lambda: os.path.exists("cancel.nc.prev"))
        slurm.run("scancel", job.number)
        about = job.wait_end()
        job.wait("the last word", lambda: "SLURM is ending the job" in job.log())
        self.assertEqual((about["JobState"], about["Restarts"]), ("CANCELLED", "0"))
        self.assertIn("with everything saved in cancel.nc", job.log())

    def test_step_that_never_started(self):
        """srun may give 0 for it; the job does not."""
        env = self.fake_srun("echo 'srun: error: task launch failed' >&2")
        job = self.train(self.long, "never.nc", env=env)
        about = job.wait_end()
        self.assertEqual((about["JobState"], about["ExitCode"]), ("FAILED", "1:0"), job.log())
        self.assertIn("has not said that it wrote its output", job.log())

    def test_crash(self):
        """Once is an accident, twice is not."""
        env = self.fake_srun(f'[ -e crashed ] && exec {shutil.which("srun")} "$@"', "touch crashed",
                             "exit 139")
        job = self.train(1, "crash.nc", env=env)
        self.done(job, 0)
        self.assertIn("a rank has died, code 139; the program is started once more", job.log())
        job = self.train(1, "crash2.nc", env=self.fake_srun("exit 139"))
        about = job.wait_end()
        self.assertEqual((about["JobState"], about["ExitCode"]), ("FAILED", "139:0"), job.log())

    def test_failures(self):
        """The exit code of the program is that of the job."""
        job = slurm.submit("train.sbatch", "a.npz", "gone.npz", "-o", "gone.nc")
        about = job.wait_end()
        self.assertEqual((about["JobState"], about["ExitCode"]), ("FAILED", "1:0"), job.log())
        self.assertIn("gone.npz", job.log())

    def test_program_without_launcher(self):
        with open("bare.sbatch", "w", encoding="utf-8") as file:
            file.write("#!/bin/bash\ncontrasim info a.npz\n")
        job = slurm.submit(os.path.abspath("bare.sbatch"))
        self.done(job, 0)
        self.assertIn("this job has 2 tasks, but the program runs as one rank", job.log())


class Sweep(Case):
    @classmethod
    def setUpClass(cls):
        make_sets(64, (400, 400), 800)
        times = []
        for layers in (2, 8):
            start = time.monotonic()
            alone("sweep", *cls.words(layers), "-o", "clock.nc", "--overwrite")
            times.append(time.monotonic() - start)
        a_pair = max(times[1] - times[0], 0.1) / (8 * 8 - 2 * 2)
        cls.layers = min(64, max(16, round((2 * UNDISTURBED_S / a_pair) ** 0.5)))
        cls.plain = alone("sweep", *cls.words(cls.layers), "-o", "plain.nc", background=True)

    @classmethod
    def tearDownClass(cls):
        cls.plain.kill()
        cls.plain.wait()

    @staticmethod
    def words(layers):
        return ("a.npz", "b.npz", "--layers", f"0:{layers}", "--measures", "cka,svcca,procrustes")

    def same_values(self, file, other, shape):
        """All variables of the two files, bit by bit."""
        with netCDF4.Dataset(file) as one, netCDF4.Dataset(other) as two:
            self.assertEqual(list(one.variables), list(two.variables))
            for name in one.variables:
                values = [v[:].tobytes() if v.dtype != str else list(v[:])
                          for v in (one[name], two[name])]
                self.assertEqual(*values, name)
            self.assertEqual(one["svcca"].shape, shape)
            self.assertTrue(np.isfinite(one["svcca"][:].filled(np.nan)).all())

    def test_warning_and_lost_node(self):
        words = (*self.words(self.layers), "-o", "results.nc")
        job = slurm.submit("sweep.sbatch", *words)
        saved = "results.nc.journal"
        job.wait("finished pairs", lambda: os.path.exists(saved))
        job.warn()
        job.wait("the second start", lambda: "start 2, by srun" in job.log())
        self.assertIn("back into the queue", job.log())
        self.assertFalse(os.path.exists("results.nc"))
        size = os.path.getsize(saved)
        job.wait("more pairs", lambda: os.path.getsize(saved) > size)
        job.lose_node("n1")
        self.done(job, 2)
        self.assertRegex(job.log(), r"results\.nc: 3 measures, \d+ values, 0 undefined, 0 failed")
        self.assertEqual(self.plain.wait(timeout=200), 0)
        self.same_values("results.nc", "plain.nc", (self.layers, self.layers))
        job = slurm.submit("sweep.sbatch", *words)
        self.done(job, 0)
        self.assertIn("results.nc is finished", job.log())

    def test_array(self):
        """The parts of a sweep, each a job; %a is the number of a job."""
        words = self.words(3)
        job = slurm.submit("sweep.sbatch", *words, "--part", "%a/2", "-o", "part%a.nc", array="1-2")
        job.wait("both parts", lambda: os.path.exists("part1.nc") and os.path.exists("part2.nc"))
        alone("merge", "part1.nc", "part2.nc", "-o", "joined.nc")
        alone("sweep", *words, "-o", "single.nc")
        self.same_values("joined.nc", "single.nc", (3, 3))


class Scripts(unittest.TestCase):
    def test_same_but_for_their_heads(self):
        parts = []
        for command in ("train", "sweep"):
            with open(os.path.join(cluster.JOBS, f"{command}.sbatch"), encoding="utf-8") as file:
                head, tail = file.read().split("# ---- from here on, ")
            self.assertIn(f"\ncommand={command}\n", head)
            parts.append((tail, [s for s in head.splitlines() if s.startswith("#SBATCH")
                                 and "--job-name" not in s]))
        self.assertEqual(*parts)


if __name__ == "__main__":
    slurm = cluster.Cluster(2)
    unittest.main(argv=sys.argv, verbosity=2)
