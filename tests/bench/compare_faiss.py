#!/usr/bin/env python3
"""contrasim knn against FAISS's exact index on the same rows, in turn: the time of the search, with as
many threads as ranks, and how many neighbours are the same. FAISS computes in single precision,
contrasim in double. Run it on a quiet machine, under a Python with faiss (Debian: python3-faiss)."""
import argparse
import json
import os
import statistics
import sys
import tempfile
import time

import netCDF4
import numpy as np

import bench


def worker(folder, k):
    """FAISS's side: load, search, save the lists without the example itself."""
    import faiss
    x = bench.load_layers(folder)[0]
    start = time.perf_counter()
    index = faiss.IndexFlatL2(x.shape[1])
    index.add(x)
    _, found = index.search(x, k + 1)
    took = time.perf_counter() - start
    own = found == np.arange(len(x))[:, None]
    own[~own.any(axis=1), k] = True
    np.save(os.path.join(folder, "lists"), found[~own].reshape(len(x), k).astype("i4"))
    print(json.dumps({"search_s": took, "about": f"FAISS {faiss.__version__}"}))


def one_round(folder, args):
    """Both sides once: seconds, and the lists."""
    env = dict(os.environ, OMP_NUM_THREADS=str(args.ranks), OPENBLAS_NUM_THREADS=str(args.ranks))
    text, _, _ = bench.timed([sys.executable, "-B", __file__, "--worker", folder, "--k", str(args.k)],
                             env)
    theirs = json.loads(text)
    output, profile = os.path.join(folder, "near.nc"), os.path.join(folder, "profile.json")
    bench.timed([*bench.launcher(args.ranks), bench.program(), "knn", os.path.join(folder, "layer_00.npy"),
                 "--k", str(args.k), "-o", output, "--overwrite", "-q", "--profile-json", profile],
                bench.program_env())
    with open(profile, encoding="utf-8") as file:
        phases = {p["name"]: p["max_s"] for p in json.load(file)["phases"]}
    with netCDF4.Dataset(output) as data:
        ours = data["index"][0]
    lists = np.load(os.path.join(folder, "lists.npy"))
    same = np.mean([len(np.intersect1d(a, b)) for a, b in zip(ours, lists)]) / args.k
    return theirs["search_s"], phases["neighbours"], same, theirs["about"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--examples", type=int, default=20000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--ranks", type=int, default=2, help="also the threads of FAISS")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker, args.k)
        return
    bench.need_program()
    with tempfile.TemporaryDirectory(prefix="contrasim-bench-") as folder:
        bench.write_layers(folder, args.examples, args.width, 1)
        rounds = []
        for i in range(args.rounds):
            rounds.append(one_round(folder, args))
            bench.say("round {}: FAISS {:.3f} s, contrasim {:.3f} s".format(i + 1, *rounds[-1][:2]))
    print(f"| {rounds[0][3]}, {args.examples} x {args.width}, k = {args.k}, {args.ranks} threads or ranks: "
          f"search, FAISS / contrasim | {statistics.median(r[0] / r[1] for r in rounds):.2f} | "
          f"the same neighbours: {min(r[2] for r in rounds):.3%} |")


if __name__ == "__main__":
    main()
