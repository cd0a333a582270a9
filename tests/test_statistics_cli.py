"""Statistics of sweeps through the command line, against the textbook reference in numpy."""
import os
import re
import subprocess
import sys
import unittest

import netCDF4
import numpy as np

import reference_kernels as kernels
import reference_statistics as reference

BIN = os.environ["CONTRASIM_BIN"]
MPIEXEC = os.environ["CONTRASIM_MPIEXEC"]
ALONE = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self", "OMPI_MCA_ess_singleton_isolated": "1"}


def run(*words, ranks=None):
    command = ([MPIEXEC, str(ranks)] if ranks else []) + [BIN, *words]
    return subprocess.run(command, env={**os.environ, **({} if ranks else ALONE)}, text=True,
                          timeout=200, capture_output=True)


def layers(n, widths, seed, heavy=False):
    """Layers with a common part; heavy: examples of very different size."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, 2))
    size = np.exp(rng.standard_normal((n, 1))) if heavy else 1
    return [size * (rng.standard_normal((n, d)) + 0.5 * common @ rng.standard_normal((2, d)))
            for d in widths]


class Statistics(unittest.TestCase):
    def sweep(self, a, b, measures, *options, ranks=None, output="out.nc"):
        """Every variable of the results, by name."""
        np.savez("a.npz", **{f"l{i}": x for i, x in enumerate(a)})
        np.savez("b.npz", **{f"l{i}": x for i, x in enumerate(b)})
        done = run("sweep", "a.npz", "b.npz", "-m", ",".join(measures), "-o", output,
                   "--overwrite", *options, ranks=ranks)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.log = done.stderr
        peak, planned = re.search(r"peak memory of a rank: (\S+) MiB, planned (\S+)", self.log).groups()
        self.assertLess(float(peak), 1.03 * float(planned) + 0.5, self.log)
        return self.read(output)

    def read(self, output):
        with netCDF4.Dataset(output) as file:
            self.checksum = file.checksum
            return {name: np.ma.filled(v[:], np.nan) for name, v in file.variables.items()
                    if v.dimensions[-2:] == ("site_a", "site_b")}

    # -- moments in closed form -----------------------------------------------------------------

    def test_moments(self):
        """Of every measure that has them; the bits of one rank are those of others."""
        a, b = layers(150, (7, 12), 1), layers(150, (5, 9), 2, heavy=True)
        every = ["cka", "hsic", "cka_debiased", "cka_lange", "cka_rbf", "cka_rbf_debiased",
                 "distcorr", "rsa", "cca_r2", "linreg"]
        found = self.sweep(a, b, [*every, "procrustes"], "--null", "analytic")
        self.assertIn("not known for procrustes", self.log)
        self.assertNotIn("procrustes_z", found)
        for name in every:
            for i, x in enumerate(a):
                for j, y in enumerate(b):
                    value, mean, sd, z = reference.analytic_null(name, x, y)
                    at = (name, i, j)
                    self.assertAlmostEqual(found[name + "_null_mean"][i, j], mean, delta=1e-11 * max(1, abs(mean)), msg=at)
                    self.assertAlmostEqual(found[name + "_null_sd"][i, j] / sd, 1, delta=1e-8, msg=at)
                    self.assertAlmostEqual(found[name + "_z"][i, j], z, delta=1e-7 * max(1, abs(z)), msg=at)
        one = self.checksum
        for ranks in (2, 3):
            self.sweep(a, b, [*every, "procrustes"], "--null", "analytic", ranks=ranks)
            self.assertEqual(self.checksum, one, ranks)
        # values are what they are without statistics
        plain = self.sweep(a, b, [*every, "procrustes"])
        for name in every:
            np.testing.assert_array_equal(plain[name], found[name], name)

    def test_moments_of_other_forms(self):
        a, b = layers(90, (6,), 3), layers(90, (4,), 4)
        for outer in ("pearson", "cosine"):
            for inner in ("euclidean", "cosine"):
                found = self.sweep(a, b, ["rsa"], "--null", "analytic", "--rsa.outer", outer,
                                   "--rsa.inner", inner)
                _, mean, sd, z = reference.analytic_null("rsa", a[0], b[0], inner=inner, outer=outer)
                self.assertAlmostEqual(found["rsa_null_mean"][0, 0], mean, delta=1e-11)
                self.assertAlmostEqual(found["rsa_null_sd"][0, 0] / sd, 1, delta=1e-8)
                self.assertAlmostEqual(found["rsa_z"][0, 0] / z, 1, delta=1e-6)
        found = self.sweep(a, b, ["rsa"], "--null", "analytic", "--rsa.sample", "90")
        self.assertGreater(found["rsa_null_sd"][0, 0], 0)
        for words in (("--rsa.outer", "kendall"), ("--rsa.sample", "50")):
            done = run("sweep", "a.npz", "b.npz", "-m", "rsa", "--null", "analytic", "--format", "csv",
                       *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("--null analytic: not known for rsa", done.stderr)
            found = self.sweep(a, b, ["rsa", "cka"], "--null", "analytic", *words)
            self.assertIn("--null analytic: not known for rsa", self.log)
            self.assertNotIn("rsa_z", found)
            self.assertGreater(found["cka_null_sd"][0, 0], 0)
        done = run("sweep", "a.npz", "b.npz", "-m", "svcca,nngs", "--null", "analytic", "--format", "csv")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--null analytic: not known for svcca, nngs", done.stderr)

    def test_moments_of_all_directions(self):
        """With as many directions as examples allow every relabelling gives the same."""
        found = self.sweep(layers(200, (64, 220), 6), layers(200, (220, 230), 7), ["linreg", "cca_r2"],
                           "--null", "analytic")
        for name in ("linreg", "cca_r2"):
            self.assertEqual(abs(found[name + "_null_sd"]).max(), 0, name)
            self.assertTrue(np.isnan(found[name + "_z"]).all(), name)
            np.testing.assert_allclose(found[name + "_null_mean"], found[name], rtol=1e-9)

    def test_moments_of_permutations(self):
        """Moments in closed form against 100,000 permutations."""
        rng = np.random.default_rng(31)
        x, y = layers(24, (3,), 32, heavy=True)[0], layers(24, (4,), 33)[0]
        found = self.sweep([x], [y], ["cka", "cka_lange", "distcorr", "rsa"], "--null", "analytic")
        perms = rng.permuted(np.tile(np.arange(24), (100_000, 1)), axis=1)
        for name in ("cka", "cka_lange", "distcorr", "rsa"):
            a, b, _ = reference.as_cosine(name, x, y)
            values = np.concatenate([(b[p[:, :, None], p[:, None, :]] * a).sum((1, 2))
                                     for p in np.split(perms, 50)])
            values /= np.linalg.norm(a) * np.linalg.norm(b)
            mean, sd = found[name + "_null_mean"][0, 0], found[name + "_null_sd"][0, 0]
            self.assertLess(abs(values.mean() - mean), 5 * sd / np.sqrt(len(values)), name)
            self.assertLess(abs(values.std() / sd - 1), 0.02, name)

    def test_moments_by_chunks(self):
        """Rows that are read again give the bits of rows that are held."""
        a, b = layers(3000, (40, 30), 5), layers(3000, (25, 40), 6)
        names = ["cka", "cca_r2", "linreg"]
        held = self.sweep(a, b, names, "--null", "analytic")
        tight = self.sweep(a, b, names, "--null", "analytic", "--memory", "1500K")
        self.assertIn("read again by chunks", self.log)
        for name in held:
            np.testing.assert_array_equal(held[name], tight[name], name)

    def values_without(self, a, b, measures, blocks, *options):
        """The values of a sweep without each block."""
        left = []
        for first, last in blocks:
            x, y = ([np.delete(v, np.s_[first:last], 0) for v in side] for side in (a, b))
            left.append(self.sweep(x, y, measures, *options))
        return left

    # -- relabellings -----------------------------------------------------------------------------

    def test_uniform(self):
        """P-values of independent layers are uniform (Kolmogorov and Smirnov): one layer against many
        that are independent of it and of each other."""
        rng = np.random.default_rng(21)
        n, many, draws = 40, 200, 49
        a, b = [rng.standard_normal((n, 3))], [rng.standard_normal((n, 3)) for _ in range(many)]
        names = ["cka_debiased", "procrustes", "cca_mean", "distcorr", "nngs"]
        found = self.sweep(a, b, names, "--k", "5", "--null", "permutation", "--permutations",
                           str(draws))
        for name in names:
            p = np.sort(found[name + "_pvalue"][0])
            self.assertTrue((p >= 1 / (draws + 1)).all() and (p <= 1).all())
            # of (draws + 1) equally likely values, halved steps
            above = np.arange(1, many + 1) / many - p + 0.5 / (draws + 1)
            distance = max(above.max(), (1 / many - above + 0.0).max())
            self.assertLess(distance, 1.63 / np.sqrt(many) + 0.5 / (draws + 1), name)
            # the best of many is no more often good than one by itself
            self.assertGreater(found[name + "_pvalue_max"][0].min(), 1 / (draws + 1) - 1e-12)
            self.assertTrue((found[name + "_pvalue_max"][0] >= found[name + "_pvalue"][0]).all())
        # layers with a common part are told from those
        x, y = layers(n, (4,), 22)[0], layers(n, (4,), 22)[0] + 0.1
        found = self.sweep([x], [y, b[0]], ["cka"], "--null", "permutation", "--permutations", "99")
        self.assertEqual(found["cka_pvalue"][0, 0], 0.01)
        self.assertEqual(found["cka_pvalue_max"][0, 0], 0.01)
        self.assertGreater(found["cka_calibrated"][0, 0], 0.9)

    def test_sample(self):
        """The examples of a sample are relabelled among themselves."""
        a, b = layers(60, (5, 7), 41), layers(60, (6,), 42)
        options = ["--null", "permutation", "--permutations", "19"]
        for outer in ("spearman", "kendall"):
            how = [*options, "--rsa.outer", outer]
            found = self.sweep(a, b, ["rsa"], *how, "--rsa.sample", "20")
            few = self.sweep([x[::3] for x in a], [x[::3] for x in b], ["rsa"], *how)
            self.assertGreater(found["rsa_null_sd"].min(), 0)
            for name in few:
                if few[name].dtype == float: # the notes differ
                    np.testing.assert_array_equal(found[name], few[name], name)

    def test_ties(self):
        """What only rounding tells apart is a tie: with as many directions as examples gulp is 0 under
        every relabelling, made of terms of 38; nothing else becomes one."""
        a, b = layers(20, (24, 30, 3), 51), layers(20, (26, 40), 52)
        options = ["--null", "permutation", "--permutations", "39"]
        names = ["gulp", "procrustes", "perm_procrustes"]
        found = self.sweep(a, b, names, "--gulp.lambda", "0", *options)
        self.assertLess(found["gulp"][:2].max(), 1e-12 * 38)
        for name in ("gulp_pvalue", "gulp_pvalue_max"):
            np.testing.assert_array_equal(found[name][:2], 1, name)
        self.assertTrue(np.isnan(found["gulp_z"][:2]).all())
        self.assertFalse([name for name in found if name.endswith("_tie")])
        same = self.sweep(a, [x.copy() for x in a], names, *options)
        for name in names[1:]:
            np.testing.assert_array_equal(np.diag(same[name + "_pvalue"]), 1 / 40)
        for part in ("1", "2"):
            self.sweep(a, b, names, "--gulp.lambda", "0", *options, "--part", f"{part}/2",
                       output=f"tie{part}.nc")
        done = run("merge", "tie1.nc", "tie2.nc", "-o", "ties.nc", "--overwrite")
        self.assertEqual(done.returncode, 0, done.stderr)
        merged = self.read("ties.nc")
        self.assertEqual(sorted(merged), sorted(found))
        for name in found:
            np.testing.assert_array_equal(merged[name], found[name], name)

    def test_parts_and_memory(self):
        """Parts that are merged, tiles of sites and another seed: the same bits, or others."""
        a, b = layers(400, (9, 14, 9), 23), layers(400, (9, 12, 6), 24)
        names = ["cka", "nngs", "procrustes", "cka_rbf", "dot"]
        options = ["--k", "5,20", "--null", "permutation", "--permutations", "7", "--jackknife", "0"]
        whole = self.sweep(a, b, names, *options)
        checksum = self.checksum
        for part in (1, 2, 3):
            half = self.sweep(a, b, names, *options, "--part", f"{part}/3", output=f"part{part}.nc",
                              ranks=part)
            self.assertEqual(half["nngs_null"].shape, (14, 3, 3))
        done = run("merge", "part1.nc", "part2.nc", "part3.nc", "-o", "merged.nc", "--overwrite")
        self.assertEqual(done.returncode, 0, done.stderr)
        merged = self.read("merged.nc")
        self.assertEqual(sorted(merged), sorted(whole))
        for name in whole:
            np.testing.assert_array_equal(whole[name], merged[name], name)
        self.assertEqual(whole["nngs_pvalue"].shape, (2, 3, 3))
        self.sweep(a, b, names, *options, "--memory", "3400K")
        self.assertIn("tiles of pairs", self.log)
        self.assertEqual(self.checksum, checksum)
        other = self.sweep(a, b, names, *options, "--null-seed", "2")
        self.assertFalse(np.array_equal(other["cka_null_mean"], whole["cka_null_mean"]))
        np.testing.assert_array_equal(other["cka"], whole["cka"])

    def test_parts_and_memory_of_matrices(self):
        """The same of distances that are stored, of batches, and of neighbours in other layers."""
        a, b = layers(400, (9, 14, 9), 23), layers(400, (9, 12, 6), 24)
        names = ["rsa", "rsm_diff", "second_cos", "cka_minibatch"]
        how = ["--null", "permutation", "--permutations", "7", "--cka_minibatch.batch", "50"]
        stored = self.sweep(a, b, names, *how)
        checksum = self.checksum
        self.assertTrue(all(np.isfinite(stored[name + "_pvalue"]).all() for name in names))
        self.sweep(a, b, names, *how, "--memory", "11M")
        self.assertIn("tiles of pairs", self.log)
        self.assertEqual(self.checksum, checksum)
        for part in (1, 2):
            self.sweep(a, b, names, *how, "--part", f"{part}/2", output=f"part{part}.nc", ranks=part)
        done = run("merge", "part1.nc", "part2.nc", "-o", "merged.nc", "--overwrite")
        self.assertEqual(done.returncode, 0, done.stderr)
        merged = self.read("merged.nc")
        self.assertEqual(sorted(merged), sorted(stored))
        for name in stored:
            np.testing.assert_array_equal(stored[name], merged[name], name)

    # -- jackknife --------------------------------------------------------------------------------

    def test_parts_of_one_pair(self):
        """One part has the pair, the others none."""
        a, b = layers(40, (4,), 21), layers(40, (3,), 22)
        options = ["--null", "permutation", "--permutations", "19"]
        whole = self.sweep(a, b, ["cka"], *options)
        for part in ("1", "2"):
            self.sweep(a, b, ["cka"], *options, "--part", part + "/2", output=f"part{part}.nc")
        done = run("merge", "part1.nc", "part2.nc", "-o", "merged.nc", "--overwrite")
        self.assertEqual(done.returncode, 0, done.stderr)
        merged = self.read("merged.nc")
        self.assertEqual(sorted(merged), sorted(whole))
        np.testing.assert_array_equal(merged["cka_pvalue"], whole["cka_pvalue"])

    def test_intervals(self):
        """Against leaving blocks out of the layers themselves; the bits of one rank are those of others,
        and of rows that are read again."""
        a, b = layers(150, (7, 12), 7), layers(150, (12, 5), 8, heavy=True)
        a[0] = a[0] + b[1] @ np.ones((5, 7))
        every = ["cka_debiased", "cka_lange", "hsic", "ortho_procrustes", "angular", "nbs",
                 "hard_corr", "soft_corr"]
        found = self.sweep(a, b, ["cka", *every], "--jackknife", "20")
        self.assertIn("--jackknife: not known for cka", self.log)
        self.assertNotIn("cka_se", found)
        blocks = reference.blocks_of(150, 8)
        left = self.values_without(a, b, every, blocks)
        for name in every:
            for i, j in np.ndindex(2, 2):
                values = iter([found[name][i, j], *(v[name][i, j] for v in left)])
                _, error, low, high = reference.jackknife(
                    lambda u, v, values=values: next(values), a[i], b[j], blocks)
                at = (name, i, j)
                self.assertAlmostEqual(found[name + "_se"][i, j] / error, 1, delta=1e-7, msg=at)
                self.assertAlmostEqual(found[name + "_ci_low"][i, j], low, delta=1e-8 * max(1, abs(low)), msg=at)
                self.assertAlmostEqual(found[name + "_ci_high"][i, j], high, delta=1e-8 * max(1, abs(high)), msg=at)
        self.sweep(a, b, ["cka", *every], "--jackknife", "20")
        one = self.checksum
        for ranks in (2, 3, 4):
            self.sweep(a, b, ["cka", *every], "--jackknife", "20", ranks=ranks)
            self.assertEqual(self.checksum, one, ranks)
        # one set: both orders, and layers with themselves
        np.savez("a.npz", **{f"l{i}": x for i, x in enumerate(a)})
        done = run("sweep", "a.npz", "-m", "nbs,hsic", "--jackknife", "64", "-o", "one.nc", "--overwrite")
        self.assertEqual(done.returncode, 0, done.stderr)
        square = self.read("one.nc")
        np.testing.assert_array_equal(square["hsic_se"], square["hsic_se"].T)
        self.assertTrue((np.diag(square["nbs_se"]) < 1e-12).all() and (square["hsic_se"] > 0).all())

    def test_neurons_of_one_block(self):
        """What is constant without a block correlates with nothing there."""
        a, b = layers(256, (5,), 11), layers(256, (6,), 12)
        for x in (a[0], b[0]):  # active among the first examples alone
            x[:, :3] = 0.3
            x[:7, :3] += 100 * np.random.default_rng(x.shape[1]).standard_normal((7, 3))
        found = self.sweep(a, b, ["hard_corr", "soft_corr"], "--jackknife", "16")
        blocks = reference.blocks_of(256, 16)
        for name in ("hard_corr", "soft_corr"):
            left = iter([found[name][0, 0],
                         *(v[name][0, 0] for v in self.values_without(a, b, [name], blocks))])
            _, error, _, _ = reference.jackknife(lambda u, v: next(left), a[0], b[0], blocks)
            self.assertAlmostEqual(found[name + "_se"][0, 0] / error, 1, delta=1e-7, msg=name)

    def test_intervals_by_chunks(self):
        """Blocks of several chunks; rows that are read again."""
        a, b = layers(9000, (24, 20), 9), layers(9000, (20, 16), 10)
        names = ["cka_debiased", "nbs"]
        held = self.sweep(a, b, names, "--jackknife", "16", "--memory", "64M")
        checksum = self.checksum
        self.sweep(a, b, names, "--jackknife", "16", ranks=3)
        self.assertEqual(self.checksum, checksum)
        self.sweep(a, b, names, "--jackknife", "16", "--memory", "4500K")
        self.assertRegex(self.log, "read again by chunks|tiles of pairs")
        self.assertEqual(self.checksum, checksum)
        blocks = reference.blocks_of(9000, 1024)
        left = iter([held["nbs"][0, 0],
                     *(v["nbs"][0, 0] for v in self.values_without(a[:1], b[:1], ["nbs"], blocks))])
        _, error, _, _ = reference.jackknife(lambda u, v: next(left), a[0], b[0], blocks)
        self.assertAlmostEqual(held["nbs_se"][0, 0] / error, 1, delta=1e-7)

    def compare_intervals(self, found, name, a, b, blocks, measure):
        """With values of explicit matrices of the examples that are left."""
        for i, j in np.ndindex(len(a), len(b)):
            value, error, low, high = reference.jackknife(measure(a[i], b[j]), a[i], b[j], blocks)
            at = (name, i, j)
            self.assertAlmostEqual(found[name][i, j], value, delta=1e-11, msg=at)
            self.assertAlmostEqual(found[name + "_se"][i, j] / error, 1, delta=1e-7, msg=at)
            self.assertAlmostEqual(found[name + "_ci_low"][i, j], low, delta=1e-9, msg=at)
            self.assertAlmostEqual(found[name + "_ci_high"][i, j], high, delta=1e-9, msg=at)

    def test_intervals_of_matrices(self):
        """Kernels keep their widths; blocks shorter than tiles, and of a length with a short last one."""
        def fixed(x, y):
            width = [kernels.rbf_sigma(v) for v in (x, y)]
            return lambda u, v: kernels.unbiased_cka(kernels.rbf_kernel(u, sigma=width[0]),
                                                     kernels.rbf_kernel(v, sigma=width[1]))

        names = ["cka_rbf_debiased", "cka_rbf", "distcorr", "rsa", "cka_debiased"]
        for n, many, length in ((150, 20, 8), (1100, 16, 128)):
            a, b = layers(n, (7, 12), 7), layers(n, (12, 5), 8, heavy=True)
            a[0] = a[0] + b[1] @ np.ones((5, 7)) + 40
            if n > 1000:
                a, b = a[:1], b[1:]
            blocks = reference.blocks_of(n, length)
            for inner, outer in (("euclidean", "pearson"), ("correlation", "cosine")):
                options = ["--jackknife", str(many), "--rsa.inner", inner, "--rsa.outer", outer]
                found = self.sweep(a, b, names, *options)
                self.assertIn("--jackknife: not known for cka_rbf, distcorr", self.log)
                self.assertNotIn("cka_rbf_se", found)
                self.compare_intervals(found, "rsa", a, b, blocks, lambda x, y, i=inner, o=outer:
                                       lambda u, v: kernels.rsa(u, v, i, o))
            self.compare_intervals(found, "cka_rbf_debiased", a, b, blocks, fixed)
            one = self.checksum
            for ranks in (2, 3, 4) if n < 1000 else (3,):
                self.sweep(a, b, names, *options, ranks=ranks)
                self.assertEqual(self.checksum, one, ranks)
            plain = self.sweep(a, b, names, *options[2:])
            for name in names:
                np.testing.assert_array_equal(plain[name], found[name], name)
        # ranks of dissimilarities have none
        done = run("sweep", "a.npz", "b.npz", "-m", "rsa", "--jackknife", "16", "--format", "csv")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--jackknife: not known for rsa", done.stderr)

    def test_intervals_of_matrices_by_chunks(self):
        """Blocks of several tiles; rows that are read again, and tiles of sites."""
        a, b = layers(9000, (14, 10), 9), layers(9000, (6,), 10)
        how = ["--rsa.inner", "euclidean", "--rsa.outer", "pearson"]
        options = [*how, "--jackknife", "16"]
        held = self.sweep(a, b, ["rsa"], *options)
        checksum = self.checksum
        self.sweep(a, b, ["rsa"], *options, ranks=3)
        self.assertEqual(self.checksum, checksum)
        self.sweep(a, b, ["rsa"], *options, "--memory", "9M")
        self.assertRegex(self.log, "read again by chunks|tiles of pairs")
        self.assertEqual(self.checksum, checksum)
        blocks = reference.blocks_of(9000, 1024)
        left = iter([held["rsa"][0, 0], *(v["rsa"][0, 0] for v in
                     self.values_without(a[:1], b, ["rsa"], blocks, *how))])
        _, error, _, _ = reference.jackknife(lambda u, v: next(left), a[0], b[0], blocks)
        self.assertAlmostEqual(held["rsa_se"][0, 0] / error, 1, delta=1e-7)

    def test_wrong_intervals(self):
        np.save("few.npy", np.random.default_rng(1).standard_normal((7, 3)))
        for options, message in (
                (("--jackknife", "9"), "found 9 blocks, expected 16 to 64"),
                (("--jackknife", "16"), "found 7 examples, expected 8 or more"),
                (("--jackknife", "16", "--precision", "single"), "--jackknife"),
                (("--jackknife", "65"), "--jackknife")):
            done = run("sweep", "few.npy", "-m", "cka_debiased", "--format", "csv", *options)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(message, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
