"""Measures of kernels and distances through the command line, against the textbook reference in numpy."""
import os
import subprocess
import sys
import unittest

import netCDF4
import numpy as np

import reference_kernels as reference

BIN = os.environ["CONTRASIM_BIN"]
MPIEXEC = os.environ["CONTRASIM_MPIEXEC"]
ALONE = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self", "OMPI_MCA_ess_singleton_isolated": "1"}
TILES = ["cka_rbf", "cka_rbf_debiased", "distcorr", "mag_diff", "conc_diff", "unif_diff"]
STORED = ["rsa", "rsm_diff"]
UNDEFINED = 3


def run(*words, ranks=None):
    command = ([MPIEXEC, str(ranks)] if ranks else []) + [BIN, *words]
    return subprocess.run(command, env={**os.environ, **({} if ranks else ALONE)}, text=True,
                          timeout=200, capture_output=True)


def layers(n, d, e, seed, noise=0.7):
    """Two layers with a common part."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    return x, x[:, :e] + noise * rng.standard_normal((n, e)) + 0.3


class Kernels(unittest.TestCase):
    def sweep(self, x, y, measures, *options, ranks=None, output="out.nc"):
        np.save("x.npy", x)
        np.save("y.npy", y)
        done = run("sweep", "x.npy", "y.npy", "--measures", ",".join(measures), "-o", output,
                   "--overwrite", *options, ranks=ranks)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.log = done.stderr
        with netCDF4.Dataset(output) as file:
            self.status = {m: int(file[m + "_status"][0, 0]) for m in measures}
            self.median = {name: np.ma.filled(file[name][:], np.nan).tolist()
                           for name in file.variables if name.startswith("median_")}
            words = file[measures[0] + "_note"].flag_meanings.split()
            self.note = {m: words[int(file[m + "_note"][0, 0])] for m in measures}
            return {m: float(np.ma.filled(file[m][0, 0], np.nan)) for m in measures}

    def agree(self, x, y, measures, *options, ranks=None, digits=1e-10, **reference_options):
        found = self.sweep(x, y, measures, *options, ranks=ranks)
        for name in measures:
            own = {k: v for k, v in reference_options.items()
                   if k in ({"inner", "outer"} if name == "rsa" else
                            {"batch"} if name == "cka_minibatch" else
                            {"bandwidth", "sigma", "diagonal"} if "rbf" in name else set())}
            expected = reference.measure(name, x, y, **own)
            if np.isnan(expected):
                self.assertEqual(self.status[name], UNDEFINED, name)
            else:
                self.assertLess(abs(found[name] - expected), digits * max(1, abs(expected)),
                                (name, found[name], expected, options))
        return found

    def test_plain(self):
        """Several chunks; the bits of one rank are those of four."""
        x, y = layers(700, 40, 30, 1)
        every = TILES + STORED + ["cka_minibatch"]
        one = self.agree(x, y, every)
        self.assertIn("median distance of two examples", self.log)
        for ranks in (2, 3, 4):
            self.assertEqual(self.sweep(x, y, every, ranks=ranks), one, ranks)
        for name in ("cka_rbf", "rsa"):  # alone as in company
            self.assertEqual(self.sweep(x, y, [name], ranks=3)[name], one[name])

    def test_medians(self):
        """The file holds the medians that widths of kernels come from, of both kinds, and no others."""
        x, y = layers(90, 9, 7, 2)
        self.sweep(x, y, ["cka_rbf", "cka_rbf_debiased"], "--cka_rbf.bandwidth-diagonal", "include",
                   ranks=2)
        self.assertEqual(sorted(self.median), ["median_distance_a", "median_distance_b",
                                               "median_entry_a", "median_entry_b"])
        for side, site in (("a", x), ("b", y)):
            for name, diagonal in (("distance", "exclude"), ("entry", "include")):
                np.testing.assert_allclose(self.median[f"median_{name}_{side}"],
                                           reference.median_distance(site, diagonal), rtol=1e-12)
        self.sweep(x, y, ["cka_rbf", "distcorr"])
        self.assertEqual(sorted(self.median), ["median_distance_a", "median_distance_b"])
        self.sweep(x, y, ["cka_rbf", "distcorr"], "--cka_rbf.sigma", "2")
        self.assertEqual(self.median, {})

    def test_options(self):
        x, y = layers(90, 9, 7, 2)
        for inner in ("correlation", "euclidean", "cosine"):
            for outer in ("spearman", "pearson", "cosine", "kendall"):
                self.agree(x, y, ["rsa"], "--rsa.inner", inner, "--rsa.outer", outer,
                           ranks=2 if outer == "kendall" else None, inner=inner, outer=outer)
        kernels = ["cka_rbf", "cka_rbf_debiased"]
        self.agree(x, y, kernels, "--bandwidth", "0.3", "--bandwidth-diagonal", "include",
                   bandwidth=0.3, diagonal="include")
        self.agree(x, y, kernels, "--cka_rbf.sigma", "2", "--cka_rbf_debiased.sigma", "2", sigma=2.0)
        self.agree(x, y, ["cka_minibatch"], "--batch", "40", ranks=3, batch=40)
        x, y = layers(61, 5, 5, 3)  # an odd number of distances in the middle
        self.agree(x, y, TILES)

    def test_hard_data(self):
        """Equal rows, rows of zeros, rows without variance, an example of 1000 times the norm, an offset."""
        x, y = layers(300, 20, 16, 4)
        x[100:140] = x[0]
        y[8], y[9] = 0, 3
        every = TILES + ["rsa"]
        self.agree(x, y, every)
        self.agree(x, y, ["rsa"], "--rsa.inner", "cosine", "--rsa.outer", "cosine", inner="cosine",
                   outer="cosine")
        x[5] *= 1000
        first = self.agree(x, y, every, ranks=3)
        self.assertEqual(self.sweep(x, y, every), first)
        self.agree(x, y, ["rsa"], "--rsa.outer", "pearson", outer="pearson")
        far = self.sweep(x + 1e4, y, ["cka_rbf", "cka_rbf_debiased", "distcorr"])
        for name, value in far.items():
            self.assertLess(abs(value - first[name]), 1e-8, name)

    def test_ties(self):
        """Whole numbers: most distances are tied, in the middle too."""
        rng = np.random.default_rng(5)
        x = rng.integers(0, 3, (120, 6)).astype(float)
        y = np.hstack([x[:, :2], rng.integers(0, 2, (120, 3))])
        self.agree(x, y, ["rsa", "cka_rbf"], "--rsa.inner", "euclidean", ranks=3, inner="euclidean",
                   outer="spearman")
        self.agree(x, y, ["rsa"], "--rsa.inner", "euclidean", "--rsa.outer", "kendall", ranks=2,
                   inner="euclidean", outer="kendall")
        pair = rng.standard_normal((80, 2))  # of two neurons: all correlations are 1 or -1
        self.sweep(pair, np.sign(pair[:, :1] - pair[:, 1:]) * [[1, -1]] + [[5, 5]], ["rsa"])

    def test_undefined(self):
        x, y = layers(60, 6, 5, 6)
        flat = np.full((60, 4), 0.1)
        similar = ["cka_rbf", "cka_rbf_debiased", "cka_minibatch", "rsa", "distcorr"]
        self.sweep(flat, y, similar, "--batch", "20")
        self.assertEqual(set(self.note.values()), {"constant_layer"})
        self.agree(flat, y, ["rsm_diff", "mag_diff", "conc_diff", "unif_diff"])
        most = x.copy()
        most[:50] = x[0]
        self.sweep(most, y, ["cka_rbf", "cka_rbf_debiased", "distcorr"])
        self.assertEqual(self.note["cka_rbf"], "zero_bandwidth")
        self.assertEqual(self.note["cka_rbf_debiased"], "zero_bandwidth")
        self.assertEqual(self.note["distcorr"], "none")
        self.sweep(np.eye(60), y, ["rsa"], "--rsa.inner", "euclidean")
        self.assertEqual((self.status["rsa"], self.note["rsa"]), (UNDEFINED, "all_alike"))
        self.sweep(np.eye(60), y, ["rsa"], "--rsa.inner", "euclidean", "--rsa.outer", "pearson")
        self.assertEqual((self.status["rsa"], self.note["rsa"]), (UNDEFINED, "all_alike"))
        self.sweep(x, y, ["cka_minibatch"])
        self.assertEqual(self.note["cka_minibatch"], "no_full_batch")
        self.sweep(x - x.mean(axis=0), y, ["conc_diff"])
        self.assertEqual(self.note["conc_diff"], "zero_mean")

    def test_memory_limit(self):
        """What does not fit is said beforehand, and nothing else changes."""
        x, y = layers(900, 12, 10, 7)
        measures = ["rsa", "rsm_diff", "cka_rbf", "cka"]
        whole = self.sweep(x, y, measures)
        self.assertNotIn("do not fit", self.log)
        small = self.sweep(x, y, measures, "--memory", "12M")
        self.assertRegex(self.log, "rsa, rsm_diff undefined: .*do not fit the memory limit")
        self.assertEqual((self.note["rsa"], self.note["rsm_diff"]), ("over_memory_limit",) * 2)
        self.assertEqual((self.status["rsa"], self.status["rsm_diff"]), (UNDEFINED,) * 2)
        self.assertEqual([small[m] for m in measures[2:]], [whole[m] for m in measures[2:]])
        found = self.sweep(x, y, measures, "--memory", "12M", "--rsa.sample", "301")["rsa"]
        self.assertEqual(self.note["rsa"], "sampled")
        step = np.arange(301) * 900 // 301
        self.assertLess(abs(found - reference.rsa(x[step], y[step], "correlation", "spearman")), 1e-10)
        self.assertEqual(self.sweep(x, y, ["rsa"], "--rsa.sample", "301", ranks=3)["rsa"], found)
        done = run("plan", "sweep", "x.npy", "y.npy", "--measures", "rsa", "--memory", "200M")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("distances of all pairs of examples", done.stdout)

    def test_refusals(self):
        x, y = layers(30, 4, 4, 8)
        np.save("x.npy", x)
        np.save("y.npy", y)
        for words, part in ((["--precision", "single"], "needs double precision"),
                            (["--cka_rbf.bandwidth", "0"], "bandwidth"),
                            (["--rsa.outer", "pearson", "--rsa.sample", "9"], "--rsa.sample"),
                            (["--rsa.outer", "tau"], "kendall")):
            done = run("sweep", "x.npy", "y.npy", "--measures", "cka_rbf,rsa", "-o", "no.nc", *words)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(part, done.stderr)
        x[3, 1] = np.nan
        np.save("x.npy", x)
        done = run("sweep", "x.npy", "y.npy", "--measures", "rsa", "-o", "no.nc", ranks=2)
        self.assertEqual(done.returncode, 1)
        kept = [i for i in range(30) if i != 3]
        found = self.sweep(x, y, ["rsa", "cka_rbf"], "--nan", "drop-rows", ranks=2)
        self.assertEqual(found, self.sweep(x[kept], y[kept], ["rsa", "cka_rbf"]))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]], verbosity=2)
