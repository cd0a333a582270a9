"""contrasim knn against FAISS's exact index: the same neighbours up to ties of single precision, in
which FAISS computes. Skipped where FAISS is not installed."""
import os
import subprocess
import sys

import netCDF4
import numpy as np

try:
    import faiss
except ImportError:
    print("skipped: no faiss (Debian: python3-faiss)")
    sys.exit(77)

BIN = os.environ["CONTRASIM_BIN"]
MPIEXEC = os.environ["CONTRASIM_MPIEXEC"]
N, D, K = 2500, 48, 20


def layers():
    """Plain rows; groups far from the origin, whose distances lose digits in FAISS; many equal rows."""
    rng = np.random.default_rng(2)
    plain = rng.standard_normal((N, D))
    groups = 5 + rng.standard_normal((25, D))[rng.integers(25, size=N)] + 0.05 * plain
    equal = plain.copy()
    equal[rng.integers(N, size=N // 10)] = equal[3]
    return {"plain": plain.astype("f4"), "groups": groups.astype("f4"), "equal": equal.astype("f4")}


def search(x, metric):
    """[N, K] by FAISS; the example itself is taken out by its index, or else the last one."""
    index = (faiss.IndexFlatL2 if metric == "euclidean" else faiss.IndexFlatIP)(D)
    rows = x / np.linalg.norm(x, axis=1, keepdims=True) if metric == "cosine" else x
    rows = np.ascontiguousarray(rows, "f4")
    index.add(rows)
    _, found = index.search(rows, K + 1)
    own = found == np.arange(N)[:, None]
    own[~own.any(axis=1), K] = True
    return found[~own].reshape(N, K)


def order_keys(x, metric):
    """[N, N] in double, smallest first, and what single precision may be off by."""
    x = x.astype("f8")
    if metric == "cosine":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    product = x @ x.T
    square = np.diag(product)
    size = square[:, None] + square[None]
    keys = size - 2 * product if metric == "euclidean" else -product
    return keys, 8 * np.finfo("f4").eps * size.max(axis=1, keepdims=True)


def main():
    sites = layers()
    np.savez("rows.npz", **sites)
    for metric in ("euclidean", "cosine", "inner"):
        subprocess.run([MPIEXEC, "3", BIN, "knn", "rows.npz", "--k", str(K), "--metric", metric, "-o",
                        "near.nc", "--overwrite", "-q"], check=True)
        with netCDF4.Dataset("near.nc") as file:
            ours = file["index"][:]
        for i, (name, x) in enumerate(sites.items()):
            theirs = search(x, metric)
            keys, slack = order_keys(x, metric)
            near, other = (np.take_along_axis(keys, lists, 1) for lists in (ours[i], theirs))
            apart = np.abs(near - other)
            assert (apart <= slack).all(), (metric, name, (apart / slack).max())
            share = np.mean([len(set(a) & set(b)) for a, b in zip(ours[i], theirs)]) / K
            print(f"{metric}, {name}: {share:.4%} of the neighbours are the same, the others tie")
            assert share > (0.999 if name == "plain" else 0.9), (metric, name, share)


if __name__ == "__main__":
    main()
