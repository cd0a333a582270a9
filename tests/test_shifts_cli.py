"""Values under all cyclic shifts through the command line, against the textbook reference in numpy."""
import math
import os
import subprocess
import unittest

import netCDF4
import numpy as np

import reference_statistics as reference

BIN = os.environ["CONTRASIM_BIN"]
MPIEXEC = os.environ["CONTRASIM_MPIEXEC"]
ALONE = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self", "OMPI_MCA_ess_singleton_isolated": "1"}
EVERY = ["cka", "cka_debiased", "cka_lange", "hsic", "cka_rbf", "cka_rbf_debiased", "distcorr", "rsa"]
BOUNDED = [name for name in EVERY if name != "hsic"]


def run(*words, ranks=None):
    command = ([MPIEXEC, str(ranks)] if ranks else []) + [BIN, *words]
    return subprocess.run(command, env={**os.environ, **({} if ranks else ALONE)}, text=True,
                          timeout=200, capture_output=True)


def philox(block, stream, seed):
    """Two 64-bit words of Philox4x32-10 (Salmon et al. 2011)."""
    low = 2 ** 32 - 1
    c = [block & low, block >> 32, stream & low, stream >> 32]
    k = [seed & low, seed >> 32]
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(q >> 32) ^ c[1] ^ k[0], q & low, (p >> 32) ^ c[3] ^ k[1], p & low]
        k = [(k[0] + 0x9E3779B9) & low, (k[1] + 0xBB67AE85) & low]
    return c[1] << 32 | c[0], c[3] << 32 | c[2]


def relabelling(n, seed):
    """Fisher and Yates from the last place down, a word a place."""
    words = (word for block in range(n) for word in philox(block, 2 ** 48, seed))
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = next(w for w in words if w >= 2 ** 64 % (i + 1)) % (i + 1)
        order[i], order[j] = order[j], order[i]
    return np.array(order)


def layers(n, widths, seed, common=0.6):
    rng, shared = np.random.default_rng(seed), np.random.default_rng(n).standard_normal((n, 2))
    return [rng.standard_normal((n, d)) + common * shared @ rng.standard_normal((2, d)) + 3
            for d in widths]


class Shifts(unittest.TestCase):
    def sweep(self, a, b, measures, *options, ranks=None, output="out.nc"):
        """Every variable of the results, by name."""
        np.savez("a.npz", **{f"l{i}": x for i, x in enumerate(a)})
        np.savez("b.npz", **{f"l{i}": x for i, x in enumerate(b)})
        done = run("sweep", "a.npz", "b.npz", "-m", ",".join(measures), "-o", output, "--null",
                   "shift", "--overwrite", *options, ranks=ranks)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.log = done.stderr
        return self.read(output)

    def read(self, output):
        with netCDF4.Dataset(output) as file:
            return {name: np.ma.filled(v[:], np.nan) for name, v in file.variables.items()
                    if v.dimensions[-2:] == ("site_a", "site_b")}

    def same(self, one, other, what):
        self.assertEqual(one.keys(), other.keys(), what)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], f"{name}: {what}")

    def draws(self, name, x, y, seed, **options):
        """The value, then those of the other shifts."""
        n = len(x)
        order = relabelling(n, seed)
        cosines = reference.shift_cosines(name, x, y, order, **options)
        size = 1.0
        if name == "hsic":
            size = np.prod([np.linalg.norm(reference.FORMS["cka"](v)) for v in (x, y)]) / (n - 1) ** 2
        return reference.value_of_cosine(name, cosines, size)

    def test_sample_of_all(self):
        """A sample that is all examples is none; a smaller one has no shifts."""
        a, b = layers(30, (4,), 1), layers(30, (5,), 2)
        whole = self.sweep(a, b, ["rsa"])
        for count in ("30", "31"):
            self.same(whole, self.sweep(a, b, ["rsa"], "--rsa.sample", count), count)
        done = run("sweep", "a.npz", "b.npz", "-m", "rsa", "--null", "shift", "--rsa.sample", "29",
                   "--format", "csv")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--null shift: not known for rsa", done.stderr)

    def compare(self, found, name, a, b, seed, **options):
        """With what the draws of the reference become; returns how many values the null reaches."""
        draws = np.array([[self.draws(name, x, y, seed, **options) for y in b] for x in a])
        best = reference.largest(draws[..., 0], np.moveaxis(draws[..., 1:], 2, 0))
        for i, j in np.ndindex(draws.shape[:2]):
            value, null, at = draws[i, j, 0], draws[i, j, 1:], f"{name} {i} {j}"
            scale = max(1, abs(value))
            self.assertAlmostEqual(found[name][i, j] / scale, value / scale, delta=1e-11, msg=at)
            self.assertEqual(found[name + "_pvalue"][i, j],
                             reference.p_value(value, null), at)
            self.assertAlmostEqual(found[name + "_null_mean"][i, j] / scale, null.mean() / scale,
                                   delta=1e-11, msg=at)
            self.assertAlmostEqual(found[name + "_null_sd"][i, j] / null.std(ddof=1), 1,
                                   delta=1e-9, msg=at)
            self.assertEqual(found[name + "_pvalue_max"][i, j], reference.p_value(value, best[1]), at)
            if name in BOUNDED:
                self.assertAlmostEqual(found[name + "_calibrated"][i, j],
                                       reference.calibrated(value, null), delta=1e-10, msg=at)

    def test_values(self):
        """An even and a prime number of examples; the bits of one rank are those of others."""
        for n, seed in ((90, 1), (131, 5)):
            a, b = layers(n, (7, 12), 1), layers(n, (5, 9), 2, common=0.2)
            found = self.sweep(a, b, [*EVERY, "svcca"], "--null-seed", str(seed))
            self.assertIn("--null shift: not known for svcca", self.log)
            for name in EVERY:
                self.compare(found, name, a, b, seed)
            plain = self.sweep(a, b, [*EVERY, "svcca"], "--null", "none")
            for name in EVERY:  # values are what they are without statistics
                np.testing.assert_array_equal(plain[name], found[name], name)
            for ranks in (2, 3):
                self.same(self.sweep(a, b, [*EVERY, "svcca"], "--null-seed", str(seed), ranks=ranks),
                          found, f"{ranks} ranks")

    def test_dissimilarities(self):
        a, b = layers(80, (6,), 3), layers(80, (4,), 4)
        for outer in ("pearson", "cosine"):
            for inner in ("euclidean", "cosine"):
                found = self.sweep(a, b, ["rsa"], "--rsa.outer", outer, "--rsa.inner", inner)
                self.compare(found, "rsa", a, b, 1, inner=inner, outer=outer)

    def test_orders(self):
        """A cell and the one across the diagonal have the same shifts the other way round."""
        a = layers(70, (5, 8, 3), 7, common=0.3)
        np.savez("a.npz", **{f"l{i}": x for i, x in enumerate(a)})
        done = run("sweep", "a.npz", "-m", "cka,rsa", "-o", "one.nc", "--overwrite", "--null", "shift")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = self.read("one.nc")
        for name in ("cka", "rsa"):
            for what in ("_pvalue", "_calibrated"):
                value = found[name + what]
                np.testing.assert_array_equal(value, value.T)
            np.testing.assert_array_equal(np.diag(found[name + "_pvalue"]), 1 / 70)
        # the best of all pairs takes one shift for all of them, in either order
        draws = np.array([[self.draws("cka", x, y, 1) for y in a] for x in a])
        apart = ~np.eye(3, dtype=bool)
        best = draws[apart][:, 1:].max(axis=0)
        for i, j in np.argwhere(apart):
            self.assertEqual(found["cka_pvalue_max"][i, j],
                             reference.p_value(draws[i, j, 0], best), (i, j))

    def test_memory_and_parts(self):
        """The same bits by tiles of layers, and in parts that are merged."""
        a, b = layers(600, (300, 200, 250), 1), layers(600, (200, 300, 100), 2)
        names = ["cka", "cka_rbf", "rsa"]
        found = self.sweep(a, b, names)
        tight = self.sweep(a, b, names, "--memory", "24M")
        self.assertIn("tiles", self.log)
        self.same(tight, found, "tiles")
        for part in (1, 2):
            self.sweep(a, b, names, "--part", f"{part}/2", output=f"part{part}.nc")
        done = run("merge", "part1.nc", "part2.nc", "-o", "merged.nc", "--overwrite")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.same(self.read("merged.nc"), found, "parts")
        done = run("sweep", "a.npz", "b.npz", "-m", "cka", "--null", "shift", "--memory", "2M",
                   "-o", "small.nc")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"needs [0-9.]+ MiB a rank .* the limit is 2.0 MiB")

    def test_uniform(self):
        """P-values of independent layers are uniform (Kolmogorov and Smirnov)."""
        n, side = 60, 20
        a, b = layers(n, [4] * side, 11, common=0), layers(n, [6] * side, 12, common=0)
        found = self.sweep(a, b, ["cka", "rsa", "distcorr"])
        for name in ("cka", "rsa", "distcorr"):
            p = found[name + "_pvalue"].ravel()
            grid = np.arange(1, n + 1) / n
            apart = max(abs(np.mean(p <= g + 1e-9) - g) for g in grid)
            self.assertLess(apart * math.sqrt(p.size), 1.63, name)  # 1 %
            self.assertGreater(p.min(), 0.99 / n)
        # and those of layers that are not are small
        a, b = layers(n, [4] * 3, 13), layers(n, [6] * 3, 14)
        self.assertLess(self.sweep(a, b, ["cka"])["cka_pvalue"].max(), 2.5 / n)

    def test_unknown(self):
        layers_of = {"l0": layers(40, (3,), 1)[0]}
        np.savez("a.npz", **layers_of)
        np.savez("b.npz", **layers_of)
        unknown = "--null shift: not known for"
        for says, measures, *options in (
                (unknown, "svcca,nngs"), (unknown, "rsa", "--rsa.outer", "kendall"),
                (unknown, "rsa", "--rsa.sample", "20"), (unknown, "cka_minibatch"),
                ("--null shift needs --precision double", "cka", "--precision", "single")):
            done = run("sweep", "a.npz", "b.npz", "-m", measures, *options, "--null", "shift",
                       "--format", "csv")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(says, done.stderr)


if __name__ == "__main__":
    unittest.main()
