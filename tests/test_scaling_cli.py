"""contrasim perf --scaling as its users meet it: tables, JSON, the file for Extra-P, messages."""
import collections
import json
import math
import os
import statistics
import subprocess
import sys
import unittest

BIN = os.environ["CONTRASIM_BIN"]
MPIEXEC = os.environ["CONTRASIM_MPIEXEC"]
CORES = len(os.sched_getaffinity(0))
WIDTH, LAYERS, ROUNDS = 64, 3, 3


def phase(row, name):
    found = [p for p in row["phases"] if p["name"] == name]
    return found[0] if found else None


class Scaling(unittest.TestCase):
    def perf(self, *words, ranks=4, env=None, before=()):
        """A tiny run, and that it leaves nothing in $TMPDIR."""
        os.makedirs("tmp", exist_ok=True)
        env = {**os.environ, "TMPDIR": os.path.abspath("tmp"), **(env or {})}
        done = subprocess.run(
            [MPIEXEC, str(ranks), *before, BIN, "perf", "--width", str(WIDTH), "--layers", str(LAYERS),
             "--repeat", str(ROUNDS), "--gemm-size", "64", "-q", *words],
            env=env, text=True, timeout=100, capture_output=True)
        self.assertEqual(os.listdir("tmp"), [])
        return done

    def scaling(self, *words, **how):
        done = self.perf("--scaling", *words, **how)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def report(self, *words, **how):
        """Both series, by name."""
        out = json.loads(self.scaling("--format", "json", *words, **how))
        self.assertEqual([s["scaling"] for s in out["series"]], ["strong", "weak"])
        return out, *(s["rows"] for s in out["series"])

    def refused(self, code, part, *words, ranks=2):
        done = self.perf(*words, ranks=ranks)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertIn(part, done.stderr)

    # -- what is reported -----------------------------------------------------------------------

    def test_numbers(self):
        """Every number of the report follows from the times of the runs."""
        out, strong, weak = self.report("--examples", "160")
        self.assertEqual((out["ranks"], out["repeat"], out["precision"]), (4, ROUNDS, "double"))
        for rows in (strong, weak):
            self.assertEqual([r["ranks"] for r in rows], [1, 2, 4])
            for row in rows:
                p, times = row["ranks"], row["total_s_runs"]
                self.assertEqual(len(times), ROUNDS)
                self.assertAlmostEqual(row["total_s"], statistics.median(times), places=12)
                self.assertGreater(row["total_s"], row["pass_s"])
                self.assertGreater(row["gemm_efficiency"], 0)
                self.assertEqual(row["oversubscribed"], p > CORES)
                # also where rank 0 has no examples to multiply
                self.assertEqual(phase(row, "products")["flops"], phase(row, "gram")["flops"])
                share = row["planned_flops"] / rows[0]["planned_flops"] / p
                for name in ("total_s", "pass_s"):
                    ratio = statistics.median(
                        a / b for a, b in zip(rows[0][f"{name}_runs"], row[f"{name}_runs"]))
                    key = "efficiency" if name == "total_s" else "pass_efficiency"
                    self.assertAlmostEqual(row[key], share * ratio, places=9)
                self.assertAlmostEqual(row["speed_up"], p * row["efficiency"], places=9)
                if p == 1 or rows is weak:
                    self.assertIsNone(row["serial_fraction"])
                else:  # t(p) = t(1) (e + (1 - e) / p), solved by that time
                    e = row["serial_fraction"]
                    self.assertAlmostEqual(1 / row["speed_up"], e + (1 - e) / p, places=9)
        self.assertEqual({(r["examples"], r["planned_flops"]) for r in strong},
                         {(160, strong[0]["planned_flops"])})

    def test_weak_gram(self):
        """The work of Gram matrices grows with n², so the examples with the root of the ranks."""
        _, strong, weak = self.report("--examples", "160")
        self.assertEqual(weak[0]["examples"], 160)
        self.assertEqual(weak[0]["total_s_runs"], strong[0]["total_s_runs"])  # one measurement
        for row in weak:
            n, p = row["examples"], row["ranks"]
            self.assertEqual(n, round(160 * math.sqrt(p)))
            self.assertEqual((row["gram_pairs"], row["cross_pairs"], row["basis_pairs"]), (6, 0, 0))
            self.assertEqual(phase(row, "gram")["flops"], n * n * WIDTH * LAYERS)

    def test_weak_starts_lower(self):
        """With 6·64 = 384 examples Gram matrices end: four ranks have at most that."""
        words = ("--examples", "300")
        _, strong, weak = self.report(*words)
        self.assertEqual([r["examples"] for r in strong], [300] * 3)
        self.assertLessEqual(weak[2]["examples"], 384)
        self.assertGreater(weak[2]["examples"], 384 * 0.9)
        self.assertLessEqual(abs(weak[2]["examples"] - 2 * weak[0]["examples"]), 1)
        for row in weak:
            self.assertIsNotNone(phase(row, "gram"))
        text = self.scaling(*words)
        self.assertIn(f"from {weak[0]['examples']} to {weak[2]['examples']} examples", text)
        self.assertIn("fewer than --examples 300", text)

    def test_weak_cross(self):
        """Products of neurons grow with n; a number of ranks that is no power of two is the last."""
        _, strong, weak = self.report("--examples", "400", "--measures", "hsic", ranks=3)
        self.assertEqual([r["ranks"] for r in strong], [1, 2, 3])
        self.assertEqual([r["examples"] for r in weak], [400, 800, 1200])
        work = [phase(r, "cross")["flops"] / r["ranks"] for r in weak]
        self.assertEqual(work, [work[0]] * 3)

    def test_text(self):
        text = self.scaling("--examples", "160")
        for word in ("strong scaling: 160 examples", "weak scaling: from 160 to 320 examples",
                     "square", "3 layers of 64 neurons", "Karp and Flatt"):
            self.assertIn(word, text)
        rows = [s.split() for s in text.splitlines() if s[:8].strip().isdigit()]
        self.assertEqual([(r[0], r[1]) for r in rows],
                         [("1", "160"), ("2", "160"), ("4", "160"),
                          ("1", "160"), ("2", "226"), ("4", "320")])
        for row in rows:
            self.assertEqual("oversubscribed:" in row, int(row[0]) > CORES, row)
            # 160 rows make three chunks of 64: one of four ranks has none
            self.assertEqual("without" in row, row[:2] == ["4", "160"], row)
        gram = [s.split() for s in text.splitlines() if s.startswith("  gram ")]
        self.assertEqual([len(g) for g in gram], [4, 4])

    # -- Extra-P --------------------------------------------------------------------------------

    def test_extrap(self):
        out, strong, weak = self.report("--examples", "160", "--extrap", "all.jsonl")
        with open("all.jsonl", encoding="utf-8") as file:
            text = file.read()
        self.assertTrue(text.endswith("}\n"))
        found = collections.defaultdict(list)
        for line in text.splitlines():
            item = json.loads(line)
            self.assertEqual(sorted(item), ["callpath", "metric", "params", "value"])
            self.assertEqual(list(item["params"]), ["p", "n"])
            self.assertEqual(item["metric"], "time")
            self.assertGreaterEqual(item["value"], 0)
            found[item["callpath"], item["params"]["p"], item["params"]["n"]].append(item["value"])
        rows = {(r["ranks"], r["examples"]): r for r in strong + weak}
        names = {p["name"] for r in rows.values() for p in r["phases"]}
        self.assertIn("gram", names)
        paths = {"main->sweep", *(f"main->sweep->{n}" for n in names)}
        # Extra-P refuses a file in which a call path lacks a point
        self.assertEqual(set(found), {(c, *point) for c in paths for point in rows})
        for (path, *point), values in found.items():
            self.assertEqual(len(values), ROUNDS)
            row, name = rows[tuple(point)], path.rpartition("->")[2]
            if name == "sweep":
                runs = row["total_s_runs"]
                self.assertTrue(all(math.isclose(a, b, rel_tol=1e-8)
                                    for a, b in zip(values, runs)), (values, runs))
            else:
                self.assertAlmostEqual(statistics.median(values), phase(row, name)["seconds"],
                                       places=9)

    def test_extrap_is_kept(self):
        """What is there is refused before the work, and replaced when asked."""
        with open("old.jsonl", "w", encoding="utf-8") as file:
            file.write("old\n")
        words = ("--scaling", "--examples", "100", "--extrap", "old.jsonl")
        self.refused(1, "--overwrite", *words)
        with open("old.jsonl", encoding="utf-8") as file:
            self.assertEqual(file.read(), "old\n")
        done = self.perf(*words, "--overwrite", ranks=2)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open("old.jsonl", encoding="utf-8") as file:
            self.assertEqual({json.loads(s)["params"]["p"] for s in file}, {1, 2})
        self.assertEqual([s for s in os.listdir(".") if s.startswith("old.jsonl.")], [])
        self.refused(1, "no/folder", *words[:-1], "no/folder/x.jsonl")

    # -- what goes wrong ------------------------------------------------------------------------

    def test_refuses(self):
        self.refused(2, "two ranks or more", "--scaling", ranks=1)
        self.refused(2, "not training", "--scaling", "train")
        self.refused(2, "not --compare", "--scaling", "--compare", "single")
        self.refused(2, "with --scaling only", "--extrap", "x.jsonl")
        self.refused(2, "with --scaling only", "train", "--extrap", "x.jsonl")
        self.refused(2, "with --extrap only", "--scaling", "--overwrite")
        self.refused(2, "svcca", "--scaling", "--precision", "single", "--measures", "svcca")
        self.refused(2, "the closest is 'cka'", "--scaling", "--measures", "ckaa")
        self.assertFalse(os.path.exists("x.jsonl"))

    def test_team_fails(self):
        """What fails on the one rank of the first team ends the ranks that wait for it, too."""
        done = self.perf("--scaling", "--examples", "2000", "--width", "300", "--extrap", "small.jsonl",
                         before=("env", "SLURM_MEM_PER_NODE=1"))
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertEqual(done.stderr.count("error:"), 1, done.stderr)
        self.assertIn("on 1 ranks, the limit is 0.8 MiB", done.stderr)
        self.assertFalse(os.path.exists("small.jsonl"))

    def test_faults(self):
        """An injected failure on one rank ends in one message, and no file."""
        codes = set()
        for seed in range(1, 7):
            if os.path.exists("fault.jsonl"):
                os.remove("fault.jsonl")
            done = self.perf("--scaling", "--examples", "100", "--extrap", "fault.jsonl", ranks=3,
                             env={"CONTRASIM_FAULT": f"9:{seed}"})
            codes.add(done.returncode)
            self.assertNotIn("leak", done.stderr)
            self.assertEqual(os.path.exists("fault.jsonl"), done.returncode == 0, done.stderr)
            self.assertEqual(done.stderr.count("error:"), int(done.returncode != 0), done.stderr)
        self.assertIn(1, codes)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
