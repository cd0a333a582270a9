"""What the comparisons share: data, one run of the program, one run of a baseline, medians.

Both sides of a comparison run in turn, A B A B, on the same files. A ratio is taken within each
round, and the median of the ratios is what counts. Baselines are programs of their own: this module
starts them with the thread counts and the environment that serve them best.
"""
import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

# Set on some machines for old versions of OpenBLAS; often it chooses better by itself. Each side of
# a comparison runs with or without them, whichever is faster on a small problem, unless --as-is
# leaves them alone.
KERNEL_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def write_layers(folder, examples, width, layers, seed=7, offset=0.5):
    """Layers that drift away from a shared signal, float32, neurons of unequal variance."""
    rng = np.random.default_rng(seed)
    spread = 1 / (1 + 4 * np.arange(width) / width)
    signal = rng.standard_normal((examples, width)) * spread
    for i in range(layers):
        signal = 0.8 * signal + 0.6 * spread * rng.standard_normal((examples, width))
        np.save(os.path.join(folder, f"layer_{i:02d}.npy"), (signal + offset).astype(np.float32))


def load_layers(folder):
    return [np.load(os.path.join(folder, f)) for f in sorted(os.listdir(folder))
            if f.endswith(".npy")]


def timed(command, env=None):
    """Run to the end: what it printed, wall-clock seconds, processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, env=env, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, wall, cpu


def launcher(ranks):
    """mpirun, or what CONTRASIM_MPIEXEC names: it gets the rank count as its first argument."""
    own = os.environ.get("CONTRASIM_MPIEXEC")
    return [own, str(ranks)] if own else ["mpirun", "-n", str(ranks)]


def program():
    return os.environ.get("CONTRASIM_BIN", "contrasim")


def free_kernel(env):
    return {k: v for k, v in env.items() if k not in KERNEL_VARIABLES}


def program_env():
    env = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    if os.geteuid() == 0:
        env.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    return env


def fastest_program_env(ranks, as_is=False):
    """The environment in which the program's GEMM is fastest, and the kernel it then uses."""
    found = [program_env()]
    if not as_is and any(name in found[0] for name in KERNEL_VARIABLES):
        found.append(free_kernel(found[0]))
    rates = []
    for env in found:
        text, _, _ = timed([*launcher(ranks), program(), "perf", "-q", "--format", "json",
                            "--examples", "512", "--width", "64", "--layers", "2", "--repeat", "1"],
                           env)
        rates.append(json.loads(text)["series"][0]["peak_flops_per_s"])
    env = found[rates.index(max(rates))]
    text, _, _ = timed([program(), "--version"], env)
    blas = [line.split() for line in text.splitlines() if line.startswith("BLAS")]
    return env, " ".join(blas[0][1:]) if blas else "BLAS unknown"


def run_sweep(folder, measures, ranks, *more, env=None):
    """One sweep of all pairs: times, and the matrix of each measure."""
    with tempfile.TemporaryDirectory(prefix="contrasim-bench-") as scratch:
        profile = os.path.join(scratch, "profile.json")
        text, wall, cpu = timed(
            [*launcher(ranks), program(), "sweep", f"set={folder}", "--measures", measures,
             "--pairs", "all", "-q", "--output", os.path.join(scratch, "out.nc"), "--format",
             "json", "--profile-json", profile, *more], env or program_env())
        with open(profile, encoding="utf-8") as file:
            phases = {p["name"]: p for p in json.load(file)["phases"]}
    values = {v["name"]: np.array(v["values"], dtype=float)
              for v in json.loads(text)["variables"]}
    sweep, read = phases["sweep"]["max_s"], phases["read"]["max_s"]
    return {"compute": sweep - read, "read": sweep, "end": wall, "cpu": cpu, "values": values}


def run_baseline(choice, script, task, folder):
    """One run of a baseline: the script again, as a worker, in the chosen Python."""
    text, wall, cpu = timed([choice["python"], "-B", script, "--worker", task, folder],
                            choice["env"])
    out = json.loads(text)
    values = {k: np.array(v) for k, v in out["values"].items()}
    return {"compute": out["compute_s"], "read": out["load_s"] + out["compute_s"], "end": wall,
            "cpu": cpu, "values": values, "about": out["about"]}


def choices(pythons, threads, as_is=False):
    """Every Python, with the environment as it is and without the variables that choose a kernel."""
    found = []
    for python in pythons:
        env = dict(os.environ, OPENBLAS_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads),
                   MKL_NUM_THREADS=str(threads))
        found.append({"python": python, "env": env})
        if not as_is and any(name in env for name in KERNEL_VARIABLES):
            found.append({"python": python, "env": free_kernel(env)})
    return found


def fastest(found, script, task, say):
    """Try all on a small problem, twice, and take the one with the best time."""
    if len(found) == 1:
        return found[0]
    with tempfile.TemporaryDirectory(prefix="contrasim-bench-") as folder:
        write_layers(folder, 1500, 384, 4)
        for choice in found:
            runs = [run_baseline(choice, script, task, folder) for _ in range(2)]
            choice["probe"] = min(r["compute"] for r in runs)
            say(f"probe {choice['probe']:.3f} s: {runs[0]['about']}")
    return min(found, key=lambda c: c["probe"])


def disagreement(ours, theirs):
    """Largest difference over all measures and pairs, relative to the largest value where that is
    above 1. A distance of a site from itself is a root of rounding errors and is left out."""
    worst = 0.0
    for name, right in theirs.items():
        left, right = ours[name].copy(), right.copy()
        if name == "procrustes":
            np.fill_diagonal(left, 0)
            np.fill_diagonal(right, 0)
        worst = max(worst, np.max(np.abs(left - right)) / max(1.0, np.max(np.abs(right))))
    return worst


def blas_kernel():
    """Version and kernel of the OpenBLAS in this process, if there is one."""
    import ctypes
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {line.split()[-1] for line in maps if "openblas" in line}
    for path in sorted(paths):
        library = ctypes.CDLL(path)
        for prefix, suffix in (("", ""), ("scipy_", "64_"), ("", "64_"), ("scipy_", "")):
            try:
                get = getattr(library, f"{prefix}openblas_get_config{suffix}")
                core = getattr(library, f"{prefix}openblas_get_corename{suffix}")
            except AttributeError:
                continue
            get.restype = core.restype = ctypes.c_char_p
            version = get().decode().split()
            return f"{' '.join(version[:2])}, kernel {core().decode()}"
    return "BLAS unknown"


def options(text, **defaults):
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--worker", nargs=2, metavar=("TASK", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--examples", type=int, default=4000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--ranks", type=int, default=2, help="also the threads of the baseline")
    parser.add_argument("--rounds", type=int, default=defaults.get("rounds", 5))
    parser.add_argument("--markdown", action="store_true", help="print rows of a table only")
    parser.add_argument("--as-is", action="store_true",
                        help=f"leave {' and '.join(KERNEL_VARIABLES)} as they are on both sides")
    parser.add_argument("--python", action="append", default=[], metavar="PATH",
                        help="a Python to try as the baseline; may be repeated")
    return parser


def say(line):
    print(line, file=sys.stderr, flush=True)


def compare(title, script, task, measures, target, args):
    """A B A B on one problem; prints a line or a row. Returns whether the values agree."""
    found = choices(args.python or [sys.executable], args.ranks, args.as_is)
    small = args.examples < 1000  # a check of the values: any baseline will do
    choice = found[0] if small else fastest(found, script, task, say)
    env, blas = (program_env(), "") if small else fastest_program_env(args.ranks, args.as_is)
    say(f"program: {blas}")
    rounds = []
    with tempfile.TemporaryDirectory(prefix="contrasim-bench-") as folder:
        write_layers(folder, args.examples, args.width, args.layers)
        for i in range(args.rounds):
            theirs = run_baseline(choice, script, task, folder)
            ours = run_sweep(folder, measures, args.ranks, env=env)
            rounds.append((ours, theirs))
            say(f"{title}, round {i + 1}: baseline {theirs['compute']:.3f} s, program "
                f"{ours['compute']:.3f} s; processor {theirs['cpu']:.2f} s, {ours['cpu']:.2f} s")
    worst = max(disagreement(o["values"], t["values"]) for o, t in rounds)
    ratio = {k: statistics.median(t[k] / o[k] for o, t in rounds)
             for k in ("compute", "read", "end", "cpu")}
    middle = {k: (statistics.median(t[k] for _, t in rounds),
                  statistics.median(o[k] for o, _ in rounds)) for k in ratio}
    about = rounds[0][1]["about"]
    good = worst <= 1e-8
    if args.markdown:
        print(f"| {title} | {blas} | {about} | {middle['compute'][0]:.2f} s | {middle['compute'][1]:.2f} s |"
              f" **{ratio['compute']:.2f}** | {target} | {ratio['read']:.2f} |"
              f" {ratio['end']:.2f} | {worst:.0e} |", flush=True)
    else:
        print(f"{title}\n  baseline: {about}\n  compute: {middle['compute'][0]:.3f} s / "
              f"{middle['compute'][1]:.3f} s = {ratio['compute']:.3f} (target {target})\n"
              f"  with reading: {ratio['read']:.3f}\n  end to end: {middle['end'][0]:.3f} s / "
              f"{middle['end'][1]:.3f} s = {ratio['end']:.3f}\n  processor time, launch included: "
              f"{ratio['cpu']:.3f}\n  largest difference of values: {worst:.1e}"
              f"{'' if good else ', expected at most 1e-8'}", flush=True)
    return good


def work(script_tasks, folder, task, about):
    """The worker's side: load, compute, print. A tiny problem first wakes the threads up."""
    rng = np.random.default_rng(0)
    script_tasks[task]([rng.standard_normal((64, 8)).astype(np.float32) for _ in range(2)])
    start = time.perf_counter()
    layers = load_layers(folder)
    loaded = time.perf_counter()
    values = script_tasks[task](layers)
    end = time.perf_counter()
    json.dump({"load_s": loaded - start, "compute_s": end - loaded, "about": about,
               "values": {k: v.tolist() for k, v in values.items()}}, sys.stdout)


def table_head():
    return ("| comparison | contrasim with | baseline | baseline | contrasim | **ratio** | target |"
            " with reading | end to end | largest difference |\n"
            "|---|---|---|---|---|---|---|---|---|---|")


def need_program():
    if shutil.which(program()) is None:
        sys.exit("contrasim was not found: set CONTRASIM_BIN to the built program")
