"""plan and perf --calibrate as their users meet them: tables, JSON, job scripts, refusals; and that
the memory foretold is what a process takes."""
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import unittest

import numpy as np

BIN = os.environ["CONTRASIM_BIN"]
MPIEXEC = os.environ["CONTRASIM_MPIEXEC"]
ALONE = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self", "OMPI_MCA_ess_singleton_isolated": "1"}
SHAPES = ["--sites", "80", "--width", "8192", "--examples", "1e6", "--sets", "2"]
MIB = 2 ** 20


def run(*words, ranks=None, env=None):
    command = ([MPIEXEC, str(ranks)] if ranks else []) + [BIN, *words]
    env = {**os.environ, "XDG_CONFIG_HOME": os.path.abspath("config"),
           **({} if ranks else ALONE), **(env or {})}
    return subprocess.run(command, env=env, text=True, capture_output=True, timeout=100)


def listing():
    """Every file here with its size and time; settings would be here, too (see run())."""
    paths = [os.path.join(folder, f) for folder, _, files in os.walk(".") for f in files]
    return {p: (os.stat(p).st_size, os.stat(p).st_mtime_ns) for p in paths}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class Plan(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rng = np.random.default_rng(2)
        np.savez("a.npz", **{f"l{i}": rng.standard_normal((300, 6 + i)) for i in range(3)})
        np.savez("b.npz", **{f"l{i}": rng.standard_normal((300, 5)) for i in range(2)})
        os.mkdir("seq")
        np.save("seq/x.npy", rng.standard_normal((300, 7, 4)).astype(np.float32))

    def expect(self, done, code, *parts):
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)

    def plan(self, *words, code=0, **how):
        done = run("plan", "sweep", *words, "--format", "json", "-q", **how)
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout)

    # -- what is told -----------------------------------------------------------------------------

    def test_shapes(self):
        p = self.plan(*SHAPES, "--ranks", "1024", "--nodes", "64", "--mem-per-node", "256G")
        self.assertEqual(p["problem"]["layers"], 160)
        self.assertEqual(p["problem"]["chunks"], 977)
        # 80 x 80 pairs, and the self-terms that CKA takes
        self.assertEqual(p["pairs"]["count"], 80 * 80 + 160)
        self.assertEqual(p["pairs"]["cross"], p["pairs"]["count"])
        self.assertEqual(p["ranks"]["per_node"], 16)
        self.assertEqual(p["ranks"]["without_examples"], 1024 - 977)
        self.assertEqual(p["ranks"]["group"], {
            "ranks": 1, "grid": [1, 1], "count": 1024, "ranks_in_none": 0, "from_neurons": 4096,
            "large_pairs": 0, "why": "none"})
        memory = p["memory"]
        self.assertEqual(memory["limit_bytes"], 256 * 2 ** 30 * 8 // 10 // 16)
        self.assertTrue(memory["fits"])
        arrays = {a["name"]: a for a in memory["arrays"]}
        self.assertEqual(arrays["examples"]["bytes"], 1024 * 160 * 8192 * 8)
        self.assertAlmostEqual(arrays["examples"]["mean_bytes"], 1e6 / 1024 * 160 * 8192 * 8,
                               delta=1e4)
        self.assertEqual(sum(a["bytes"] for a in memory["arrays"] if a["at_peak"]),
                         memory["peak_bytes"])
        self.assertEqual(p["work"]["files"]["bytes"], int(1e6) * 160 * 8192 * 4)
        self.assertEqual(p["work"]["files"]["bytes_read"], 1e6 * 160 * 8192 * 4)
        self.assertEqual(p["work"]["files"]["count"], 0)
        # a value, a status and a note for each of two measures
        self.assertEqual(p["work"]["files"]["results_bytes"], 80 * 80 * 2 * 10)
        products = 2 * 1e6 * 8192 ** 2 * 6400 + 1e6 * 8192 ** 2 * 160
        self.assertAlmostEqual(p["work"]["flops"] / products, 1, delta=1e-6)
        t = p["time"]
        self.assertLess(t["low"], t["seconds"])
        self.assertLess(t["seconds"], t["high"])
        self.assertAlmostEqual(sum(t["terms"].values()), t["seconds"], delta=1e-6 * t["seconds"])
        self.assertEqual(t["terms"][t["most"]], max(t["terms"].values()))
        self.assertFalse(t["measured"])
        shapes = {s["why"]: s for s in p["shapes"]}
        self.assertEqual((shapes["even"]["ranks"], shapes["even"]["nodes"]), (977, 62))

    def test_text(self):
        done = run("plan", *SHAPES, "--ranks", "1024", "--nodes", "64", "--mem-per-node", "256G")
        self.expect(done, 0)
        for part in ("2 sets, 160 layers of 8192 neurons", "977 chunks of 1024", "6560, of them 160",
                     "1024 on 64 nodes, 16 on a node", "idle: 47 without examples",
                     "examples: rows of all layers", "of limit", "12.8 GiB (--mem-per-node)",
                     "4.77 TiB of values in files, read 1 time", "between ranks", "most of it",
                     "977 ranks on 62 nodes", "typical speeds"):
            self.assertIn(part, done.stdout)
        self.assertEqual(done.stderr, "")

    def test_files(self):
        p = self.plan("a.npz", "b.npz", "-m", "cka,svcca")
        self.assertEqual(p["pairs"]["basis"], 6)
        self.assertEqual(p["pairs"]["decomposed"], 6)
        self.assertEqual(p["problem"]["measures"], ["cka", "svcca"])
        self.assertEqual((p["problem"]["narrowest"], p["problem"]["widest"]), (5, 8))
        self.assertEqual(p["work"]["files"]["count"], 2)
        self.assertEqual(p["work"]["files"]["bytes"], 300 * (6 + 7 + 8 + 5 + 5) * 8)
        self.assertGreater(p["memory"]["limit_bytes"], 2 ** 20)
        twice = self.plan("a.npz", "b.npz", "-m", "cka,svcca", "--nan", "drop-rows")
        self.assertEqual(twice["work"]["files"]["readings"], 2)
        # all that is pooled is read
        p = self.plan("seq", "--pool", "mean", "-m", "cka")
        self.assertEqual(p["work"]["files"]["bytes"], 300 * 7 * 4 * 4)
        self.assertEqual(p["problem"]["widest"], 4)

    def test_same_on_any_ranks(self):
        words = ["--sites", "6", "--width", "100,90,80,70,60,50", "--examples", "5000", "-m",
                 "cka,pwcca", "--ranks", "7", "--pairs", "all"]
        self.assertEqual(self.plan(*words), self.plan(*words, ranks=3))

    def test_agrees_with_the_sweep(self):
        """The sweep says in its log what it plans."""
        p = self.plan("a.npz", "b.npz", "--ranks", "2", "-m", "procrustes,cka")
        done = run("sweep", "a.npz", "b.npz", "-m", "procrustes,cka", "--format", "csv", ranks=2)
        self.assertIn(f"planned {p['memory']['peak_bytes'] / MIB:.1f} MiB", done.stderr)
        self.assertIn(f"{p['work']['flops']:.3g} flops", done.stderr)

    def test_groups(self):
        """Chosen where they pay, taken as asked for, and no shape has fewer ranks than a group."""
        words = ["--sites", "2", "--width", "16384", "--examples", "1e5", "-m", "procrustes",
                 "--pairs", "all", "--ranks", "64"]
        p = self.plan(*words)
        group = p["ranks"]["group"]
        self.assertEqual((group["why"], group["large_pairs"]), ("time", 1))
        self.assertGreater(group["ranks"], 16)
        self.assertEqual(group["count"] * group["ranks"] + group["ranks_in_none"], 64)
        alone = self.plan(*words, "--grid", "1x1")
        self.assertEqual((alone["ranks"]["group"]["why"], alone["ranks"]["group"]["ranks"]),
                         ("asked", 1))
        self.assertEqual(alone["ranks"]["without_pairs"], 64 - 3)
        self.assertLess(p["time"]["terms"]["decompose"],
                        alone["time"]["terms"]["decompose"] / 4)
        for key in ("cross", "read"):
            self.assertEqual(p["time"]["terms"][key], alone["time"]["terms"][key])
        self.assertIn("1 group of", run("plan", *words).stdout)
        p = self.plan(*words, "--grid", "6x8", "--mem-per-node", "2T")
        self.assertEqual(p["ranks"]["group"]["grid"], [6, 8])
        self.assertEqual(p["ranks"]["group"]["ranks_in_none"], 16)
        self.assertTrue(p["shapes"])
        self.assertTrue(all(s["ranks"] >= 48 and s["grid"] == [6, 8] for s in p["shapes"]))
        self.expect(run("plan", *words, "--grid", "9x8"), 2, "9 x 8 ranks", "only 64")

    def test_parts(self):
        """The parts of a job array have the pairs of the whole; what no pair needs is read once."""
        words = ["--sites", "9", "--width", "64", "--examples", "4000", "-m", "procrustes",
                 "--pairs", "all", "--ranks", "2"]
        whole = self.plan(*words)
        parts = [self.plan(*words, "--part", f"{i}/9") for i in range(1, 10)]
        self.assertEqual(sum(p["pairs"]["count"] for p in parts), whole["pairs"]["count"])
        for p in parts:
            self.assertEqual(p["work"]["files"]["readings"], 1)
            self.assertLess(p["work"]["flops"], whole["work"]["flops"] / 4)
        rng = np.random.default_rng(5)
        np.savez("nine.npz", **{f"l{i}": rng.standard_normal((400, 9)) for i in range(9)})
        words = ["nine.npz", "-m", "procrustes", "--part", "3/9"]
        p = self.plan(*words, "--ranks", "2")
        done = run("sweep", *words, "--format", "csv", ranks=2)
        self.expect(done, 0, f"pairs: {p['pairs']['count']},",
                    f"planned {p['memory']['peak_bytes'] / MIB:.1f} MiB")
        self.expect(run("plan", "sweep", *words[:-1], "10/9"), 2, "--part", "10/9")

    def test_volumes(self):
        """Bytes between ranks: within 15 % of what Open MPI counts as sent, 20 % with groups."""
        rng = np.random.default_rng(6)
        few, grid = [300, 300, 250], ("--grid", "1x2", "--grid-from", "200")
        for measure, widths, *more in (("cka", few), ("procrustes", few), ("cca_mean", [150, 150, 90]),
                                       ("cka_rbf", few), ("distcorr", few), ("nngs", few),
                                       ("procrustes", few, *grid), ("pwcca", few, *grid)):
            name = f"{measure}.npz"
            np.savez(name, **{f"l{i}": rng.standard_normal((1500, d)) for i, d in enumerate(widths)})
            for ranks in (2, 3):
                shutil.rmtree("sent", ignore_errors=True)
                os.mkdir("sent")
                done = run("sweep", name, "-m", measure, *more, "--format", "csv", ranks=ranks, env={
                    "OMPI_MCA_pml_monitoring_enable": "2",
                    "OMPI_MCA_pml_monitoring_enable_output": "3",
                    "OMPI_MCA_pml_monitoring_filename": "sent/rank"})
                self.expect(done, 0)
                lines = [line.split("\t") for f in os.listdir("sent")
                         for line in read(f"sent/{f}").splitlines() if line[:2] in ("E\t", "I\t")]
                if not lines:
                    self.skipTest("this MPI does not count what it sends")
                sent = sum(int(line[3].split()[0]) for line in lines)
                told = self.plan(name, "-m", measure, *more, "--ranks", str(ranks))
                with self.subTest(measure=measure, ranks=ranks, more=more):
                    self.assertAlmostEqual(told["work"]["bytes_moved"] / sent, 1,
                                           delta=0.2 if more else 0.15)

    def readings(self, *words):
        """What is foretold, if it is what a sweep on two ranks counts and tells."""
        files = self.plan(*words, "--ranks", "2")["work"]["files"]
        done = run("sweep", *words, "--format", "csv", "--profile-json", "p.json", "--overwrite",
                   ranks=2)
        self.expect(done, 0)
        if "--memory" in words:
            self.assertIn(f"each layer is read {files['readings']:.1f} times", done.stderr)
        counted = sum(p["bytes"] for p in json.loads(read("p.json"))["phases"]
                      if p["name"] == "read")
        self.assertAlmostEqual(counted / files["bytes_read"], 1, delta=1e-9)
        return files

    def test_readings_of_held_rows(self):
        """What takes rows as they are in the file reads them again."""
        rng = np.random.default_rng(6)
        np.savez("read.npz", **{f"l{i}": rng.standard_normal((1300, 60)) for i in range(4)})
        permute = "--null permutation --permutations 2"
        for words, times in (("cka,cka_rbf,unif_diff,conc_diff,mag_diff", 1),
                             (f"nngs,mutual_knn,cknna {permute}", 2),
                             ("nngs,mutual_knn --mutual_knn.clamp 0.9", 3),
                             ("second_cos", 3),
                             ("cka_minibatch --cka_minibatch.batch 400", 1 + 1200 / 1300),
                             ("rsa,distcorr,rsm_diff", 3),
                             ("rsa --rsa.sample 130", 1.1),
                             (f"rsa --rsa.outer pearson {permute}", 6),
                             (f"second_cos {permute}", 5),
                             (f"rsa,rsm_diff {permute}", 3),
                             (f"cka_minibatch --cka_minibatch.batch 400 {permute}", 1 + 1200 / 1300),
                             ("cka_rbf_debiased --jackknife 16", 1),
                             ("rsa --rsa.outer pearson --jackknife 16", 3),
                             ("cka,distcorr --null shift", 3)):
            with self.subTest(words=words):
                files = self.readings("read.npz", "-m", *words.split())
                self.assertAlmostEqual(files["readings"], times, delta=1e-9)

    def test_readings_by_chunks(self):
        rng = np.random.default_rng(6)
        np.savez("long.npz", **{f"l{i}": rng.standard_normal((6000, 40)) for i in range(5)})
        np.savez("wide.npz", **{f"l{i}": rng.standard_normal((2500, 200)) for i in range(4)})
        for words, times in (("long.npz -m nngs --memory 8M", 3),
                             ("long.npz -m cka,nngs,second_cos --memory 12M", 5),
                             ("long.npz -m conc_diff,mag_diff --memory 3M", 3),
                             ("long.npz -m svcca,cka_minibatch --memory 4M", 5 + 5888 / 6000),
                             ("long.npz -m svcca,rsa --rsa.sample 600 --memory 14M", 5.1),
                             ("wide.npz -m svcca,eos,unif_diff --memory 18M", 8)):
            with self.subTest(words=words):
                files = self.readings(*words.split())
                self.assertTrue(files["by_chunks"])
                self.assertAlmostEqual(files["readings"], times, delta=1e-9)

    # -- what does not fit ------------------------------------------------------------------------

    def test_tiles(self):
        """Where not all layers fit at once, some are read again."""
        words = [*SHAPES, "--ranks", "1024", "--nodes"]
        p = self.plan(*words, "32", "--mem-per-node", "256G")
        files, whole = p["work"]["files"], self.plan(*words, "54", "--mem-per-node", "256G")
        self.assertTrue(p["ranks"]["tiles"] > 1 or files["by_chunks"])
        self.assertGreater(files["readings"], 1)
        self.assertAlmostEqual(files["bytes_read"] / files["bytes"], files["readings"], delta=1e-6)
        self.assertLessEqual(p["memory"]["peak_bytes"], p["memory"]["limit_bytes"])
        self.assertEqual(p["shapes"][0]["why"], "spread")
        self.assertEqual(p["shapes"][0]["nodes"], 54)
        self.assertEqual(whole["ranks"]["tiles"], 1)
        self.assertFalse(whole["work"]["files"]["by_chunks"])
        self.assertEqual(whole["memory"]["peak_bytes"], p["shapes"][0]["peak_bytes"])
        p = self.plan(*words, "53", "--mem-per-node", "256G")
        self.assertTrue(p["ranks"]["tiles"] > 1 or p["work"]["files"]["by_chunks"])
        rng = np.random.default_rng(4)
        np.savez("many.npz", **{f"l{i}": rng.standard_normal((4000, 80)) for i in range(8)})
        words = ["many.npz", "-m", "cka,cca_mean", "--memory", "9M"]
        done = run("sweep", *words, "--format", "csv", ranks=2)
        self.expect(done, 0, "tiles of pairs")
        p = self.plan(*words, "--ranks", "2")
        self.assertIn(f"{p['ranks']['tiles']} tiles of pairs, each layer is read "
                      f"{p['work']['files']['readings']:.1f} times", done.stderr)
        self.assertIn(f"planned {p['memory']['peak_bytes'] / MIB:.1f} MiB", done.stderr)

    def test_does_not_fit(self):
        shapes = ["--sites", "12", "--width", "4096", "--examples", "2e5"]
        words = [*shapes, "--ranks", "64", "--nodes", "4", "--mem-per-node", "4G"]
        done = run("plan", *words)
        self.expect(done, 1, "does not fit", "on each of 64 ranks", "204.8 MiB (--mem-per-node)",
                    "what would fit: 64 ranks on", "or nodes of")
        self.assertIn("of limit", done.stdout)
        p = self.plan(*words, code=1)
        self.assertFalse(p["memory"]["fits"])
        others = {s["why"]: s for s in p["shapes"]}
        # what is said to fit does, and one node less, or one rank more on each, does not
        for key, nodes, ranks in (("spread", -1, 0), ("fewer_ranks", 0, 4)):
            s = others[key]
            self.plan(*shapes, "--ranks", str(s["ranks"]), "--nodes", str(s["nodes"]),
                      "--mem-per-node", "4G")
            self.plan(*shapes, "--ranks", str(s["ranks"] + ranks), "--nodes",
                      str(s["nodes"] + nodes), "--mem-per-node", "4G", code=1)
        # nodes with more memory
        size = float(done.stderr.split("or nodes of ")[1].split()[0])
        self.plan(*words[:-1], f"{size + 0.1:.2f}G")
        self.plan(*words[:-1], f"{size - 0.2:.2f}G", code=1)
        # what is a little too much does not look the same as the limit
        said = r"it takes (\S+) MiB on each of 64 ranks, the limit is (\S+) MiB"
        least = float(re.search(said, done.stderr)[1]) + 0.06
        words, code = [*shapes, "--ranks", "64", "--memory"], 0
        while code == 0:
            least -= 0.02
            done = run("plan", *words, str(int(least * MIB)))
            code = done.returncode
        takes, limit = re.search(said, done.stderr).groups()
        self.assertGreater(float(takes), float(limit))
        self.assertLess(float(takes), float(limit) + 0.1)
        # more ranks, each with a limit of its own
        small = ["--sites", "12", "--width", "64", "--examples", "4e6"]
        p = self.plan(*small, "--ranks", "2", "--memory", "20M", code=1)
        fits = p["shapes"][0]["ranks"]
        self.assertGreater(fits, 2)
        self.plan(*small, "--ranks", str(fits), "--memory", "20M")
        self.plan(*small, "--ranks", str(fits - 1), "--memory", "20M", code=1)

    def test_many_draws(self):
        """A plan has no room for what it plans."""
        many = ["--sites", "80", "--width", "8192", "--examples", "1e6", "--ranks", "1024", "--nodes", "64"]
        for words in (["--sets", "2", "-m", "nngs", "--null", "permutation", "--permutations", "1e6"],
                      ["-m", "cka", "--null", "shift"]):
            done = run("plan", "sweep", *many, *words, "--mem-per-node", "256G")
            self.expect(done, 1, "does not fit", "what would fit: 1024 ranks on 512 nodes")
            p = self.plan(*many, *words, "--mem-per-node", "2T")
            results = next(a for a in p["memory"]["arrays"] if a["name"] == "cells")
            self.assertGreater(results["bytes"], 6400 * (10 ** 6 - 1) * 8)

    def test_undefined(self):
        """Measures whose distances do not fit are named, with what would do, as the sweep names them."""
        rng = np.random.default_rng(5)
        np.savez("m0.npz", l0=rng.standard_normal((900, 12)), l1=rng.standard_normal((900, 9)))
        np.savez("m1.npz", l0=rng.standard_normal((900, 10)))
        words = ["sweep", "m0.npz", "m1.npz", "-m", "cka,rsa,rsm_diff"]
        small = [*words[1:], "--ranks", "1", "--memory"]
        done = run("plan", "sweep", *small, "12M")
        self.expect(done, 0)
        said = "rsa, rsm_diff undefined: the distances of all pairs of 900 examples"
        line = next(row.strip() for row in done.stdout.split("\n") if said in row)
        self.assertIn("--rsa.sample, --rsa.outer pearson", line)
        swept = run(*words, "--memory", "12M", "--format", "csv")
        self.assertIn(line, swept.stderr)
        self.assertIn("over_memory_limit", swept.stdout)
        p = self.plan(*small, "12M")
        self.assertEqual(p["undefined"]["measures"], ["rsa", "rsm_diff"])
        self.assertEqual(p["undefined"]["note"], "over_memory_limit")
        self.assertTrue(p["memory"]["fits"])
        # what is named is enough, and not much more than that
        enough = float(re.search(r"what would do: (\S+) MiB a rank", line)[1])
        self.assertLess(p["undefined"]["enough_bytes"], enough * MIB + 1)
        self.assertIsNone(self.plan(*small, f"{int(enough * MIB)}")["undefined"])
        self.assertIsNotNone(self.plan(*small, f"{int((enough - 0.2) * MIB)}")["undefined"])
        swept = run(*words, "--memory", f"{int(enough * MIB)}", "--format", "csv")
        self.assertNotIn("undefined:", swept.stderr)
        self.assertNotIn("over_memory_limit", swept.stdout)
        # a sample has room where all have not
        sample = [*small, "12M", "--rsa.sample", "100"]
        self.assertEqual(self.plan(*sample)["undefined"]["measures"], ["rsm_diff"])
        # numbers of ranks for which nothing is left out, and one rank less
        shapes = ["--sites", "8", "--width", "512", "--examples", "2e5", "-m", "rsa", "--mem-per-node",
                  "512G"]
        p = self.plan(*shapes, "--ranks", "64", "--nodes", "4")
        self.assertEqual(p["undefined"]["measures"], ["rsa"])
        others = {s["why"]: s for s in p["shapes"]}
        more = others["more"]
        self.assertIsNone(self.plan(*shapes, "--ranks", str(more["ranks"]), "--nodes",
                                    str(more["nodes"]))["undefined"])
        self.assertIsNotNone(self.plan(*shapes, "--ranks", str(more["ranks"] - 16), "--nodes",
                                       str(more["nodes"] - 1))["undefined"])

    def test_what_is_named_fits(self):
        """Of layers of different widths those count that take most; sizes are rounded up."""
        words = ["--sites", "6", "--width", "64,256,512,1024,2048,1000", "--examples", "5e4", "-m",
                 "cka,svcca", "--ranks", "8"]
        for option, what in (("--memory", "ranks"), ("--mem-per-node", "nodes")):
            named = set()
            for limit in ("4M", "40M", "150M", "330M"):
                done = run("plan", "sweep", *words, option, limit)
                self.expect(done, 1, "does not fit")
                named.add(done.stderr.split(f"{what} of ")[1].strip())
            self.assertEqual(len(named), 1, named)
            size, unit = named.pop().split()
            self.plan(*words, option, size + unit[0])
        rng = np.random.default_rng(4)
        np.savez("widths.npz", **{f"l{d}": rng.standard_normal((2000, d)) for d in (8, 40, 90, 60)})
        words = ["widths.npz", "-m", "cka,svcca", "--memory"]
        done = run("sweep", *words, "100K", "--format", "csv", ranks=2)
        self.expect(done, 1, "the sweep needs")
        size = re.search(r"the sweep needs (\S+) MiB", done.stderr)[1]
        self.expect(run("sweep", *words, f"{size}M", "--format", "csv", ranks=2), 0)

    def test_soon_told(self):
        """Many layers on many ranks, of which nothing fits as it is: what would is found in no time."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        self.plan("--sites", "80", "--width", "8192", "--examples", "1e6", "--ranks", "1024",
                  "--nodes", "64", "--mem-per-node", "64G", "-m", "cka,svcca,procrustes", code=1)
        self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, 5)

    def test_refusals(self):
        for words, *parts in (
                (["a.npz", "--sites", "3"], "both sets and shapes"),
                ([], "nothing to plan", "--sites"),
                (["--sites", "3", "--width", "4"], "--examples"),
                (["--sites", "0", "--width", "4", "--examples", "9"], "--sites", "'0'"),
                (["--sites", "3", "--width", "4,5", "--examples", "9"], "expected 1 or 3 widths"),
                (["--sites", "3", "--width", "4,", "--examples", "9"], "--width"),
                (["--sites", "3", "--width", "0", "--examples", "9"], "--width"),
                (["--sites", "3", "--width", "4.5", "--examples", "9"], "--width"),
                (["--sites", "3", "--width", "4", "--examples", "3"], "4 or more"),
                (["--sites", "3", "--width", "4", "--examples", "0:9"], "found '0:9'"),
                ([*SHAPES, "--ranks", "0"], "--ranks", "'0'"),
                ([*SHAPES, "--ranks", "2", "--nodes", "3"], "3 nodes for 2 ranks"),
                ([*SHAPES, "--mem-per-node", "0"], "--mem-per-node", "found '0'", "not 0"),
                ([*SHAPES, "--memory", "0"], "--memory", "found '0'", "not 0"),
                ([*SHAPES, "-m", "ckaa"], "the closest is 'cka'"),
                ([*SHAPES, "-m", "svcca", "--precision", "single"], "double precision"),
                ([*SHAPES, "--sbatch", "job.sh", "-o", "o.nc"], "needs sets"),
                (["a.npz", "--sbatch", "job.sh"], "--output"),
                (["a.npz", "b.npz", "--pairs", "a:c"], "a:c")):
            self.expect(run("plan", "sweep", *words), 2, *parts)
        self.expect(run("plan", "train"), 2, "train", "sweep")
        self.expect(run("plan", "sweep", "no.npz"), 1, "no.npz")
        self.expect(run("plan", "sweep", "a.npz", "seq", "--pool", "mean", ranks=2), 0)
        np.save("short.npy", np.ones((200, 3)))
        self.expect(run("plan", "sweep", "a.npz", "short.npy"), 1, "300 examples", "200")

    def test_headers_are_enough(self):
        """Damage behind the headers is the sweep's business."""
        with open("a.npz", "rb") as file:
            data = bytearray(file.read())
        at = data.index(b"\x93NUMPY") + 128 + 40
        data[at] ^= 0xff
        with open("damaged.npz", "wb") as file:
            file.write(data)
        self.expect(run("plan", "sweep", "damaged.npz"), 0)
        self.expect(run("sweep", "damaged.npz", "--format", "csv"), 1, "damaged.npz")

    # -- what is written --------------------------------------------------------------------------

    def test_writes_nothing(self):
        before = listing()
        for words in ([*SHAPES, "--ranks", "64"], ["a.npz", "b.npz", "-o", "out.nc"],
                      [*SHAPES, "--ranks", "64", "--memory", "1M"]):
            run("plan", "sweep", *words)
            run("plan", "sweep", *words, "--format", "json", ranks=2)
        self.assertEqual(listing(), before)

    def script(self, *words):
        done = run("plan", "sweep", "a.npz", "b.npz", "--ranks", "4", "--nodes", "2",
                   "--mem-per-node", "8G", "-o", "out file.nc", "--sbatch", "job.sh",
                   "--overwrite", "-q", *words)
        self.expect(done, 0)
        return read("job.sh")

    def test_script(self):
        text = self.script("-m", "svcca,cka", "--svcca.variance", "0.9", "--threads", "2", "--layers",
                           "a:l*")
        for line in ("--nodes=2", "--ntasks=4", "--ntasks-per-node=2", "--cpus-per-task=2",
                     "--mem=8192M", "--signal=B:USR1@120", "--requeue", "--open-mode=append"):
            self.assertIn(f"#SBATCH {line}\n", text)
        self.assertRegex(text, r"#SBATCH --time=\d\d:\d0:00\n")
        self.assertIn("sweep=(contrasim sweep a.npz b.npz --measures svcca,cka --layers 'a:l*' "
                      "--svcca.variance 0.9 --threads 2 --output 'out file.nc' --resume)", text)
        self.assertEqual(subprocess.run(["bash", "-n", "job.sh"]).returncode, 0)
        before = listing()
        done = run("plan", "sweep", "a.npz", "-o", "out.nc", "--sbatch", "job.sh")
        self.expect(done, 1, "job.sh", "--overwrite")
        self.assertEqual(listing(), before)
        done = run("plan", "sweep", "a.npz", "-o", "o.nc", "--sbatch", "a.npz", "--overwrite")
        self.expect(done, 2, "a.npz", "would replace")
        # no script of what does not fit
        done = run("plan", "sweep", "a.npz", "-o", "o.nc", "--sbatch", "none.sh", "--memory", "1K")
        self.expect(done, 1, "does not fit")
        self.assertFalse(os.path.exists("none.sh"))

    def job(self, program, env=None, poke=None):
        """Run the script with commands of SLURM that only say that they were called."""
        os.makedirs("bin", exist_ok=True)
        commands = {"srun": f"echo srun \"$@\" >>calls\n{program}",
                    "scontrol": "echo scontrol \"$@\" >>calls; exit 1",
                    "squeue": "echo RUNNING"}
        for name, body in commands.items():
            write(f"bin/{name}", f"#!/bin/bash\n{body}\n")
            os.chmod(f"bin/{name}", 0o755)
        write("calls", "")
        job = subprocess.Popen(["bash", "job.sh"], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE,
                               env={**os.environ, "PATH": f"{os.getcwd()}/bin:{os.environ['PATH']}",
                                    "SLURM_JOB_ID": "7", **(env or {})})
        if poke is not None:
            for _ in range(600):
                if os.path.exists("ready"):
                    break
                time.sleep(0.05)
            job.send_signal(poke)
        out, err = job.communicate(timeout=60)
        return job.returncode, out, err, read("calls")

    def test_script_runs(self):
        self.script()
        code, out, _, calls = self.job("echo 'out file.nc: written'; exit 0")
        self.assertEqual((code, out), (0, "out file.nc: written\n"))
        self.assertEqual(calls, "srun --mpi=pmix --wait=60 contrasim sweep a.npz b.npz --output "
                                "out file.nc --resume\n")
        # srun says 0 of a step that could not start
        code, _, err, calls = self.job("exit 0")
        self.assertEqual(code, 1)
        self.assertIn("submit the job again", err)
        self.assertNotIn("scontrol", calls)
        code, _, _, calls = self.job("echo failed; exit 3")
        self.assertEqual(code, 3)
        self.assertNotIn("scontrol", calls)
        # stopped early: requeued, so many times
        code, _, _, calls = self.job("exit 85")
        self.assertEqual(code, 85)
        self.assertIn("scontrol requeue 7\n", calls)
        code, _, err, calls = self.job("exit 85", env={"SLURM_RESTART_COUNT": "50"})
        self.assertEqual(code, 1)
        self.assertNotIn("scontrol", calls)
        self.assertIn("50 restarts", err)

    def test_script_sweeps(self):
        """The command line of the script is one that the program takes; twice is not twice the work."""
        self.script("-m", "cka,svcca", "--svcca.variance", "0.9")
        bin_folder = os.path.dirname(BIN)
        for said in ("2 measures", ""):
            code, out, err, calls = self.job(
                f"shift 2; PATH={bin_folder}:$PATH exec {MPIEXEC} 2 \"$@\" 2>>calls")
            self.assertEqual(code, 0, out + err + calls)
            self.assertIn("out file.nc", out)
            self.assertIn(said, out)
        self.assertIn("--resume", calls)
        shown = run("show", "out file.nc", "--format", "json")
        self.expect(shown, 0)
        self.assertIn("svcca", shown.stdout)

    def test_script_hands_signals_on(self):
        self.script()
        if os.path.exists("ready"):
            os.remove("ready")
        code, out, _, calls = self.job(
            "trap 'sleep 0.3; echo saved; exit 85' USR1; touch ready; while :; do sleep 0.05; done",
            poke=signal.SIGUSR1)
        self.assertEqual((code, out), (85, "saved\n"))
        self.assertIn("scontrol requeue 7\n", calls)

    # -- calibration ------------------------------------------------------------------------------

    def test_calibration(self):
        own = {"XDG_CONFIG_HOME": os.path.abspath("calibrated")}
        done = run("perf", "--calibrate", ranks=2, env=own)
        self.expect(done, 0, "calibrated/contrasim/machine.json")
        for part in ("2 ranks on 1 node", "GEMM of 1024 x 1024, double", "reading files",
                     "messages inside a node"):
            self.assertIn(part, done.stdout)
        known = json.loads(read("calibrated/contrasim/machine.json"))
        self.assertEqual((known["schema"], known["ranks"], known["nodes"]), (1, 2, 1))
        self.assertTrue(all(v > 0 for v in known["speeds"].values()))
        self.assertNotIn("net_bandwidth", known["speeds"])
        self.assertIn("grid_svd_values", known["speeds"])
        self.assertTrue(4 * MIB < known["memory_beside"] < 200 * MIB)
        words = ["--sites", "6", "--width", "300", "--examples", "20000", "-m", "cka,pwcca",
                 "--ranks", "4"]
        p = self.plan(*words, env=own)
        self.assertTrue(p["time"]["measured"])
        self.assertTrue(p["time"]["calibration"].endswith("calibrated/contrasim/machine.json"))
        self.assertIn("not measured there", run("plan", *words, "--nodes", "2", env=own).stdout)
        # ten times faster in all but messages: a tenth of the time, and nothing else
        fast = {**known, "speeds": {k: v * (0.1 if k == "latency" else 10)
                                    for k, v in known["speeds"].items()}}
        write("fast.json", json.dumps(fast))
        q = self.plan(*words, "--calibration", "fast.json")
        self.assertAlmostEqual(q["time"]["seconds"] / p["time"]["seconds"], 0.1, delta=1e-6)
        for key in ("problem", "pairs", "ranks", "memory", "work"):
            self.assertEqual(p[key], q[key])
        # values neither
        results = [run("sweep", "a.npz", "-m", "cka,pwcca", "--format", "json", "-q", env=env).stdout
                   for env in (own, {})]
        values = [json.loads(r)["variables"] for r in results]
        self.assertEqual(*values)

    def test_bad_calibrations(self):
        good = {"schema": 1, "ranks": 1, "nodes": 1, "speeds": {}}
        for name, text, *parts in (
                ("text", "no JSON", "line 1"), ("list", "[]", "schema"),
                ("old", json.dumps({**good, "schema": 9}), "schema 1"),
                ("few", json.dumps(good), "gemm_double_64", "above 0"),
                ("twice", '{"schema": 1, "schema": 1}', "line 1")):
            write(f"{name}.json", text)
            done = run("plan", *SHAPES, "--calibration", f"{name}.json")
            self.expect(done, 1, f"{name}.json", *parts)
            self.assertEqual(done.stdout, "")
        self.expect(run("plan", *SHAPES, "--calibration", "missing.json"), 1, "missing.json")
        self.expect(run("plan", *SHAPES, env={"XDG_CONFIG_HOME": "", "HOME": ""}), 2,
                    "--calibration")

    # -- memory of processes ----------------------------------------------------------------------

    def perf(self, ranks, problem):
        n, d, layers, measures, precision = problem
        done = run("perf", "--examples", str(n), "--width", str(d), "--layers", str(layers), "-m",
                   measures, "--precision", precision, "--repeat", "1", "--gemm-size", "64",
                   "--format", "json", "-q", ranks=ranks)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["series"][0]["memory"]

    def test_resident_memory(self):
        """VmHWM, and what it is above that of a sweep of next to nothing: within 10 % of what is
        foretold."""
        problems = [(16000, 192, 10, "cka", "double"), (3000, 800, 10, "cka", "single"),
                    (12000, 256, 8, "cca_mean", "double")]
        for ranks in (1, 3):
            idle = self.perf(ranks, (64, 16, 2, "cka,cca_mean", "double"))["resident_bytes"]
            for problem in problems:
                n, d, layers, measures, precision = problem
                memory = self.plan("--ranks", str(ranks), "--sites", str(layers), "--width",
                                   str(d), "--examples", str(n), "-m", measures, "--precision",
                                   precision, "--pairs", "all")["memory"]
                told = memory["peak_bytes"]
                seen = self.perf(ranks, problem)
                with self.subTest(ranks=ranks, problem=problem):
                    self.assertEqual(told, seen["example_bytes"] + seen["tile_bytes"])
                    self.assertAlmostEqual(told / seen["counted_bytes"], 1, delta=0.1)
                    # huge pages round up, so a few MiB are allowed beside the tenth
                    self.assertAlmostEqual(told, seen["resident_bytes"] - idle,
                                           delta=0.1 * told + 8 * MIB)
                    # the whole process, by what libraries and MPI take on a usual machine
                    self.assertAlmostEqual(memory["resident_bytes"], seen["resident_bytes"],
                                           delta=0.1 * told + 12 * MIB)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
