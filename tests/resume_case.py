"""What the tests of sweeps that stop and go on have in common: sets, runs with a watchdog, and the
comparison of results."""
import hashlib
import itertools
import os
import re
import signal
import subprocess
import time
import unittest

import netCDF4
import numpy as np

BIN = os.environ["CONTRASIM_BIN"]
MPIEXEC = os.environ["CONTRASIM_MPIEXEC"]
IO_FAULT = os.path.join(os.environ["CONTRASIM_BUILD"], "tests", "libio_fault.so")
# Open MPI starts five times faster when it need not look for networks or be ready to spawn.
ALONE = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self", "OMPI_MCA_ess_singleton_isolated": "1"}
NOISE = re.compile(r"^(-+|)$|mpi(run|exec)|Primary job|a non-zero exit code|the job to be"
                   r" terminated|Process name:|Exit code:|^\[|--help|PMIX|ORTE|Open MPI")
TAG = "CONTRASIM_TEST_RUN"  # marks the processes of one run, orphans too
HANG = 60  # seconds after which a run hangs that should take a few
SMALL = ("small_a.npz", "small_b.npz", "--pairs", "all", "--measures",
         "cka,cka_debiased,cka_lange,hsic,cca_mean,svcca,pwcca,linreg,procrustes,nbs,gulp,norm,"
         "soft_corr")
LARGE = ("large_a.npz", "large_b.npz", "--pairs", "all", "--measures",
         "cka,cka_debiased,svcca,pwcca,linreg,procrustes")
GRAM = ("small_a.npz", "small_b.npz", "--pairs", "all", "--measures", "cka,hsic")
TILES = ("tiles_a.npz", "tiles_b.npz", "--pairs", "all", "--measures",
         "cka,cka_rbf,cka_rbf_debiased,cka_minibatch,rsa,distcorr,unif_diff,nngs,cknna,second_cos",
         "--nngs.k", "5,20", "--batch", "50")
# little memory: layers come in blocks, and pairs in more and smaller records
LOW = {SMALL: ("--memory", "400K"), GRAM: ("--memory", "400K"), LARGE: ("--memory", "12M"),
       TILES: ("--memory", "10M")}
_numbers = itertools.count(1)


class Hang(AssertionError):
    """A run that did not end."""


# -- sets ---------------------------------------------------------------------------------------


def layers(seed, rows, widths, flat=True):
    """Layers with something in common; the last one is constant: most measures cannot take it."""
    rng = np.random.default_rng(seed)
    common = np.random.default_rng(0).standard_normal((rows, 24))
    made = [(common @ rng.standard_normal((24, d)) + 0.3 * rng.standard_normal((rows, d)))
            .astype("f4") for d in widths]
    return made + ([np.full((rows, 3), 2.5, "f4")] if flat else [])


def write_set(name, made):
    np.savez(name, **{f"l{i:02d}": x for i, x in enumerate(made)})


def write_sets():
    """SMALL has 45 pairs and takes a tenth of a second, LARGE has 325 and takes a second or two; TILES
    has 21, in passes over all pairs of examples."""
    write_set("small_a.npz", layers(1, 200, (12, 17, 31)))
    write_set("small_b.npz", layers(2, 200, (9, 24, 16, 40)))
    write_set("large_a.npz", layers(3, 800, range(120, 180, 5)))
    write_set("large_b.npz", layers(4, 800, range(118, 178, 5), flat=False))
    write_set("tiles_a.npz", layers(5, 400, (20, 37, 31)))
    write_set("tiles_b.npz", layers(6, 400, (40, 33), flat=False))


# -- results ------------------------------------------------------------------------------------


def everything(path):
    """All contents of a results file but what may differ between two runs."""
    with netCDF4.Dataset(path) as f:
        f.set_auto_maskandscale(False)
        found = {"dims": {k: len(d) for k, d in f.dimensions.items()}, "order": list(f.variables)}
        for name in f.ncattrs():
            if name != "history" and not name.startswith("run_"):
                found["attribute " + name] = np.array(f.getncattr(name)).tolist()
        for name, v in f.variables.items():
            data = v[:]
            raw = data.tolist() if data.dtype == object else data.tobytes()
            found[name] = (v.dimensions, str(v.dtype), raw,
                           {k: repr(v.getncattr(k)) for k in v.ncattrs()})
    return found


def differences(path, other):
    """Names of the contents in which two results files differ."""
    a, b = everything(path), everything(other)
    return sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))


def leftovers(output):
    """What a finished run must not leave behind."""
    return [output + end for end in (".journal", ".lock") if os.path.exists(output + end)]


def remove(output):
    for name in os.listdir("."):
        if name == output or name.startswith(output + "."):
            os.remove(name)


def size(path):
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


# -- processes ----------------------------------------------------------------------------------


def proc(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def alive(pid):
    state = proc(pid, "stat").rpartition(b")")[2].split()
    return bool(state) and state[0] not in (b"Z", b"X")


def members(tag, program=os.path.basename(BIN)[:15].encode()):
    """Living processes of a run, by the name of their program; all of them without a name."""
    mark = f"{TAG}={tag}".encode()
    return [int(p) for p in filter(str.isdigit, os.listdir("/proc"))
            if mark in proc(p, "environ").split(b"\0") and proc(p, "comm").startswith(program)
            and alive(p)]


def wait_for(condition, seconds=20, step=0.005):
    """Whether a condition came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True


def kill(pids, number=signal.SIGKILL):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class Run:
    """One started run of the program, alone (ranks=None) or under the launcher."""

    def __init__(self, words, ranks=None, env=None, before=None):
        self.tag = f"{os.getpid()}.{next(_numbers)}"
        self.ranks = ranks
        self.words = ([MPIEXEC, str(ranks)] if ranks else []) + [BIN, *map(str, words)]
        # processes side by side may remove each other's session folders
        session = os.path.abspath(f"session/{self.tag}")
        os.makedirs(session, exist_ok=True)
        env = {**os.environ, **({} if ranks else ALONE), "OMPI_MCA_orte_tmpdir_base": session,
               TAG: self.tag, **(env or {})}
        self.began = time.monotonic()
        self.out, self.err = open(f"{session}.out", "w+b"), open(f"{session}.err", "w+b")
        self.process = subprocess.Popen(self.words, env=env, stdin=subprocess.DEVNULL,
                                        stdout=self.out, stderr=self.err, preexec_fn=before)

    def pids(self):
        """The ranks."""
        return members(self.tag)

    def running(self):
        return self.process.poll() is None

    def wait_for_ranks(self):
        many = self.ranks or 1
        wait_for(lambda: len(self.pids()) >= many or not self.running())

    def say(self):
        """What a run that hangs is doing; then it is ended."""
        lines = []
        for pid in self.pids():
            wait = proc(pid, "wchan").decode(errors="replace")
            state = re.findall(rb"State:\s*(\S)", proc(pid, "status"))
            lines.append(f"pid {pid}: state {state}, waits in {wait}")
            gdb = subprocess.run(["timeout", "20", "gdb", "-p", str(pid), "-batch", "-ex", "bt 25"],
                                 capture_output=True, text=True, check=False)
            lines += [s for s in gdb.stdout.splitlines() if s.startswith("#")]
        kill(members(self.tag, b""))
        return "\n".join(lines)

    def end(self, seconds=HANG):
        """Wait for the end, of orphans too; a hang is an error."""
        try:
            self.returncode = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            text = self.say()
            self.process.wait()
            raise Hang(f"no end after {seconds} s: {' '.join(self.words)}\n{text}\n"
                       f"{self.texts()}") from None
        self.seconds = time.monotonic() - self.began
        return self.returncode

    def gone(self, seconds=30):
        """Wait until no process of the run is left; ranks that stay are an error."""
        if not wait_for(lambda: not self.pids(), seconds):
            raise Hang(f"ranks live {seconds} s after the end of {' '.join(self.words)}\n"
                       f"{self.say()}")

    def texts(self):
        found = []
        for file in (self.out, self.err):
            file.seek(0)
            found.append(file.read().decode(errors="replace"))
        self.stdout, self.stderr = found
        self.lines = [s for s in self.stderr.splitlines()
                      if s.startswith("contrasim: ") or not (self.ranks and NOISE.search(s))]
        self.errors = [s for s in self.lines if "error:" in s]
        return f"{' '.join(self.words)}\nstdout: {self.stdout}\nstderr: {self.stderr}"

    def close(self):
        self.text = self.texts()
        self.out.close()
        self.err.close()


def run(*words, seconds=HANG, **how):
    """Run the program to its end."""
    started = Run(words, **how)
    try:
        started.end(seconds)
        started.gone()
    finally:
        started.close()
    return started


def sweep(case, output, *words, **how):
    return run("sweep", *case, "-o", output, *words, **how)


def journal(output):
    return output + ".journal"


def faulty(fault, name):
    """The environment in which a call on files named name… fails: see io_fault.c."""
    if os.path.exists("calls.log"):
        os.remove("calls.log")
    return {"LD_PRELOAD": IO_FAULT, "CSIM_IO_FAULT": f"{fault}:{name}",
            "CSIM_IO_FAULT_LOG": os.path.abspath("calls.log")}


def calls():
    """What the last such run did to its files: number, call, bytes, path."""
    with open("calls.log", "a+", encoding="utf-8") as file:
        file.seek(0)
        found = [line.split() for line in file]
    return [(int(number), call, int(n), path) for number, call, n, path in found]


def journal_records():
    """What is written to the journal between two syncs is a record: number of the call, size."""
    found, total = [], 0
    for number, call, n, path in calls():
        if path.endswith(".journal"):
            total += n if "write" in call else 0
            if "sync" in call:
                found.append((number, total))
    return found


def digest(path):
    return hashlib.sha256(read(path)).hexdigest() if os.path.exists(path) else None


# -- the tests that unittest runs ---------------------------------------------------------------


class Resume(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        write_sets()
        cls.plain = {}
        for words, name in ((SMALL, "plain_small.nc"), (LARGE, "plain_large.nc"),
                            (GRAM, "plain_gram.nc"), (TILES, "plain_tiles.nc")):
            remove(name)
            done = sweep(words, name)
            assert done.returncode == 0, done.text
            cls.plain[words] = name

    def setUp(self):
        self.output = self.id().rpartition(".")[2] + ".nc"
        remove(self.output)

    def expect(self, done, code, *parts):
        codes = code if isinstance(code, tuple) else (code,)
        self.assertIn(done.returncode, codes, done.text)
        for part in parts:
            self.assertRegex("\n".join([done.stdout, *done.lines]), part, done.text)
        if done.returncode not in (0, 3, 85):
            self.assertEqual(len(done.errors), 1, done.text)

    def same(self, words, output=None):
        output = output or self.output
        self.assertEqual(differences(output, self.plain[words]), [])
        self.assertEqual(leftovers(output), [])

    @classmethod
    def saved(cls, words, output, share=0.6):
        """Leave a job's work behind: killed when that share of the records is in the journal. The
        sizes of the journal after each record."""
        remove(output)
        how = ("--resume", *LOW.get(words, LOW[SMALL]))
        done = sweep(words, output, *how, env=faulty("none:1", output))
        assert done.returncode == 0, done.text
        records = journal_records()
        assert len(records) > 8, f"few records in the journal: {calls()}"
        remove(output)
        last = int(share * len(records))
        done = sweep(words, output, *how, env=faulty(f"torn:{records[last][0]}", output))
        assert done.returncode == -signal.SIGKILL and not os.path.exists(output), done.text
        ends = [end for _, end in records[:last + 1]]
        assert ends[-1] == size(journal(output)), (ends, size(journal(output)))
        return ends

    def stop(self, ranks, number, whom="rank"):
        """A job of LARGE that is asked to stop in the midst of its pairs."""
        remove(self.output)
        started = Run(("sweep", *LARGE, "-o", self.output, "--resume"),
                      ranks)
        begin = []
        def grown():
            now = size(journal(self.output))
            if now > 0 and now not in begin:
                begin.append(now)
            return len(begin) > 3 or not started.running()
        wait_for(grown, seconds=40, step=0.001)
        pids = started.pids()
        if whom == "launcher" or ranks is None:
            os.kill(started.process.pid, number)
        else:
            os.kill(pids[-1], number)
        started.end()
        started.gone()
        started.close()
        return started
