"""contrasim knn as its users meet it: the file, the same on any number of ranks, and messages."""
import os
import subprocess
import sys
import unittest

import numpy as np
import xarray

BIN = os.environ["CONTRASIM_BIN"]
MPIEXEC = os.environ["CONTRASIM_MPIEXEC"]
ALONE = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self", "OMPI_MCA_ess_singleton_isolated": "1"}


def run(*words, ranks=None):
    command = ([MPIEXEC, str(ranks)] if ranks else []) + [BIN, *words]
    return subprocess.run(command, env={**os.environ, **({} if ranks else ALONE)}, text=True,
                          timeout=100, capture_output=True)


def distances(x, metric):
    if metric == "inner":
        return -x @ x.T
    if metric == "cosine":
        length = np.linalg.norm(x, axis=1)
        x = x / np.where(length > 0, length, 1)[:, None]
        zero = (length[:, None] == 0) | (length[None] == 0)
        return np.where(zero, 1, ((x[:, None] - x[None]) ** 2).sum(-1) / 2)
    return np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))


class Knn(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rng = np.random.default_rng(1)
        cls.layers = {"first": rng.standard_normal((230, 9)),
                      "second/ü": rng.integers(0, 3, (230, 4)).astype(float)}
        np.savez("a.npz", **cls.layers)
        os.makedirs("b", exist_ok=True)
        np.save("b/layer_00.npy", rng.standard_normal((230, 5)).astype(np.float32))

    def expect(self, x, metric, k, file, site):
        d = distances(x, metric)
        np.fill_diagonal(d, np.inf)
        index = file["index"].values[site]
        far = file["distance"].values[site]
        np.testing.assert_allclose(np.take_along_axis(d, index, 1), far, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(np.sort(d, axis=1)[:, :k], far, rtol=1e-12, atol=1e-14)
        if metric == "euclidean":
            np.testing.assert_array_equal(np.argsort(d, axis=1, kind="stable")[:, :k], index)

    def test_lists(self):
        for metric in ("euclidean", "cosine", "inner"):
            done = run("knn", "a.npz", "m=b", "--k", "6", "--metric", metric, "-o", "k.nc",
                       "--overwrite", "-q", ranks=3)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, "k.nc: 3 layers, 230 examples, 6 neighbours each\n")
            with xarray.open_dataset("k.nc") as file:
                self.assertEqual(dict(file.sizes), {"site": 3, "example": 230, "neighbour": 6})
                self.assertEqual(list(file.layer.values), ["first", "second/ü", "layer_00"])
                self.assertEqual(list(file.model.values), ["a", "a", "m"])
                self.assertEqual(list(file.neurons.values), [9, 4, 5])
                self.assertEqual(file.attrs["metric"], metric)
                for i, x in enumerate(self.layers.values()):
                    self.expect(x, metric, 6, file, i)

    def test_any_number_of_ranks(self):
        words = ("a.npz", "--k", "0.1", "--metric", "cosine", "-q")
        self.assertEqual(run("knn", *words, "-o", "one.nc").returncode, 0)
        self.assertEqual(run("knn", *words, "-o", "three.nc", ranks=3).returncode, 0)
        with xarray.open_dataset("one.nc") as one, xarray.open_dataset("three.nc") as three:
            self.assertEqual(one.sizes["neighbour"], 23)
            self.assertTrue(one.identical(three.assign_attrs(one.attrs)))
            changed = {k for k in one.attrs if one.attrs[k] != three.attrs[k]}
            self.assertLessEqual(changed, {"history", "run_ranks", "run_start", "run_end"})
            self.assertEqual(one.attrs["examples"], 230)
            self.assertTrue(one.attrs["input_checksums"].startswith("xxh3:")
                            or ":" in one.attrs["input_checksums"])

    def fails(self, code, part, *words):
        done = run("knn", *words)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(part, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_messages(self):
        np.save("hole.npy", np.where(np.arange(60).reshape(20, 3) == 31, np.nan, 1.5))
        np.save("large.npy", 1e200 * np.arange(60.0).reshape(20, 3))
        with open("there.nc", "w") as file:
            file.write("mine")
        self.fails(2, "no set is named", "-o", "no.nc")
        self.fails(2, "--output FILE is missing", "a.npz")
        self.fails(2, "expected a whole number of neighbours from 1 to 229", "a.npz", "--k", "230",
                   "-o", "no.nc")
        self.fails(2, "expected a whole number of neighbours", "a.npz", "--k", "0", "-o", "no.nc")
        self.fails(2, "expected a whole number of neighbours", "a.npz", "--k", "2.5", "-o", "no.nc")
        self.fails(1, "NaN at row 10, column 1", "hole.npy", "-o", "no.nc")
        self.fails(1, "values too large for double precision", "large.npy", "-o", "no.nc")
        self.fails(1, "--overwrite", "a.npz", "-o", "there.nc")
        self.fails(2, "output", "a.npz", "-o", "a.npz", "--overwrite")
        with open("there.nc") as file:
            self.assertEqual(file.read(), "mine")
        done = run("knn", "hole.npy", "--nan", "drop-rows", "--k", "18", "-o", "k18.nc", "-q")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse([f for f in os.listdir() if f.startswith("no.nc") or "partial" in f])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
