"""contrasim bench as its users meet it: tables, CSV, JSON, the file, learned measures, messages."""
import csv
import io
import json
import os
import re
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


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rng = np.random.default_rng(1)
        hidden = rng.standard_normal((240, 6))
        for name in "abc":
            np.savez(f"{name}.npz", **{
                f"layer_{i}": hidden @ rng.standard_normal((6, 12))
                + noise * rng.standard_normal((240, 12)) for i, noise in enumerate((0.4, 3.0))})
        rng = np.random.default_rng(2)
        np.savez("other.npz", layer_0=rng.standard_normal((240, 12)))
        done = run("train", "a.npz", "b.npz", "--examples", "0:160", "--epochs", "2", "--hidden",
                   "16", "--out", "8", "--batch", "80", "-o", "enc.nc", "-q")
        assert done.returncode == 0, done.stderr

    def retrieval(self, *words, **how):
        done = run("bench", "retrieval", *words, **how)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def fails(self, code, part, *words):
        done = run("bench", *words)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(part, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_text(self):
        lines = self.retrieval("a.npz", "b.npz", "c.npz", "--candidates", "4").stdout.splitlines()
        self.assertIn("30 groups of 8 rows, each against 4 random candidates", lines[0])
        self.assertEqual(lines[2].split(), ["query", "candidates", "cka", "chance"])
        rows = [s.split() for s in lines[3:9]]
        self.assertEqual([r[:2] for r in rows], [[*p] for p in ("ab", "ac", "ba", "bc", "ca", "cb")])
        for row in rows:
            self.assertEqual(row[3], "+-")
            self.assertEqual(row[-1], "0.2000")
            self.assertGreater(float(row[2]), 0.4)
        layers = [s.split() for s in lines if s.startswith("layer_")]
        self.assertEqual([r[0] for r in layers], ["layer_0", "layer_1"])
        self.assertGreater(float(layers[0][1]), 0.9)
        self.assertGreater(float(layers[0][1]), float(layers[1][1]))

    def test_formats_and_file_agree(self):
        words = ("a.npz", "b.npz", "--measures", "cka,procrustes", "--seed", "3", "--examples",
                 "160:", "--group", "5", "--candidates", "6")
        data = json.loads(self.retrieval(*words, "--format", "json", "-o", "one.nc").stdout)
        self.assertEqual(data["decisions"], 16)
        self.assertEqual(data["layers"], ["layer_0", "layer_1"])
        self.assertEqual([m["orientation"] for m in data["measures"]], ["similarity", "distance"])
        table = list(csv.DictReader(io.StringIO(self.retrieval(*words, "--format", "csv").stdout)))
        self.assertEqual(len(table), 2 * 2 * 2)
        with xarray.open_dataset("one.nc") as file:
            self.assertEqual(file.accuracy.dims, ("measure", "pair", "layer"))
            self.assertEqual(list(file.measure_name.values), ["cka", "procrustes"])
            self.assertEqual(list(file.query_set.values), ["a", "b"])
            self.assertEqual(list(file.candidate_set.values), ["b", "a"])
            self.assertEqual(file.attrs["seed"], 3)
            self.assertIn("group = 5", file.attrs["configuration"])
            self.assertIn("bench retrieval a.npz", file.attrs["history"])
            self.assertAlmostEqual(file.accuracy.attrs["chance"], 1 / 7, 15)
            mean = file.accuracy.mean("layer").values
            np.testing.assert_allclose(file.accuracy_mean.values, mean, atol=1e-15)
            np.testing.assert_allclose(file.accuracy_std.values,
                                       file.accuracy.std("layer", ddof=1).values, atol=1e-15)
            for m, measure in enumerate(data["measures"]):
                for p, pair in enumerate(measure["pairs"]):
                    np.testing.assert_array_equal(file.accuracy.values[m, p], pair["accuracy"])
            np.testing.assert_array_equal([float(r["accuracy"]) for r in table],
                                          file.accuracy.values.ravel())

    def test_same_bits_on_any_ranks(self):
        sums = set()
        for ranks in (1, 2, 3):
            self.retrieval("a.npz", "b.npz", "--encoder", "enc.nc", "--measures",
                           "contrasim,cka,dot", "-o", "bits.nc", "--overwrite", ranks=ranks)
            with xarray.open_dataset("bits.nc") as file:
                sums.add(file.attrs["checksum"])
                self.assertEqual(file.attrs["run_ranks"], ranks)
        self.assertEqual(len(sums), 1)

    def test_checksums_of_inputs_are_those_of_a_sweep(self):
        self.retrieval("a.npz", "b.npz", "-o", "inputs.nc")
        run("sweep", "a.npz", "b.npz", "-o", "sweep.nc", "-q")
        with xarray.open_dataset("inputs.nc") as one, xarray.open_dataset("sweep.nc") as two:
            for name in ("input_names", "input_checksums"):
                self.assertEqual(one.attrs[name], two.attrs[name])

    def test_encoder(self):
        done = self.retrieval("a.npz", "b.npz", "c.npz", "--examples", "160:", "--encoder",
                              "enc.nc", "--group", "1", "--measures", "contrasim,norm",
                              "--format", "json")
        data = json.loads(done.stdout)
        self.assertEqual([m["name"] for m in data["measures"]], ["contrasim", "norm"])
        self.assertEqual(data["measures"][0]["encoder"], "enc.nc")
        self.assertNotIn("encoder", data["measures"][1])
        self.assertEqual(data["decisions"], 80)
        both = self.retrieval("a.npz", "b.npz", "--encoder", "enc.nc", "-q").stdout
        self.assertRegex(both, r"query +candidates +contrasim +cka +chance")

    def test_unequal_widths_are_undefined(self):
        np.savez("narrow.npz", layer_0=np.random.default_rng(4).standard_normal((240, 5)))
        done = self.retrieval("other.npz", "narrow.npz", "--measures", "dot", "--format", "csv")
        self.assertIn("dot is undefined for 60 of 60 true groups", done.stderr)
        row = next(csv.DictReader(io.StringIO(done.stdout)))
        self.assertEqual((row["accuracy"], row["undefined"]), ("0", "30"))

    def test_messages(self):
        self.fails(2, "no benchmark is named, expected retrieval")
        self.fails(2, "found 'retrieva', expected retrieval", "retrieva", "a.npz", "b.npz")
        self.fails(2, "needs two sets or more, found 1", "retrieval", "a.npz")
        self.fails(1, "--layers SET:LIST chooses", "retrieval", "a.npz", "other.npz")
        self.fails(2, "contrasim needs an encoder: --encoder FILE", "retrieval", "a.npz", "b.npz",
                   "--measures", "contrasim")
        self.fails(2, "enc.nc defines contrasim, which --measures does not name", "retrieval",
                   "a.npz", "b.npz", "--measures", "cka", "--encoder", "enc.nc")
        self.fails(2, "both define contrasim", "retrieval", "a.npz", "b.npz", "--encoder",
                   "enc.nc", "--encoder", "./enc.nc")
        self.fails(2, "the closest is 'cka'", "retrieval", "a.npz", "b.npz", "--measures", "ckka")
        self.fails(2, "needs groups of 4 rows or more, found --group 1", "retrieval", "a.npz",
                   "b.npz", "--group", "1")
        self.fails(1, "expected 242 examples or more", "retrieval", "a.npz", "b.npz", "--group",
                   "121")
        self.fails(1, "enc.nc", "retrieval", "a.npz", "b.npz", "-o", "enc.nc")
        self.fails(2, "is encoder enc.nc, which it would replace", "retrieval", "a.npz", "b.npz", "--encoder",
                   "enc.nc", "-o", "enc.nc", "--overwrite")
        self.fails(2, "is file a.npz of set a, which it would replace", "retrieval", "a.npz", "b.npz", "-o", "a.npz",
                   "--overwrite")

    def test_nearest_candidates_are_harder(self):
        words = ("a.npz", "b.npz", "--measures", "cka,norm", "--format", "json", "-q")
        easy = json.loads(self.retrieval(*words).stdout)
        hard = json.loads(self.retrieval(*words, "--negatives", "nearest", "-o", "near.nc").stdout)
        self.assertEqual((easy["negatives"], hard["negatives"]), ("random", "nearest"))
        with xarray.open_dataset("near.nc") as file:
            self.assertEqual(file.attrs["negatives"], "nearest")
            near = file.accuracy.values
        self.retrieval(*words, "-o", "random.nc")
        with xarray.open_dataset("random.nc") as file:
            self.assertLess(near.mean(), file.accuracy.values.mean())
        self.fails(2, "nngs: 10 neighbours of each of 8 rows", "retrieval", "a.npz", "b.npz", "-m",
                   "nngs")
        self.retrieval("a.npz", "b.npz", "-m", "nngs", "--k", "3")

    def test_help_names_no_choice_without_effect(self):
        text = run("bench", "--help").stdout
        self.assertRegex(text, re.compile(r"^      --negatives WORD .*\n.*nearest", re.M))
        self.assertRegex(text, re.compile(r"^  (-\w, |    )--candidates ", re.M))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
