"""contrasim train as its users meet it: files, exit codes, messages, signals, and killed ranks.

CONTRASIM_KILLS is how many ranks are killed at least (by default 15)."""
import filecmp
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

import netCDF4
import numpy as np

BIN = os.environ["CONTRASIM_BIN"]
MPIEXEC = os.environ["CONTRASIM_MPIEXEC"]
KILLS = int(os.environ.get("CONTRASIM_KILLS", "15"))
# Open MPI starts five times faster when it need not look for networks or be ready to spawn.
ALONE = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self", "OMPI_MCA_ess_singleton_isolated": "1"}
NOISE = re.compile(r"^(-+|)$|mpi(run|exec) detected|Primary job|a non-zero exit code|the job to be"
                   r" terminated|Process name:|Exit code:|^\[|mpirun: Forwarding")
SMALL = ("--hidden", "16,8", "--out", "8", "--batch", "128", "--lr", "1e-3")


def command(words, ranks):
    return ([MPIEXEC, str(ranks)] if ranks else []) + [BIN, *words]


def environment(ranks, env):
    return {**os.environ, **({} if ranks else ALONE), **(env or {})}


def run(*words, ranks=None, env=None):
    """Run the program; lines of stderr that the launcher wrote itself are left out."""
    done = subprocess.run(command(words, ranks), env=environment(ranks, env), text=True,
                          timeout=100, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    done.lines = [s for s in done.stderr.splitlines() if not (ranks and NOISE.search(s))]
    done.errors = [s for s in done.lines if "error:" in s]
    return done


def children(pid):
    """Processes of the program that a launcher has started."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        program = text[text.index("(") + 1:text.rindex(")")]
        state, parent = text[text.rindex(")") + 2:].split()[:2]
        if int(parent) == pid and program.startswith("contrasim") and state != "Z":
            found.append(int(name))
    return found


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("waited in vain")
        time.sleep(0.005)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def remove(*names):
    for name in names:
        for path in (name, name + ".prev"):
            if os.path.exists(path):
                os.remove(path)


class Train(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rng = np.random.default_rng(5)
        hidden = rng.standard_normal((400, 6))
        cls.sets = {}
        for name, widths in (("a", (12, 9)), ("b", (12, 10)), ("odd", (17, 12))):
            cls.sets[name] = [(hidden @ rng.standard_normal((6, d)) +
                               0.3 * rng.standard_normal((400, d))).astype("f4") for d in widths]
            np.savez(f"{name}.npz", **{f"l{i}": x for i, x in enumerate(cls.sets[name])})
        np.savez("short.npz", **{f"l{i}": x[:399] for i, x in enumerate(cls.sets["b"])})
        np.savez("one.npz", l0=cls.sets["b"][0])
        with netCDF4.Dataset("labels.nc", "w") as data:
            data.createDimension("example", 400)
            data.createDimension("neuron_l0", 12)
            data.createVariable("l0", "f4", ("example", "neuron_l0"))[:] = cls.sets["a"][0]
            kind = data.createVariable("label_kind", "i4", ("example",), fill_value=-9)
            kind[:] = np.ma.masked_equal(np.arange(400) % 5, 4)
            data.createVariable("label_none", "i4", ("example",))[:] = -1
            data.Conventions = "contrasim-1"

    def expect(self, done, code, *parts):
        text = f"{' '.join(done.args)}\nstdout: {done.stdout}\nstderr: {done.stderr}"
        self.assertEqual(done.returncode, code, text)
        for part in parts:
            self.assertIn(part, "\n".join(done.lines), text)
        if code not in (0, 85):
            self.assertEqual(len(done.errors), 1, text)

    def train(self, output, *words, sets=("a.npz", "b.npz"), **how):
        return run("train", *sets, "-o", output, *SMALL, *words, **how)

    def same(self, a, b):
        self.assertTrue(filecmp.cmp(a, b, shallow=False), f"{a} and {b} differ")

    # -- files ----------------------------------------------------------------------------------

    def test_same_file_on_any_ranks(self):
        cases = {"row": (), "set": ("--item", "set"), "early": ("--early-stop", "--held-out", "0.3"),
                 "init": ("--init", "2", "--views", "2")}
        for name, words in cases.items():
            for ranks in (None, 1, 2, 3, 4):
                file = f"{name}{ranks}.nc"
                done = self.train(file, "--epochs", "2", *words, ranks=ranks)
                self.expect(done, 0)
                self.assertEqual(done.stdout, f"{file}: encoder for measure contrasim\n")
                self.same(f"{name}None.nc", file)
                self.same(f"{name}None.nc.prev", file + ".prev")
        ours = tuple(f"{name}{ranks}" for name in cases for ranks in (None, 1, 2, 3, 4))
        left = [s for s in os.listdir(".") if s.startswith(ours)]
        self.assertFalse([s for s in left if not re.search(r"\.nc(\.prev)?$", s)])

    def test_notions(self):
        for ranks in (None, 3):
            done = self.train("notions.nc", "--loss", "mscon", "--notions", "kind", "--epochs", "2",
                              "--overwrite", sets=("labels.nc",), ranks=ranks)
            self.expect(done, 0)
            self.assertIn("measure mscon", done.stdout)
        with netCDF4.Dataset("notions.nc") as data:
            self.assertEqual(data["notion_weight"].shape, (1, 2, 1))
        self.expect(self.train("none.nc", "--loss", "mscon", "--notions", "none",
                               sets=("labels.nc",)), 1, "label_none is missing in every example")

    def test_run_file(self):
        with open("train.ini", "w", encoding="utf-8") as file:
            file.write("[train]\nset = a.npz\nset = b.npz\nloss = deepdot\nepochs = 1\n"
                       "hidden = none\nout = 4\noutput = ini.nc\n")
        self.expect(run("train", "-c", "train.ini"), 0)
        with netCDF4.Dataset("ini.nc") as data:
            self.assertEqual(data.measure, "deepdot")
            self.assertIn("hidden = none\n", data.configuration)

    def test_log_is_json(self):
        done = self.train("log.nc", "--epochs", "3", "--log-json", ranks=2)
        self.expect(done, 0)
        events = [json.loads(s) for s in done.lines]
        epochs = [e for e in events if e["event"] == "epoch"]
        self.assertEqual(len(epochs), 3)
        with netCDF4.Dataset("log.nc") as data:
            loss = data["loss"][0]
        for number, event in enumerate(epochs):
            self.assertAlmostEqual(event["loss"], loss[number], places=5)
            self.assertEqual(event["epoch"], number + 1)
            self.assertIn(f"epoch {number + 1} of 3", event["text"])

    # -- refused --------------------------------------------------------------------------------

    def test_usage(self):
        for words, part in ((("--hidden", "many"), "--hidden many"), (("--batch", "0"), "--batch"),
                            (("--lr", "-1"), "--lr"), (("--loss", "hinge"), "contrastive"),
                            (("--temperature", "0"), "--temperature"),
                            (("--held-out", "1"), "--held-out"),
                            (("--item", "set", "--loss", "deepcka"), "--item set goes with"),
                            (("--epoch", "3"), "'--epochs'"), (("--notions", "x"), "--notions")):
            done = self.train("usage.nc", *words, ranks=2 if words[0] == "--hidden" else None)
            self.expect(done, 2, part)
        self.expect(run("train", "a.npz", "b.npz"), 2, "--output is needed")
        self.expect(run("train", "-o", "usage.nc"), 2, "no set is named")
        self.expect(self.train("usage.nc", sets=("a.npz",)), 2, "two sets or more")
        self.expect(self.train("usage.nc", sets=("a.npz", "a.npz")), 2, "a")
        self.assertFalse(os.path.exists("usage.nc"))

    def test_data(self):
        self.expect(self.train("x.nc", sets=("a.npz", "one.npz"), ranks=3), 1, "set one has 1")
        self.expect(self.train("x.nc", sets=("a.npz", "short.npz")), 1, "399")
        self.expect(self.train("x.nc", sets=("a.npz", "gone.npz"), ranks=2), 1, "gone.npz")
        self.expect(self.train("x.nc", "--examples", "5:6"), 1, "at least two")
        bad = [x.copy() for x in self.sets["b"]]
        bad[1][321, 7] = np.nan
        np.savez("bad.npz", **{f"l{i}": x for i, x in enumerate(bad)})
        self.expect(self.train("x.nc", sets=("a.npz", "bad.npz"), ranks=3), 1,
                    "set bad, site l1: NaN at row 321, column 7")
        self.assertFalse(os.path.exists("x.nc"))
        self.expect(self.train("x.nc", "--nan", "drop-rows", "--epochs", "1",
                               sets=("a.npz", "bad.npz"), ranks=3), 0)
        done = self.train("y.nc", "--batch", "100000", "--epochs", "1")
        self.expect(done, 0, "warning: --batch 100000 is more than the 400 training examples")

    def test_loss_that_is_no_number(self):
        words = ("--epochs", "300", "--optimiser", "sgd", "--lr", "1e6", "--weight-decay", "1e4")
        for ranks in (None, 3):
            remove("nan.nc")
            done = self.train("nan.nc", *words, ranks=ranks)
            self.expect(done, 1, "a smaller --lr or --clip may help")
            self.assertRegex(done.errors[0], r"epoch \d+, step \d+: .* not finite")
            with netCDF4.Dataset("nan.nc") as data:
                self.assertEqual(np.isfinite(data["parameters"][:]).all(), True)

    def test_existing_output(self):
        self.expect(self.train("there.nc", "--epochs", "1"), 0)
        shutil.copy("there.nc", "kept.nc")
        self.expect(self.train("there.nc", "--epochs", "1", ranks=2), 1, "there.nc exists")
        self.same("there.nc", "kept.nc")
        self.expect(self.train("there.nc", "--epochs", "1", "--overwrite", "--seed", "2"), 0)
        self.assertFalse(filecmp.cmp("there.nc", "kept.nc", shallow=False))
        shutil.copy("b.npz", "set.npz")
        self.expect(self.train("b.npz", "--overwrite"), 2, "output b.npz is file b.npz of set b, which it would replace")
        self.same("b.npz", "set.npz")

    # -- going on -------------------------------------------------------------------------------

    def test_resume(self):
        self.expect(self.train("plain.nc", "--epochs", "4"), 0)
        self.expect(self.train("grown.nc", "--epochs", "2", "--resume", ranks=3), 0)
        self.expect(self.train("grown.nc", "--epochs", "4", "--resume", ranks=2), 0)
        self.same("grown.nc", "plain.nc")
        done = self.train("grown.nc", "--epochs", "4", "--resume", ranks=2)
        self.expect(done, 0, "grown.nc: finished")
        self.same("grown.nc", "plain.nc")
        self.expect(self.train("grown.nc", "--epochs", "3", "--resume"), 2, "--epochs 4, here 3")
        self.expect(self.train("grown.nc", "--epochs", "4", "--resume", "--seed", "9", ranks=2), 2,
                    "'seed = 0' there, 'seed = 9' here")
        self.expect(self.train("grown.nc", "--epochs", "4", "--resume",
                               sets=("a.npz", "b=odd.npz")), 1, "other data: 'b xxh3_64:")
        self.same("grown.nc", "plain.nc")

    def test_damage(self):
        self.expect(self.train("whole.nc", "--epochs", "3"), 0)
        for name in ("whole.nc", "whole.nc.prev"):
            shutil.copy(name, name.replace("whole", "hurt"))
        with open("hurt.nc", "r+b") as file:
            file.truncate(os.path.getsize("hurt.nc") // 2)
        done = self.train("hurt.nc", "--epochs", "3", "--resume", ranks=2)
        self.expect(done, 0, "warning: hurt.nc (", "going on from hurt.nc.prev",
                    "hurt.nc.prev: going on after epoch 2")
        self.assertNotIn("hurt.nc: going on", done.stderr)
        self.same("hurt.nc", "whole.nc")
        self.same("hurt.nc.prev", "whole.nc.prev")  # not what was damaged
        self.assertTrue(os.path.exists("hurt.nc.damaged"))
        os.remove("hurt.nc")
        shutil.copy("whole.nc.prev", "hurt.nc.prev")
        done = self.train("hurt.nc", "--epochs", "3", "--resume", ranks=2)
        self.expect(done, 0, "warning: hurt.nc is not there; going on from hurt.nc.prev",
                    "hurt.nc.prev: going on after epoch")
        self.same("hurt.nc", "whole.nc")
        for name in ("hurt.nc", "hurt.nc.prev"):
            with open(name, "r+b") as file:
                file.seek(os.path.getsize(name) // 3)
                file.write(b"damage")
        self.expect(self.train("hurt.nc", "--epochs", "3", "--resume", ranks=2), 1,
                    "hurt.nc is damaged", "the one before: hurt.nc.prev is damaged")

    def test_encoders_that_do_not_fit(self):
        self.expect(self.train("fit.nc", "--epochs", "1"), 0)
        words = ("-m", "contrasim", "--encoder")
        done = run("sweep", "a.npz", "b.npz", *words, "fit.nc", "--format", "csv")
        self.expect(done, 0)
        done = run("sweep", "a.npz", "odd.npz", *words, "fit.nc", "--format", "csv", ranks=2)
        self.expect(done, 1, "fit.nc", "17 neurons; it was trained on 12, 9, 10")
        shutil.copy("fit.nc", "broken.nc")
        with open("broken.nc", "r+b") as file:
            file.seek(5000)
            file.write(b"damage")
        for file in ("broken.nc", "a.npz", "gone.nc"):
            done = run("sweep", "a.npz", "b.npz", *words, file, "--format", "csv", ranks=2)
            self.expect(done, 1, file)

    # -- signals and deaths ---------------------------------------------------------------------

    LONG = ("--epochs", "90", "--hidden", "64,32", "--batch", "100")

    @classmethod
    def undisturbed(cls):
        if not os.path.exists("long.nc"):
            done = run("train", "a.npz", "b.npz", "-o", "long.nc", *SMALL, *cls.LONG)
            assert done.returncode == 0, done.stderr
        return "long.nc"

    def start(self, output, ranks, *more):
        words = ("train", "a.npz", "b.npz", "-o", output, *SMALL, *self.LONG, "--resume", *more)
        with open("started.err", "w", encoding="utf-8") as err:
            return subprocess.Popen(command(words, ranks), env=environment(ranks, None),
                                    stdout=subprocess.DEVNULL, stderr=err)

    @staticmethod
    def said():
        with open("started.err", encoding="utf-8") as file:
            return file.read()

    def test_signals(self):
        """The launcher hands SIGUSR1 on and gives the ranks' exit code; after SIGTERM it has one of
        its own, and may end before it has printed what they say. A rank, or the program alone, ends with 85 after either."""
        plain = self.undisturbed()
        cases = ((3, signal.SIGUSR1, "launcher", 85), (2, signal.SIGTERM, "launcher", None),
                 (2, signal.SIGTERM, "rank", 85), (None, signal.SIGTERM, "alone", 85),
                 (None, signal.SIGUSR1, "alone", 85))
        for number, (ranks, which, whom, code) in enumerate(cases):
            remove("signal.nc")
            process = self.start("signal.nc", ranks)
            wait_for(lambda: os.path.exists("signal.nc.prev"))
            time.sleep(0.05)
            pids = children(process.pid)
            target = random.choice(pids) if whom == "rank" else process.pid
            os.kill(target, which)
            got = process.wait(timeout=60)
            wait_for(lambda: not any(map(alive, pids)))
            if code is not None:
                self.assertEqual(got, code, self.said())
                self.assertIn("with everything saved in signal.nc; --resume goes on", self.said())
            with netCDF4.Dataset("signal.nc") as data:
                if code is not None:  # else the launcher may pass it on too late
                    self.assertEqual(data.state_finished, 0)
                self.assertGreater(data.state_step, 0)
            process = self.start("signal.nc", (number + 1) % 3 + 1)
            self.assertEqual(process.wait(timeout=60), 0, self.said())
            self.same("signal.nc", plain)

    def kill_one(self, rng, ranks):
        """Start, kill -9 a rank some time later. Was it still running?"""
        process = self.start("killed.nc", ranks)
        wait_for(lambda: len(children(process.pid)) == ranks or process.poll() is not None)
        pids = children(process.pid)
        end = time.monotonic() + rng.uniform(0.1, 0.7)
        while time.monotonic() < end and process.poll() is None:
            time.sleep(0.002)
        victims = children(process.pid)
        if victims and process.poll() is None:
            os.kill(rng.choice(victims), signal.SIGKILL)
        code = process.wait(timeout=60)
        wait_for(lambda: not any(map(alive, pids)))
        return code != 0

    def step(self):
        """How far the file has come; it must be whole."""
        name = "killed.nc" if os.path.exists("killed.nc") else "killed.nc.prev"
        if not os.path.exists(name):
            return -1
        with netCDF4.Dataset(name) as data:
            data["parameters"][:]
            return int(data.state_step)

    def test_killed_ranks(self):
        plain = self.undisturbed()
        rng = random.Random(1)
        kills = late = 0
        remove("killed.nc")
        while kills < KILLS:
            before = self.step()
            if self.kill_one(rng, rng.choice((2, 2, 3, 4))):
                kills += 1
                self.assertGreaterEqual(self.step(), before)
                late += before > 0
                continue
            self.same("killed.nc", plain)
            remove("killed.nc")
        self.assertGreater(late, KILLS // 4)
        process = self.start("killed.nc", 2)
        self.assertEqual(process.wait(timeout=60), 0, self.said())
        self.same("killed.nc", plain)
        self.assertEqual(self.beside("killed.nc"), ["killed.nc.prev"])

    # -- two jobs -------------------------------------------------------------------------------

    @staticmethod
    def beside(output):
        """Other files that belong to an output."""
        return sorted(s for s in os.listdir(".") if s.startswith(output + "."))

    def stopped(self, output):
        """A training alone that holds its output and does not move; its process."""
        process = self.start(output, None)
        wait_for(lambda: os.path.exists(output + ".prev"))
        os.kill(process.pid, signal.SIGSTOP)
        self.assertIsNone(process.poll())
        self.assertTrue(os.path.exists(output + ".lock"))
        return process

    def test_one_job_an_output(self):
        """A second job, with whatever it may do, is kept off; the first one's bytes do not change."""
        plain = self.undisturbed()
        remove("held.nc")
        process = self.stopped("held.nc")
        try:
            before = os.stat("held.nc").st_mtime_ns
            for words, ranks in ((("--resume",), 2), (("--overwrite",), None)):
                began = time.monotonic()
                done = self.train("held.nc", *self.LONG, *words, ranks=ranks)
                self.assertGreater(time.monotonic() - began, 9.9)
                self.expect(done, 1, "waiting up to 10 s",
                            f"held.nc: another job (process {process.pid} on {os.uname().nodename}) "
                            "works on this output")
            done = run("sweep", "a.npz", "-o", "held.nc", "--overwrite", ranks=2)
            self.expect(done, 1, f"another job (process {process.pid} on ")
            self.assertEqual(os.stat("held.nc").st_mtime_ns, before)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        self.assertEqual(process.wait(timeout=60), 0, self.said())
        self.same("held.nc", plain)
        self.assertEqual(self.beside("held.nc"), ["held.nc.prev"])

    def test_killed_holder(self):
        """Its lock goes with it; what it left is cleared away by the next job."""
        plain = self.undisturbed()
        for how in ("train", "sweep"):
            remove("dead.nc")
            process = self.stopped("dead.nc")
            process.kill()
            process.wait(timeout=20)
            self.assertIn("dead.nc.lock", self.beside("dead.nc"))
            for name in (f"dead.nc.partial.{process.pid}", "dead.nc.prev.partial.77"):
                with open(name, "w", encoding="utf-8") as file:
                    file.write("half of a")
            left = len([s for s in self.beside("dead.nc") if ".partial." in s])
            if how == "train":
                done = self.train("dead.nc", *self.LONG, "--resume", ranks=3)
                self.same("dead.nc", plain)
            else:
                done = run("sweep", "a.npz", "-o", "dead.nc", "--overwrite", ranks=2)
            self.expect(done, 0, f"dead.nc: removed {left} unfinished files of jobs that were killed")
            self.assertEqual(self.beside("dead.nc"), ["dead.nc.prev"])

    def test_two_at_once(self):
        """Both are started together: one trains, the other finds it done."""
        plain = self.undisturbed()
        remove("both.nc")
        jobs = [self.start("both.nc", ranks) for ranks in (None, 2)]
        for process in jobs:
            self.assertEqual(process.wait(timeout=60), 0, self.said())
        self.same("both.nc", plain)
        self.assertEqual(self.beside("both.nc"), ["both.nc.prev"])

    def test_faults(self):
        codes = []
        for seed in range(1, 6):
            remove("fault.nc")
            done = self.train("fault.nc", "--epochs", "1", "-q", ranks=3,
                              env={"CONTRASIM_FAULT": f"20:{seed}"})
            codes.append(done.returncode)
            self.assertNotIn("leak", done.stderr)
            self.expect(done, done.returncode if done.returncode in (0, 1) else 1)
        self.assertIn(1, codes)


if __name__ == "__main__":
    unittest.main(argv=sys.argv, verbosity=2)
