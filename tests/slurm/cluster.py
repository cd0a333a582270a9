"""A SLURM cluster for the time of a test, and its jobs."""
import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
JOBS = os.path.join(os.environ["CONTRASIM_SOURCE"], "jobs")
TICK = 30  # slurmctld looks for jobs near their limit this often


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.05)


class Cluster:
    """cluster.sh, which ends with this process; where it cannot run, the test is skipped."""

    def __init__(self, nodes):
        self.folder = tempfile.mkdtemp(prefix="csim-", dir="/tmp")  # short, for sockets
        self.script = subprocess.Popen(
            ["bash", os.path.join(HERE, "cluster.sh"), self.folder, str(nodes)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        atexit.register(self.stop)
        self.started = time.monotonic()
        answer = self.script.stdout.readline().strip()
        if not answer.startswith("ready "):
            if self.script.wait() == 77:
                print(answer, flush=True)
                sys.exit(77)
            raise RuntimeError(f"the cluster does not start: {answer}")
        program = os.path.dirname(os.environ["CONTRASIM_BIN"])
        self.env = {**os.environ, "SLURM_CONF": answer.split(" ", 1)[1],
                    "PATH": f"{program}:{os.environ['PATH']}"}

    def stop(self):
        self.script.stdin.close()
        try:
            self.script.wait(timeout=30)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def order(self, *words):
        """fail NODE, boot NODE."""
        print(*words, file=self.script.stdin, flush=True)
        answer = self.script.stdout.readline()
        assert answer == "done\n", answer

    def run(self, *words, env=None):
        done = subprocess.run(words, env={**self.env, **(env or {})}, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, (words, done.stdout)
        return done.stdout

    def submit(self, script, *words, minutes=10, lead=60, array=None, env=None):
        """A job on two nodes; a warning comes lead seconds before its limit."""
        path = script if os.path.isabs(script) else os.path.join(JOBS, script)
        number = self.run("sbatch", "--parsable", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1",
                          "--mem-per-cpu=500M", f"--time={minutes}", f"--signal=B:USR1@{lead}",
                          *([f"--array={array}"] if array else []), "--output=%j.log", path, *words,
                          env=env)
        return Job(self, number.strip())

    def wait_before_tick(self, seconds):
        """Until slurmctld will look at the limits of jobs in that many seconds."""
        time.sleep((self.started - seconds - time.monotonic()) % TICK)


class Job:
    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number

    def about(self):
        text = self.cluster.run("scontrol", "show", "job", "--oneliner", self.number)
        return dict(re.findall(r"(\S+?)=(\S*)", text))

    def log(self):
        """What the job has said, but for the many lines of progress."""
        try:
            with open(f"{self.number}.log", encoding="utf-8", errors="replace") as file:
                return "".join(s for s in file if not re.search(r"epoch \d+ of|\d %", s))
        except FileNotFoundError:
            return ""

    def warn(self):
        """What SLURM does before the time limit."""
        self.cluster.run("scancel", "--batch", "--signal=USR1", self.number)

    def wait(self, what, condition, seconds=150):
        try:
            wait_for(condition, seconds, f"{what} of job {self.number}")
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.about()}\n{self.log()}") from error

    def is_in(self, *states):
        return self.about()["JobState"] in states

    def wait_end(self, seconds=120):
        over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
        self.wait("the end", lambda: self.is_in(*over), seconds)
        return self.about()

    def lose_node(self, node):
        """Power cut; SLURM misses the node and puts the job back; the node boots again."""
        self.cluster.order("fail", node)
        self.wait("the return to the queue", lambda: self.is_in("PENDING"))
        self.cluster.order("boot", node)
