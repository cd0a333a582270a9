"""Statistics of sweeps through the command line, against the textbook reference in numpy."""
import os
import subprocess
import sys
import unittest

import netCDF4
import numpy as np

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
        found = self.sweep(a, b, ["rsa"], "--null", "analytic", "--rsa.outer", "kendall")
        self.assertTrue(np.isnan(found["rsa_z"][0, 0]))
        done = run("sweep", "a.npz", "b.npz", "-m", "svcca,nngs", "--null", "analytic", "--format", "csv")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--null analytic: not known for svcca, nngs", done.stderr)

    def test_moments_by_chunks(self):
        """Rows that are read again give the bits of rows that are held."""
        a, b = layers(3000, (40, 30), 5), layers(3000, (25, 40), 6)
        names = ["cka", "cca_r2", "linreg"]
        held = self.sweep(a, b, names, "--null", "analytic")
        tight = self.sweep(a, b, names, "--null", "analytic", "--memory", "1500K")
        self.assertIn("read again by chunks", self.log)
        for name in held:
            np.testing.assert_array_equal(held[name], tight[name], name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
