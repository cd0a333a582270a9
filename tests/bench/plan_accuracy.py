"""What `contrasim plan` foretells against what `contrasim perf` measures, as a table.

    plan_accuracy.py [--ranks 1,2] [--repeat 3] [--calibrations 2]

Calibrates at each number of ranks, then takes every problem in turn. The machine should be quiet: the
two are minutes apart. Memory is counted memory, and the highest resident size (VmHWM) less that of a
sweep of next to nothing; the environment is that of the tests (tests/env.sh)."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

BIN = os.environ.get("CONTRASIM_BIN", "build/release/bin/contrasim")
HERE = os.path.dirname(os.path.abspath(__file__))
MPIEXEC = os.environ.get("CONTRASIM_MPIEXEC", os.path.join(HERE, "..", "mpiexec.sh"))
PROBLEMS = {  # name: examples, width, layers, measures, precision
    "Gram tiles": (4000, 768, 12, "cka", "double"),
    "Gram tiles, single": (4000, 768, 12, "cka", "single"),
    "cross products": (16000, 512, 8, "cka", "double"),
    "cross products, single": (16000, 512, 8, "cka", "single"),
    "nuclear norms": (6000, 512, 8, "procrustes", "double"),
    "bases": (8000, 384, 10, "cca_mean", "double"),
    "bases and vectors": (6000, 384, 8, "pwcca", "double"),
    "few examples": (512, 768, 8, "cca_mean", "double"),
    "kernels and medians": (4000, 768, 8, "cka_rbf", "double"),
    "neighbours": (10000, 256, 3, "mutual_knn", "double"),
}
TINY = (8, 2, 2, "cka", "double")


def run(ranks, *words):
    done = subprocess.run([MPIEXEC, str(ranks), BIN, *words], text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}\n{done.stderr}")
    return done.stdout


def perf(ranks, repeat, problem):
    n, d, layers, measures, precision = problem
    return json.loads(run(ranks, "perf", "--examples", str(n), "--width", str(d), "--layers",
                          str(layers), "-m", measures, "--precision", precision, "--repeat",
                          str(repeat), "--gemm-size", "64", "--format", "json"))["series"][0]


def plan(ranks, calibration, problem):
    n, d, layers, measures, precision = problem
    return json.loads(run(1, "plan", "sweep", "--ranks", str(ranks), "--sites", str(layers),
                          "--width", str(d), "--examples", str(n), "-m", measures, "--precision",
                          precision, "--pairs", "all", "--calibration", calibration, "--format",
                          "json", "-q"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", default="1,2")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--terms", action="store_true", help="print terms and phases, too")
    args = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'ranks':>5} {'problem':24} {'foretold':>9} {'measured':>9} {'ratio':>6}"
          f" {'planned':>9} {'counted':>9} {'ratio':>6} {'VmHWM':>9} {'ratio':>6}")
    mib = 2 ** 20
    for ranks in map(int, args.ranks.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            calibration = os.path.join(folder, "machine.json")
            run(ranks, "perf", "--calibrate", "--calibration", calibration)
            idle = perf(ranks, 1, TINY)["memory"]["resident_bytes"]
            for name, problem in PROBLEMS.items():
                told = plan(ranks, calibration, problem)
                seen = perf(ranks, args.repeat, problem)
                told_s, seen_s = told["time"]["seconds"], seen["total_s"]
                peak, memory = told["memory"]["peak_bytes"], seen["memory"]
                resident = memory["resident_bytes"] - idle
                print(f"{ranks:5} {name:24} {told_s:9.3f} {seen_s:9.3f} {told_s / seen_s:6.2f}"
                      f" {peak / mib:9.1f} {memory['counted_bytes'] / mib:9.1f}"
                      f" {peak / memory['counted_bytes']:6.2f} {resident / mib:9.1f}"
                      f" {peak / resident:6.2f}", flush=True)
                if args.terms:
                    print("     ", {k: round(v, 4) for k, v in told["time"]["terms"].items() if v},
                          "again", round(told["time"]["again"], 4))
                    print("     ", {p["name"]: round(p["seconds"], 4) for p in seen["phases"]})


if __name__ == "__main__":
    main()
