"""Sweeps in pieces through the command line: larger than the memory they may take, and in parts."""
import os
import re
import shutil
import subprocess
import sys
import unittest

import netCDF4
import numpy as np

BIN = os.environ["CONTRASIM_BIN"]
MPIEXEC = os.environ["CONTRASIM_MPIEXEC"]
ALONE = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self", "OMPI_MCA_ess_singleton_isolated": "1"}
MIB = 1 << 20


def run(*words, ranks=None):
    """Exit code, standard error and, without a launcher, the largest resident size in bytes."""
    command = ([MPIEXEC, str(ranks)] if ranks else []) + [BIN, *words]
    process = subprocess.Popen(command, env={**os.environ, **({} if ranks else ALONE)}, text=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, errors, usage.ru_maxrss * 1024


def contents(path):
    """Everything in a results file but what tells one run from another."""
    with netCDF4.Dataset(path) as file:
        attributes = {name: str(file.getncattr(name)) for name in file.ncattrs()
                      if name != "history" and not name.startswith("run_")}
        values = {name: np.ma.getdata(v[:]).tobytes() for name, v in file.variables.items()
                  if v.dtype is not str}
        return attributes, values


def write_layers(examples, width, layers):
    rng = np.random.default_rng(3)
    os.mkdir("large")
    base = rng.standard_normal((examples, width), dtype=np.float32)
    for i in range(layers):
        base = 0.8 * base + rng.standard_normal((examples, width), dtype=np.float32)
        np.save(f"large/layer_{i}.npy", base.astype(np.float16))


def write_kinds(examples, width):
    """Layers of one shape in files of every kind."""
    rng = np.random.default_rng(8)
    common = rng.standard_normal((examples, width), dtype=np.float32)

    def layer(dtype=np.float64):
        return (common + rng.standard_normal((examples, width), dtype=np.float32)).astype(dtype)

    for name in ("npy", "parts/layer", "native"):
        os.makedirs(name)
    np.save("npy/one.npy", layer())
    np.save("npy/two.npy", np.asfortranarray(layer(np.float32)))
    np.savez("stored.npz", one=layer(np.float16))
    np.savez_compressed("deflated.npz", one=np.round(layer(np.float32), 1))
    for i, rows in enumerate(np.array_split(layer(np.float32), 13)):
        np.save(f"parts/layer/part_{i:02d}.npy", rows)
    np.save("native/one.npy", layer(np.float32))


class Pieces(unittest.TestCase):
    def apart(self, function, *arguments):
        """Call it in another process: what this one has held counts as that of those it starts."""
        pid = os.fork()
        if pid == 0:
            function(*arguments)
            os._exit(0)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)

    def test_larger_than_memory(self):
        """Three times what may be held, and more: the process stays within the limit and what the
        libraries take."""
        examples, width, layers, limit = 20000, 256, 9, 110
        self.apart(write_layers, examples, width, layers)
        held = examples * width * layers * 8 / MIB
        self.assertGreater(held, 3 * limit)
        options = ["sweep", "large", "--measures", "cka,procrustes", "--pairs", "all", "-o"]
        code, errors, resident = run(*options, "short.nc", "--memory", f"{limit}M")
        self.assertEqual(code, 0, errors)
        self.assertRegex(errors, r"tiles of pairs, each layer is read \d+\.\d times")
        self.assertLess(resident, (limit + 80) * MIB)
        code, errors, resident = run(*options, "whole.nc", "--memory", "2G")
        self.assertEqual(code, 0, errors)
        self.assertNotIn("tiles of pairs", errors)
        self.assertGreater(resident, held * MIB)
        self.assertEqual(contents("short.nc"), contents("whole.nc"))
        code, errors, _ = run(*options, "none.nc", "--memory", "6M")
        self.assertEqual(code, 1)
        self.assertRegex(errors, r"needs \S+ MiB a rank for 2 layers at a time, read by chunks")
        self.assertFalse([name for name in os.listdir() if name.startswith("none.nc")])

    def test_layers_larger_than_memory(self):
        """Each layer takes more than what may be held, in files of every kind: rows are read again by
        chunks."""
        examples, width, limit = 60000, 64, 24
        self.apart(write_kinds, examples, width)
        self.assertEqual(run("import", "native", "-o", "native.nc")[0], 0)
        self.assertGreater(examples * width * 8 / MIB, limit)
        options = ["sweep", "npy", "stored.npz", "deflated.npz", "parts", "native.nc", "--concat",
                   "rows", "--measures", "cka,cka_debiased,procrustes,svcca,dot", "-o"]
        code, errors, resident = run(*options, "by_chunks.nc", "--memory", f"{limit}M")
        self.assertEqual(code, 0, errors)
        self.assertIn("read again by chunks", errors)
        self.assertLess(resident, (limit + 80) * MIB)
        peak = re.search(r"peak memory of a rank: (\S+) MiB, planned (\S+) MiB", errors)
        self.assertLessEqual(float(peak[1]), limit)
        self.assertLess(abs(float(peak[1]) / float(peak[2]) - 1), 0.1)
        self.assertEqual(run(*options, "held.nc")[0], 0)
        self.assertEqual(contents("by_chunks.nc"), contents("held.nc"))
        code, errors, _ = run(*options, "by_three.nc", "--memory", f"{limit}M", ranks=3)
        self.assertEqual(code, 0, errors)
        self.assertEqual(contents("by_three.nc"), contents("held.nc"))

    def test_parts(self):
        rng = np.random.default_rng(4)
        for name in "ab":
            np.savez(f"{name}.npz", **{f"layer_{i}": rng.standard_normal((130, 5 + i))
                                       for i in range(4)})
        options = ["sweep", "a.npz", "b.npz", "--measures", "cka,svcca,pwcca,cka_rbf,nngs", "--pairs",
                   "all"]
        self.assertEqual(run(*options, "-o", "one.nc")[0], 0)
        for i in (1, 2, 3):
            os.mkdir(f"node_{i}")  # the same files, on the disk of each node
            for name in "ab":
                shutil.copy(f"{name}.npz", f"node_{i}/{name}.npz")
            words = [f"node_{i}/{w}" if w.endswith(".npz") else w for w in options]
            code, errors, _ = run(*words, "-o", f"part_{i}.nc", "--part", f"{i}/3",
                                  ranks=i if i > 1 else None)
            self.assertEqual(code, 0, errors)
        with netCDF4.Dataset("part_2.nc") as file:
            status = file["cka_status"][:]
            self.assertEqual({0, 1, 2} & set(np.unique(status)), {1, 2})  # pending and done
            self.assertEqual(list(file.getncattr("part")), [2, 3])
        parts = ["part_3.nc", "part_1.nc", "part_2.nc"]
        code, errors, _ = run("merge", *parts, "-o", "merged.nc")
        self.assertEqual(code, 0, errors)
        merged, one = contents("merged.nc"), contents("one.nc")
        for name in ("input_names", "configuration"):  # they tell where the inputs were
            self.assertNotEqual(merged[0].pop(name), one[0].pop(name))
        self.assertEqual(merged, one)
        run(*options[:-2], "--pairs", "cross", "-o", "other.nc", "--part", "2/3")
        run(*options, "-o", "four.nc", "--part", "2/4")
        for words, message in (
                ([*parts, "-o", "merged.nc"], "--overwrite"),
                ([*parts[:2], "-o", "m.nc"], "part 2 of 3 is missing"),
                ([*parts, "part_3.nc", "-o", "m.nc"], "both part 3"),
                ([*parts[:2], "four.nc", "-o", "m.nc"], "one of 4"),
                ([*parts[:2], "other.nc", "-o", "m.nc"], "not of the same sweep"),
                (["one.nc", "-o", "m.nc"], "is not a part of a sweep"),
                ([*parts, "-o", "part_1.nc", "--overwrite"], "which it would replace"),
                (parts, "--output is needed"), (["-o", "m.nc"], "no part is named")):
            code, errors, _ = run("merge", *words)
            self.assertIn(code, (1, 2), errors)
            self.assertEqual(len([s for s in errors.splitlines() if "error" in s]), 1, errors)
            self.assertIn(message, errors)
            self.assertFalse([name for name in os.listdir() if name.startswith("m.nc")])
        for part in ("0/3", "4/3", "3", "1/3x", "a/b"):
            code, errors, _ = run(*options, "-o", "m.nc", "--part", part)
            self.assertEqual(code, 2)
            self.assertIn("expected I/N", errors)

    def test_heavy_layers(self):
        """Layers that turn out to need Gram tiles are compared in smaller tiles, not refused."""
        rng = np.random.default_rng(5)
        os.mkdir("heavy")
        for i in range(24):
            x = rng.standard_normal((3000, 16))
            x[7] *= 1000 if i >= 18 else 1
            np.save(f"heavy/layer_{i:02d}.npy", x)
        options = ["sweep", "heavy", "--measures", "cka,cka_debiased", "-o"]
        self.assertEqual(run(*options, "roomy.nc")[0], 0)
        for limit in ("16M", "10M"):
            code, errors, _ = run(*options, "tight.nc", "--memory", limit, "--overwrite")
            self.assertEqual(code, 0, errors)
            self.assertIn("Gram tiles take more memory", errors)
            peak = re.search(r"peak memory of a rank: (\S+) MiB, planned (\S+) MiB", errors)
            self.assertLessEqual(float(peak[1]), float(limit[:-1]))
            self.assertLessEqual(float(peak[1]), 1.3 * float(peak[2]))
            self.assertEqual(contents("tight.nc"), contents("roomy.nc"))

    def test_what_is_finished(self):
        """A finished file is for the values that it was made from, wherever they lie."""
        rng = np.random.default_rng(6)
        x = rng.standard_normal((60, 7))
        np.save("x.npy", x)
        np.save("y.npy", rng.standard_normal((60, 5)))
        options = ["sweep", "x.npy", "y.npy", "-o", "done.nc"]
        self.assertEqual(run(*options)[0], 0)
        self.assertEqual(run(*options, "--resume")[0], 0)
        os.mkdir("elsewhere")
        os.rename("x.npy", "elsewhere/x.npy")
        options[1] = "elsewhere/x.npy"
        self.assertEqual(run(*options, "--resume")[0], 0)
        x[3, 3] += 1
        np.save("elsewhere/x.npy", x)
        code, errors, _ = run(*options, "--resume")
        self.assertEqual(code, 1)
        self.assertIn("is finished, with other inputs", errors)
        code, errors, _ = run(*options, "--resume", "--measures", "cka")
        self.assertEqual(code, 1)
        self.assertIn("is finished, with other options: 'measures = cka,cka_debiased' there", errors)
        np.save("elsewhere/x.npy", x - (np.indices(x.shape) == 3).all(axis=0))
        options += ["-m", "svcca", "--overwrite"]
        self.assertEqual(run(*options)[0], 0)
        options[-1] = "--resume"
        for words, text in ((["--svcca.dims", "3"], "'svcca.dims = 0' there, 'svcca.dims = 3' here"),
                            (["--examples", "0:50"], "examples is not set there, 'examples = 0:50' here"),
                            (["--part", "1/2"], "all pairs there, part 1 of 2 here")):
            code, errors, _ = run(*options, *words)
            self.assertEqual(code, 1)
            self.assertIn(text, errors)

    def test_overwrite_waits(self):
        """Saved work goes when another sweep begins, not when one cannot."""
        rng = np.random.default_rng(7)
        np.savez("many.npz", **{f"layer_{i:02d}": rng.standard_normal((90, 9)) for i in range(12)})
        options = ["sweep", "many.npz", "-o", "late.nc"]
        self.assertEqual(run(*options, "--walltime", "0")[0], 85)
        saved = os.path.getsize("late.nc.journal")
        for words in (["--pairs", "a:b"], ["--memory", "1K"], ["--measures", "none"]):
            self.assertIn(run(*options, "--overwrite", *words)[0], (1, 2))
            self.assertEqual(os.path.getsize("late.nc.journal"), saved)
        with open("late.nc.journal", "r+b") as file:  # its request is damaged: no work of anybody's?
            file.seek(60)
            byte = file.read(1)
            file.seek(60)
            file.write(bytes([byte[0] ^ 1]))
        code, errors, _ = run(*options)
        self.assertEqual(code, 1)
        self.assertIn("--resume goes on with it", errors)
        self.assertEqual(os.path.getsize("late.nc.journal"), saved)
        self.assertEqual(run(*options, "--overwrite")[0], 0)
        self.assertFalse(os.path.exists("late.nc.journal"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
