#!/usr/bin/env python3
"""contrasim against numpy doing the same work once, side by side in one run.

cka:  numpy centres all layers in double, makes one product of the concatenated layers, and takes the
      norms of its blocks.
five: cka, cca_mean, svcca, pwcca and procrustes; numpy factorises each layer once, and each pair
      shares one small decomposition where two measures can.
Numpy's clock runs from the arrays in memory to the matrices of values, that of contrasim from the
start of the sweep to its end, less the reading of the files. Run it on a quiet machine.
"""
import sys

import numpy as np

import bench

FIVE = "cka,cca_mean,svcca,pwcca,procrustes"


def centred(layers):
    """All layers side by side in double, each column with mean 0."""
    ends = np.cumsum([0] + [x.shape[1] for x in layers])
    z = np.empty((layers[0].shape[0], ends[-1]))
    for x, a, b in zip(layers, ends, ends[1:]):
        z[:, a:b] = x
        z[:, a:b] -= z[:, a:b].mean(axis=0)
    return z, ends


def cka(layers):
    z, ends = centred(layers)
    count = len(layers)
    product = z.T @ z
    square = np.empty((count, count))
    for i in range(count):
        for j in range(i, count):
            block = product[ends[i]:ends[i + 1], ends[j]:ends[j + 1]]
            square[i, j] = square[j, i] = np.einsum("ij,ij->", block, block)
    root = np.sqrt(np.diag(square))
    return {"cka": square / np.outer(root, root)}


class Site:
    def __init__(self, x, floor=1e-10, variance=0.99):
        x = x.astype(np.float64)
        x -= x.mean(axis=0)
        self.u, self.s, self.v = np.linalg.svd(x, full_matrices=False)
        power = self.s ** 2
        self.total = power.sum()
        self.kernel = np.sqrt((power ** 2).sum())
        self.rank = int(np.sum(power > floor * power[0]))
        share = np.cumsum(power) / self.total
        self.leading = int(np.searchsorted(share, variance)) + 1
        self.loading = self.s[:self.rank, None] * self.v[:self.rank]

    def weighted(self, directions, rho):
        alpha = np.abs(directions.T @ self.loading).sum(axis=1)
        return alpha @ rho / alpha.sum()


def five(layers):
    sites = [Site(x) for x in layers]
    count = len(sites)
    out = {name: np.ones((count, count)) for name in FIVE.split(",")}
    np.fill_diagonal(out["procrustes"], 0)  # of a layer with itself all is known
    for i, a in enumerate(sites):
        for j in range(i + 1, count):
            b = sites[j]
            m = a.u.T @ b.u
            left, rho, right = np.linalg.svd(m[:a.rank, :b.rank], full_matrices=False)
            scaled = a.s[:, None] * m * b.s
            nuclear = np.linalg.svd(scaled, compute_uv=False).sum()
            lead = np.linalg.svd(m[:a.leading, :b.leading], compute_uv=False)
            values = {"cka": np.einsum("ij,ij->", scaled, scaled) / (a.kernel * b.kernel),
                      "cca_mean": rho.mean(), "svcca": lead.mean(),
                      "procrustes": np.sqrt(a.total + b.total - 2 * nuclear)}
            for name, value in values.items():
                out[name][i, j] = out[name][j, i] = value
            out["pwcca"][i, j] = a.weighted(left, rho)
            out["pwcca"][j, i] = b.weighted(right.T, rho)
    return out


def main():
    parser = bench.options(__doc__.splitlines()[0])
    parser.add_argument("--task", choices=["cka", "five", "both"], default="both")
    args = parser.parse_args()
    if args.worker:
        about = f"numpy {np.__version__}, {bench.blas_kernel()}"
        bench.work({"cka": cka, "five": five}, args.worker[1], args.worker[0], about)
        return
    bench.need_program()
    good = True
    if args.task != "five":
        good &= bench.compare("cka, numpy", __file__, "cka", "cka", "2.5", args)
    if args.task != "cka":
        good &= bench.compare("five measures, numpy", __file__, "five", FIVE, "1.5", args)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
