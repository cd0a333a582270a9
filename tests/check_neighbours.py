"""Measures of neighbours of the program against the textbook reference in numpy, with their options."""
import os
import subprocess
import sys
import unittest

import netCDF4
import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import reference_neighbours as reference  # noqa: E402 (the path must be known)

BIN = os.environ["CONTRASIM_BIN"]
MPIEXEC = os.environ["CONTRASIM_MPIEXEC"]


class Neighbours(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rng = np.random.default_rng(5)
        cls.x = rng.standard_normal((170, 11)) * rng.choice([1, 1, 9], (170, 11)) + 0.3
        cls.y = cls.x[:, :7] + 0.8 * rng.standard_normal((170, 7))
        np.save("x.npy", cls.x)
        np.save("y.npy", cls.y)

    def values(self, measures, *options):
        done = subprocess.run([MPIEXEC, "3", BIN, "sweep", "x.npy", "y.npy", "--pairs", "all", "-m",
                               ",".join(measures), *options, "-o", "out.nc", "--overwrite", "-q"],
                              text=True, timeout=100, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        with netCDF4.Dataset("out.nc") as file:
            return {m: file[m][:].filled(np.nan) for m in measures}

    def compare(self, *options, measures=tuple(reference.MEASURES), **arguments):
        for m, values in self.values(measures, *options).items():
            for place, pair in (((0, 1), (self.x, self.y)), ((1, 0), (self.y, self.x))):
                expected = reference.MEASURES[m](*pair, **arguments)
                self.assertAlmostEqual(values[place], expected, delta=1e-12, msg=f"{m} {options}")

    def test_numbers(self):
        for k in (1, 10, 0.3, 169):
            some = [m for m in reference.MEASURES if k != 1 or m != "cknna"]
            self.compare("--k", str(k), measures=some, k=k)

    def test_metrics(self):
        some = [m for m in reference.MEASURES if m not in ("cknna", "second_cos")]
        for metric in ("cosine", "euclidean", "inner"):
            self.compare("--metric", metric, measures=some, metric=metric)

    def test_clamp(self):
        some = ["mutual_knn", "cycle_knn", "lcs_knn", "edit_knn", "cknna"]
        for clamp in (0.95, 0.8, 0.5):  # below, unlike rows lie equally far but for rounding
            self.compare("--clamp", str(clamp), measures=some, clamp=clamp)
        alone = self.values(["mutual_knn", "nngs", "lcs_knn"], "--mutual_knn.clamp", "0.9",
                            "--lcs_knn.clamp", "0.7")
        for m, clamp in (("mutual_knn", 0.9), ("lcs_knn", 0.7)):
            self.assertAlmostEqual(alone[m][0, 1], reference.MEASURES[m](self.x, self.y, clamp=clamp),
                                   delta=1e-12)
        self.assertAlmostEqual(alone["nngs"][0, 1], reference.nngs(self.x, self.y), delta=1e-12)

    def test_curve_and_chance(self):
        values = self.values(["nngs"], "--nngs.normalise", "--k", "2,5,0.5")["nngs"]
        expected = reference.nngs(self.x, self.y, [2, 5, 0.5], normalise=True)
        np.testing.assert_allclose(values[:, 0, 1], expected, atol=1e-12)
        with netCDF4.Dataset("out.nc") as file:
            self.assertEqual(list(file["nngs_k"][:]), [2, 5, 85])
            self.assertEqual(list(file["nngs"].neighbours), [2, 5, 85])
        self.values(["nngs", "mutual_knn"], "--k", "4,40")
        with netCDF4.Dataset("out.nc") as file:
            np.testing.assert_allclose(file["nngs"].chance,
                                       [reference.nngs_chance(k, 170) for k in (4, 40)])
            np.testing.assert_allclose(file["mutual_knn"].chance,
                                       [reference.mutual_knn_chance(k, 170) for k in (4, 40)])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
