"""The program as its users meet it: exit codes, messages, help, files, and the launcher."""
import json
import os
import re
import shutil
import subprocess
import sys
import unittest
import unittest.mock

import netCDF4
import numpy as np
import xarray

BIN = os.environ["CONTRASIM_BIN"]
MPIEXEC = os.environ["CONTRASIM_MPIEXEC"]
SOURCE = os.environ["CONTRASIM_SOURCE"]
# Open MPI starts five times faster when it need not look for networks or be ready to spawn.
ALONE = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self", "OMPI_MCA_ess_singleton_isolated": "1"}
NOISE = re.compile(r"^(-+|)$|mpi(run|exec) detected|Primary job|a non-zero exit code|the job to be"
                   r" terminated|Process name:|Exit code:|^\[")


def run(*words, ranks=None, env=None, stdout=None, plain=False):
    """Run the program; lines of stderr that the launcher wrote itself are left out."""
    env = {**({} if ranks or plain else ALONE), **(env or {})}
    command = ([MPIEXEC, str(ranks)] if ranks else []) + [BIN, *words]
    done = subprocess.run(command, env={**os.environ, **env}, text=True, timeout=100,
                          stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE)
    done.lines = [s for s in done.stderr.splitlines() if not (ranks and NOISE.search(s))]
    done.again = " ".join(command)
    return done


def cka(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    return (np.sum((x.T @ y) ** 2)
            / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y))


class Program(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rng = np.random.default_rng(5)
        base = rng.standard_normal((300, 6))
        cls.a = [base @ rng.standard_normal((6, d)) + 0.2 * rng.standard_normal((300, d))
                 for d in (5, 7)]
        cls.b = [base @ rng.standard_normal((6, d)) + 0.3 * rng.standard_normal((300, d))
                 for d in (4, 8, 3)]
        np.savez("a.npz", **{f"layer_{i}": x for i, x in enumerate(cls.a)})
        np.savez("b.npz", **{f"layer_{i}": x for i, x in enumerate(cls.b)})

    def expect(self, done, code, *parts):
        text = f"{done.again}\nstderr: {done.stderr}"
        self.assertEqual(done.returncode, code, text)
        for part in parts:
            self.assertIn(part, "\n".join(done.lines), text)

    def sweep(self, *words, **how):
        return run("sweep", "a.npz", "b.npz", *words, **how)

    # -- help and the like ----------------------------------------------------------------------

    def commands(self):
        text = run("--help").stdout
        block = text.split("Commands:\n")[1].split("\n\n")[0]
        return [line.split()[0] for line in block.splitlines()]

    def options(self, command):
        done = run(command, "--help")
        self.expect(done, 0)
        self.assertEqual(done.stderr, "")
        found = re.findall(r"^ {2}(?:-\w, |    )--(\S+)", done.stdout, re.M)
        return found

    def test_no_arguments(self):
        done = run()
        self.expect(done, 2, "usage: contrasim COMMAND", "contrasim: error: a command is missing")
        self.assertEqual(done.stdout, "")

    def test_help_names_every_command(self):
        commands = self.commands()
        self.assertIn("sweep", commands)
        self.assertIn("show", commands)
        self.assertEqual(len(set(commands)), len(commands))
        for command in commands:
            text = run(command, "--help").stdout
            self.assertTrue(text.startswith(f"usage: contrasim {command} "), text)
            self.assertEqual(run("--help", command).stdout, text)
            self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_help_is_complete(self):
        """Every option of the help is one the program takes, and in man page and completion."""
        man = run("--man").stdout.replace("\\-", "-")
        completion = run("--completion", "bash").stdout
        for command in self.commands():
            options = self.options(command)
            for name in ("config", "[no-]quiet", "[no-]verbose", "threads", "profile-json"):
                self.assertIn(name, options)
            self.assertEqual(len(set(options)), len(options))
            section = man.split(f".SS {command} ")[1].split("\n.SS ")[0]
            words = re.search(rf"^ *{command}\) options='([^']*)'", completion, re.M)[1].split()
            for option in options:
                flag = "[no-]" in option
                plain = "--" + option.replace("[no-]", "")
                self.assertIn(f"\\fB{plain}\\fR", section)
                self.assertIn(plain, words)
                if flag:
                    done = run(command, plain + "=maybe")
                    self.expect(done, 2, plain, "true or false")
                    self.assertIn("--" + option.replace("[no-]", "no-"), words)
                else:
                    self.expect(run(command, plain), 2, f"option {plain} ", "needs a value")

    def test_every_measure_in_help(self):
        with open(f"{SOURCE}/src/measures/measures.def", encoding="utf-8") as file:
            names = re.findall(r"^MEASURE\((\w+)\)", file.read(), re.M)
        self.assertGreater(len(names), 5)
        text = run("sweep", "--help").stdout
        for name in names:
            self.assertRegex(text, rf"(?m)^  {name} +\S")

    def test_version(self):
        done = run("--version")
        self.expect(done, 0)
        self.assertRegex(done.stdout, r"^contrasim \d+\.\d+\.\d+\n")
        for library in ("MPI", "BLAS", "netCDF", "HDF5"):
            self.assertRegex(done.stdout, rf"(?m)^{library} +\S")

    def test_man_page(self):
        done = run("--man")
        self.expect(done, 0)
        with open("contrasim.1", "w", encoding="utf-8") as file:
            file.write(done.stdout)
        if shutil.which("groff"):
            lint = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8", "contrasim.1"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            self.assertEqual((lint.returncode, lint.stderr), (0, ""))

    def test_completion(self):
        script = run("--completion", "bash").stdout
        for words, expected in (
                (["sw"], "sweep"), (["sweep", "--over"], "--overwrite"),
                (["sweep", "--precision", "s"], "single"), (["sweep", "--precision", "=", "d"], "double"),
                (["sweep", "--format", "="], "text csv json"), (["show", "--format", "c"], "csv"),
                (["info", "--pool", "m"], "mean max"), (["sweep", "--pairs", ""], "cross all within"),
                (["sweep", "--axis", "l"], "lnd"), (["sweep", "--pwcca.side", "me"], "mean"),
                (["sweep", "-m", "cka_"],
                 "cka_debiased cka_lange cka_rbf cka_rbf_debiased cka_minibatch"),
                (["sweep", "--measures", "cka,sv"], "cka,svcca"),
                (["show", "--measure", "cka,svcca,pw"], "cka,svcca,pwcca"),
                (["sweep", "a.np"], "a.npz")):
            quoted = " ".join(f"'{w}'" for w in ["contrasim", *words])
            lines = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _contrasim\n"
            done = subprocess.run(["bash", "-e"], input=script + lines + "echo ${COMPREPLY[@]}\n",
                                  text=True, capture_output=True)
            self.assertEqual((done.stdout, done.stderr), (expected + "\n", ""), words)
        self.expect(run("--completion", "tcsh"), 2, "found 'tcsh', expected bash")

    def test_full_disk_behind_stdout(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            self.expect(run("--help", stdout=full), 1, "standard output", "No space left")

    # -- wrong usage ----------------------------------------------------------------------------

    def test_usage_errors(self):
        cases = [
            (["swep"], "unknown command 'swep'; the closest is 'sweep'"),
            (["--hlep"], "unknown command '--hlep'"),
            (["sweep"], "no set is named"),
            (["sweep", "a.npz"], "--output"),
            (["sweep", "a.npz", "--measure", "cka"], "the closest is '--measures'"),
            (["sweep", "a.npz", "-m", "ckaa", "-o", "x.nc"], "the closest is 'cka'"),
            (["sweep", "a.npz", "-m", ",", "-o", "x.nc"], "no measure"),
            (["sweep", "a.npz", "--precision", "half"], "one of double, single"),
            (["sweep", "a.npz", "--memory", "4X"], "512M or 4G"),
            (["sweep", "a.npz", "--threads", "0"], "from 1 to 1024"),
            (["sweep", "a.npz", "-o", "x.nc", "--grid", "2by2"], "--grid (command line): found '2by2'"),
            (["sweep", "a.npz", "-o", "x.nc", "--grid", "0x2"], "such as 2x2"),
            (["sweep", "a.npz", "-o", "x.nc", "--grid", "1x2", "--group-size", "4"],
             "found 1 x 2 ranks, but --group-size 4"),
            (["show"], "no results file"),
            (["show", "a.nc", "b.nc"], "unexpected argument 'b.nc'"),
        ]
        for words, part in cases:
            done = run(*words)
            self.expect(done, 2, "contrasim: error: ", part, "--help")
            self.assertEqual(done.stdout, "")
            self.assertEqual(len(done.lines), 1, done.stderr)

    def test_usage_error_once_under_mpi(self):
        done = run("sweep", "--nonsense", ranks=3)
        self.expect(done, 2, "--nonsense")
        self.assertEqual(len(done.lines), 1, done.stderr)

    def test_help_once_under_mpi(self):
        self.assertEqual(run("sweep", "--help", ranks=3).stdout, run("sweep", "--help").stdout)
        self.assertEqual(run("--version", ranks=2).stdout.count("contrasim "), 1)

    # -- a sweep --------------------------------------------------------------------------------

    def test_values(self):
        done = self.sweep("-m", "cka", "-o", "values.nc", plain=True)
        self.expect(done, 0)
        self.assertRegex(done.stdout, r"^values\.nc: 1 measure, 6 values, 0 undefined, 0 failed\n$")
        with xarray.open_dataset("values.nc") as data:
            expected = [[cka(x, y) for y in self.b] for x in self.a]
            np.testing.assert_allclose(data["cka"].values, expected, atol=1e-12)
        self.assertFalse([f for f in os.listdir(".") if f.startswith("values.nc") and
                          f != "values.nc"])

    def test_same_bits_under_mpi(self):
        bits = []
        for ranks in (None, 1, 2, 3, 4):
            name = f"bits{ranks}.nc"
            self.expect(self.sweep("-m", "cka,procrustes", "-o", name, ranks=ranks), 0)
            with netCDF4.Dataset(name) as data:
                bits.append(tuple(data[v][:].tobytes() for v in ("cka", "procrustes")))
        self.assertEqual(len(set(bits)), 1)

    def test_existing_output(self):
        self.expect(self.sweep("-o", "there.nc"), 0)
        before = os.stat("there.nc").st_mtime_ns
        done = self.sweep("-o", "there.nc")
        self.expect(done, 1, "there.nc", "--overwrite")
        self.assertEqual(os.stat("there.nc").st_mtime_ns, before)
        self.expect(self.sweep("-o", "there.nc", "--overwrite"), 0)
        self.assertNotEqual(os.stat("there.nc").st_mtime_ns, before)

    def test_output_that_cannot_be(self):
        self.expect(self.sweep("-o", "no/folder/x.nc"), 1, "no/folder")
        self.expect(run("sweep", "missing.npz", "a.npz", "-o", "x.nc"), 1, "missing.npz")
        self.assertFalse(os.path.exists("x.nc"))
        os.makedirs("away", exist_ok=True)
        if not os.path.lexists("nowhere.nc"):
            os.symlink("away/nothing.nc", "nowhere.nc")
        self.expect(self.sweep("-o", "nowhere.nc"), 1, "nowhere.nc is a symbolic link")
        self.expect(self.sweep("-o", "nowhere.nc", "--overwrite"), 1, "nowhere.nc is a symbolic")
        self.expect(self.sweep("-o", "away/target.nc"), 0)
        if not os.path.lexists("link.nc"):
            os.symlink("away/target.nc", "link.nc")
        before = os.stat("away/target.nc").st_ino
        self.expect(self.sweep("-o", "link.nc"), 1, "link.nc exists; --overwrite")
        self.expect(self.sweep("-o", "link.nc", "--overwrite"), 0)
        self.assertTrue(os.path.islink("link.nc"))
        self.assertNotEqual(os.stat("away/target.nc").st_ino, before)
        self.expect(run("show", "away/target.nc"), 0)
        self.assertEqual(os.listdir("away"), ["target.nc"])

    def test_output_that_is_an_input(self):
        """Nothing that is read, and no other output, is written over."""
        os.makedirs("folder", exist_ok=True)
        for i, x in enumerate(self.a):
            np.save(f"folder/layer_{i}.npy", x)
        with open("input.ini", "w", encoding="utf-8") as file:
            file.write("[sweep]\nset = a.npz\n")
        self.expect(self.sweep("-o", "kept.nc", "--overwrite"), 0)
        if not os.path.exists("hard.npy"):
            os.link("folder/layer_1.npy", "hard.npy")
        files = ["a.npz", "b.npz", "input.ini", "kept.nc", "hard.npy"]

        def state():
            return [(os.stat(f).st_ino, os.stat(f).st_size, os.stat(f).st_mtime_ns) for f in files]

        before = state()
        over, profile = "--overwrite", "--profile-json"
        cases = [
            (["sweep", "a.npz", "b.npz", "-o", "b.npz", over], "output b.npz is file b.npz of set b"),
            (["sweep", "folder", "b.npz", "-o", "folder/layer_1.npy", over],
             "is file folder/layer_1.npy of set folder"),
            (["sweep", "x=folder/layer_*.npy", "b.npz", "-o", "hard.npy", over],
             "output hard.npy is file folder/layer_1.npy of set x"),
            (["sweep", "-c", "input.ini", "-o", "input.ini", over], "is run file input.ini"),
            (["import", "a.npz", "-o", "./a.npz", over], "output ./a.npz is file a.npz of set a"),
            (["import", "folder/", "-o", "folder/layer_0.npy", over], "of set folder"),
            (["sweep", "a.npz", "--format", "csv", profile, "a.npz"], "--profile-json a.npz is file"),
            (["sweep", "a.npz", "-o", "new.nc", profile, "./new.nc"], "is output new.nc"),
            (["sweep", "a.npz", "-o", "kept.nc", over, profile, "kept.nc"], "is output kept.nc"),
            (["import", "a.npz", "-o", "new.nc", profile, "a.npz"], "--profile-json a.npz is file"),
            (["info", "a.npz", profile, "a.npz"], "--profile-json a.npz is file a.npz of set a"),
            (["show", "kept.nc", profile, "kept.nc"], "--profile-json kept.nc is input kept.nc"),
            (["perf", "-c", "input.ini", profile, "input.ini"], "input.ini"),
        ]
        for words, part in cases:
            done = run(*words, ranks=2 if words[0] == "import" else None)
            self.expect(done, 2, part)
            self.assertEqual(done.stdout, "")
            self.assertEqual(state(), before, words)
        self.assertFalse(os.path.exists("new.nc"))
        self.expect(run("info", "a.npz", profile, "no/folder/p.json"), 1, "no/folder")
        self.expect(run("info", "a.npz", profile, "folder"), 1, "folder")
        self.expect(run("info", "a.npz", profile, "/dev/null"), 0)

    def test_damaged_archive(self):
        """Any number of ranks, layers or ids: one message that names file and member."""
        for name in ("layer_1", "example_id"):
            np.savez("hurt.npz", layer_0=self.a[0], layer_1=self.a[1], example_id=np.arange(300))
            with open("hurt.npz", "rb") as file:
                data = bytearray(file.read())
            part = (self.a[1] if name == "layer_1" else np.arange(300)).tobytes()[800:1600]
            data[data.find(part)] ^= 1
            with open("hurt.npz", "wb") as file:
                file.write(data)
            for ranks in (None, 3):
                done = run("sweep", "hurt.npz", "b.npz", "--format", "csv", ranks=ranks)
                self.expect(done, 1, f"file hurt.npz, member {name}.npy: is damaged")
                self.assertEqual((done.stderr.count("error:"), done.stdout), (1, ""), done.stderr)
        done = run("sweep", "hurt.npz", "--examples", "7:10", "--format", "csv")
        self.expect(done, 1, "member example_id.npy: is damaged")

    def test_places(self):
        """Messages name the file and the row in it that hold what is wrong."""
        for name in ("p", "q"):
            for i in range(3):
                os.makedirs(f"{name}/layer", exist_ok=True)
                np.save(f"{name}/layer/part_{i}.npy", self.b[0][100 * i:100 * i + 100])
                os.makedirs(f"{name}/example_id", exist_ok=True)
                np.save(f"{name}/example_id/part_{i}.npy", np.arange(100 * i, 100 * i + 100))
        how = ["--concat", "rows", "--examples", "50:"]
        for ranks in (None, 3):
            self.expect(run("sweep", "p", "q", *how, "--format", "csv", ranks=ranks), 0)
        bad = np.array(self.b[0][200:])
        bad[7, 2] = np.nan
        np.save("q/layer/part_2.npy", bad)
        place = ["q/layer/part_2.npy", "NaN at row 7, column 2"]
        for ranks in (None, 3):
            self.expect(run("sweep", "p", "q", *how, "--format", "csv", ranks=ranks), 1, *place)
            self.expect(run("import", "q", *how, "-o", "q.nc", ranks=ranks), 1, *place)
        self.assertIn("is at row 7, column 2 of q/layer/part_2.npy", run("info", "q", *how).stdout)
        ids = np.arange(100, 200)
        ids[60] = 7
        np.save("q/example_id/part_1.npy", ids)
        self.expect(run("sweep", "p", "q", *how, "--format", "csv", ranks=3), 1,
                    "example_id is 160 in set p (p/example_id/part_1.npy, row 60) but 7 in set q "
                    "(q/example_id/part_1.npy, row 60)")
        self.expect(self.sweep("--examples", "0:3", "--format", "csv"), 1,
                    "has 3 examples of the 300 in its files, after --examples")

    def test_printing(self):
        done = self.sweep("-m", "cka", "--format", "json", "-q")
        self.expect(done, 0)
        json.loads(done.stdout)
        self.assertEqual(done.stderr, "")
        self.expect(self.sweep("-m", "cka", "-o", "print.nc", "--format", "csv"), 0,
                    "print.nc: 1 measure,")
        shown = run("show", "print.nc", "--format", "csv")
        self.expect(shown, 0)
        again = self.sweep("-m", "cka", "--format", "csv", ranks=2)
        self.assertEqual(again.stdout, shown.stdout)
        self.assertGreaterEqual(len(shown.stdout.splitlines()), 7)

    def test_shown_measures(self):
        """Lists and other names as the sweep takes them."""
        self.expect(self.sweep("-m", "cka,svcca,hsic", "-o", "shown.nc"), 0)
        both = run("show", "shown.nc", "--measure", "svcca", "--measure", "cka").stdout
        for words in (["--measure", "svcca,lincka"], ["--measure=svcca,", "--measure=linear_cka"]):
            self.assertEqual(run("show", "shown.nc", *words).stdout, both)
        self.assertEqual(run("show", "shown.nc", "--measure", "all").stdout,
                         run("show", "shown.nc").stdout)
        self.expect(run("show", "shown.nc", "--measure", "cka,svca"), 2, "'svca'",
                    "the closest is 'svcca'")
        self.expect(self.sweep("--layers", "a:ayer_0", "--format", "csv"), 2, "layer_0?")

    # -- run files and provenance ---------------------------------------------------------------

    def test_run_file(self):
        with open("run.ini", "w", encoding="utf-8") as file:
            file.write("[sweep]\nset = a.npz\nset = b.npz\nmeasures = cka,svcca\n"
                       "output = ini.nc\n[svcca]\nvariance = 0.5\n")
        for ranks in (None, 3):
            self.expect(run("sweep", "-c", "run.ini", "--overwrite", ranks=ranks), 0)
        with xarray.open_dataset("ini.nc") as data:
            self.assertIn("svcca", data)
            config = data.attrs["configuration"]
        self.assertIn("variance = 0.5\n", config)
        self.expect(run("sweep", "-c", "run.ini", "-o", "ini2.nc", "--svcca.variance", "0.9",
                        "a.npz"), 0)
        with xarray.open_dataset("ini2.nc") as data:
            self.assertEqual(data["svcca"].shape, (2, 2))
            self.assertIn("variance = 0.9\n", data.attrs["configuration"])

    def test_configuration_repeats_the_run(self):
        self.expect(self.sweep("-m", "pwcca,cka", "--examples", "3:60", "-o", "once.nc"), 0)
        with netCDF4.Dataset("once.nc") as data:
            first = {v: data[v][:].tobytes() for v in ("cka", "pwcca")}
            config = data.configuration
        with open("again.ini", "w", encoding="utf-8") as file:
            file.write(config)
        self.expect(run("sweep", "-c", "again.ini", "-o", "twice.nc"), 0)
        with netCDF4.Dataset("twice.nc") as data:
            self.assertEqual({v: data[v][:].tobytes() for v in ("cka", "pwcca")}, first)
            self.assertEqual(data.configuration, config)

    def test_groups(self):
        """Decompositions on groups of ranks: the same values but for rounding, and what the log and
        the configuration say of it."""
        self.expect(self.sweep("-m", "cca_mean,procrustes", "-o", "alone.nc"), 0)
        for words, shape, ranks in ((["--grid", "2x1"], "2 x 1", 2),
                                    (["--group-size", "2"], "1 x 2", 3)):
            done = self.sweep("-m", "cca_mean,procrustes", "-o", "groups.nc", "--overwrite",
                              "--grid-from", "2", *words, ranks=ranks)
            self.expect(done, 0, f"decompositions from 2 neurons: 1 group of {shape} ranks, "
                                 f"{ranks - 2} ranks in none")
            with xarray.open_dataset("alone.nc") as one, xarray.open_dataset("groups.nc") as many:
                for name in ("cca_mean", "procrustes"):
                    np.testing.assert_allclose(many[name], one[name], rtol=1e-9, atol=1e-9)
                config = many.attrs["configuration"]
            self.assertIn("grid-from = 2\n", config)
            with open("groups.ini", "w", encoding="utf-8") as file:
                file.write(config)
            self.expect(run("sweep", "-c", "groups.ini", "-o", "again.nc", "--overwrite",
                            ranks=ranks), 0)
        done = self.sweep("--grid", "2x2", "-o", "x.nc", ranks=3)
        self.expect(done, 2, "a grid of 2 x 2 ranks: found 3 ranks")
        self.assertFalse(os.path.exists("x.nc"))

    def test_long_configuration_repeats_the_run(self):
        """All measures, and paths that are longer than a line of the library that reads them."""
        deep = "/".join(c * 99 for c in "xyz")
        os.makedirs(deep, exist_ok=True)
        shutil.copy("a.npz", f"{deep}/a.npz")
        shutil.copy("b.npz", f"{deep}/b.npz")
        names = [line.split()[0] for line in
                 run("sweep", "--help").stdout.split("Measures:\n")[1].split("\n\n")[0].splitlines()
                 if re.match(r"  \w", line)]
        names = [n for n in names if n not in ("contrasim", "deepdot", "deepcka", "mscon")]
        self.assertGreater(len(names), 15)
        self.expect(run("sweep", f"{deep}/a.npz", f"{deep}/b.npz", "-m", ",".join(names), "-o",
                        "long1.nc"), 0)
        with netCDF4.Dataset("long1.nc") as data:
            config, checksum = data.configuration, data.checksum
        with open("long.ini", "w", encoding="utf-8") as file:
            file.write(config)
        self.expect(run("sweep", "-c", "long.ini", "-o", "long2.nc", ranks=2), 0)
        with netCDF4.Dataset("long2.nc") as data:
            self.assertEqual((data.configuration, data.checksum), (config, checksum))

    def test_kernels(self):
        """A processor that OpenBLAS does not know is no reason to compute as in 2004; a user is."""
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            modern = " avx2 " in file.read()
        if not modern or "OpenBLAS" not in run("--version").stdout:
            self.skipTest("for OpenBLAS on a processor with AVX2")
        with unittest.mock.patch.dict(os.environ):
            os.environ.pop("OPENBLAS_CORETYPE", None)
            self.assertNotIn("core Prescott", run("--version").stdout)
        self.assertIn("core Prescott", run("--version", env={"OPENBLAS_CORETYPE": "Prescott"}).stdout)

    def test_provenance(self):
        self.expect(self.sweep("-m", "cca_mean", "-o", "prov.nc", "--rank-floor", "0.1",
                               "--threads", "2"), 0)
        with xarray.open_dataset("prov.nc") as data:
            config, blas = data.configuration, data.blas
            ranks = data.rank_a.values.tolist() + data.rank_b.values.tolist()
        for line in ("rank-floor = 0.1\n", "threads = 2\n"):
            self.assertIn(line, config)
        self.assertIn(f"BLAS      {blas}\n", run("--version").stdout)
        if "OpenBLAS" in blas:
            self.assertRegex(blas, r"^OpenBLAS \d+\.\d+\S*, core \w+$")
        expected = []
        for x in self.a + self.b:
            s = np.linalg.svd(x - x.mean(0), compute_uv=False)
            expected.append(int(np.sum(s ** 2 > 0.1 * s[0] ** 2)))
        self.assertEqual(ranks, expected)
        self.assertLess(sum(ranks), sum(x.shape[1] for x in self.a + self.b))
        self.expect(self.sweep("--format", "csv", "--rank-floor", "0.9"), 2, "from 1e-30 to 0.5")

    def test_bad_run_files(self):
        with open("bad.ini", "w", encoding="utf-8") as file:
            file.write("[sweep]\nmeasure = cka\n")
        for ranks in (None, 3):
            done = run("sweep", "a.npz", "-c", "bad.ini", ranks=ranks)
            self.expect(done, 2, "bad.ini, line 2: unknown key 'measure'", "'measures'")
            self.assertEqual(len(done.lines), 1, done.stderr)
        self.expect(run("sweep", "-c", "none.ini", ranks=2), 1, "none.ini", "No such file")

    def test_shipped_run_file(self):
        done = subprocess.run([BIN, "sweep", "-c", "inputs/sweep.ini", "-o",
                               os.path.abspath("shipped.nc")], cwd=SOURCE, text=True,
                              capture_output=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        with xarray.open_dataset("shipped.nc") as data:
            self.assertEqual(data["cka"].shape, (8, 8))

    # -- log, profile, machine ------------------------------------------------------------------

    def test_json_log(self):
        done = self.sweep("-o", "log.nc", "--log-json", "-v", "--overwrite", "--profile",
                          env={"SLURM_JOB_ID": "4711"})
        self.expect(done, 0)
        self.assertGreater(len(done.lines), 0)
        for line in done.lines:
            entry = json.loads(line)
            self.assertEqual((entry["schema"], entry["job"], entry["ranks"]), (1, "4711", 1))
            self.assertRegex(entry["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIn(entry["level"], ("warning", "info", "debug"))
            self.assertGreaterEqual(entry["elapsed_s"], 0)
            self.assertTrue(entry["event"] and entry["text"])
        self.assertIn("profile", [json.loads(line)["event"] for line in done.lines])

    def test_json_error(self):
        done = run("sweep", "missing.npz", "--format", "csv", "--log-json")
        self.expect(done, 1)
        entry = json.loads(done.lines[-1])
        self.assertEqual(entry["level"], "error")
        self.assertIn("missing.npz", entry["text"])

    def test_batch_log_is_plain(self):
        done = self.sweep("--format", "csv", "-v")
        self.expect(done, 0)
        self.assertNotIn("\r", done.stderr)
        self.assertNotIn("\x1b", done.stderr)

    def test_profile(self):
        done = self.sweep("--format", "csv", "--profile", "--profile-json", "profile.json", "-q",
                          ranks=2)
        self.expect(done, 0, "phase", "max/min", "GF/s", "peak of counted memory")
        with open("profile.json", encoding="utf-8") as file:
            profile = json.load(file)
        self.assertEqual(profile["ranks"], 2)
        self.assertGreater(profile["peak_bytes"], 0)
        self.assertGreater(len(profile["phases"]), 0)
        for phase in profile["phases"]:
            self.assertGreaterEqual(phase["calls"], 1)
            self.assertGreaterEqual(phase["max_s"], phase["mean_s"])
            self.assertTrue(0 <= phase["max_rank"] < 2)
            self.assertLessEqual(phase["percent"], 100.001)
        self.expect(self.sweep("--format", "csv", "--profile-json", "no/folder/p.json"), 1,
                    "no/folder/p.json")

    # -- perf -----------------------------------------------------------------------------------

    def perf(self, *words, **how):
        """A tiny run, and that it leaves nothing in $TMPDIR."""
        os.makedirs("tmp", exist_ok=True)
        done = run("perf", "--examples", "200", "--width", "64", "--layers", "3", "--repeat", "2",
                   "--gemm-size", "64", *words, env={"TMPDIR": os.path.abspath("tmp")}, **how)
        self.assertEqual([s for s in os.listdir("tmp") if s.startswith("contrasim-perf")], [])
        return done

    def test_perf(self):
        done = self.perf("--format", "json", "--compare", "single", "-q", ranks=2)
        self.expect(done, 0)
        report = json.loads(done.stdout)
        self.assertEqual(report["ranks"], 2)
        self.assertEqual([s["precision"] for s in report["series"]], ["double", "single"])
        for series in report["series"]:
            # the upper halves of three Gram matrices
            self.assertEqual(series["pass"]["flops"], 200 * 200 * 64 * 3)
            self.assertIn("gram", [p["name"] for p in series["phases"]])
            self.assertGreater(series["peak_flops_per_s"], 0)
            self.assertEqual(len(series["total_s_runs"]), 2)
            self.assertGreater(series["total_s"], series["pass"]["seconds"])
            # the rank with more of the four chunks of 64 rows holds at least two of them
            element = 8 if series["precision"] == "double" else 4
            self.assertGreaterEqual(series["memory"]["example_bytes"], 128 * 64 * 3 * element)
            self.assertGreater(series["memory"]["resident_bytes"],
                               series["memory"]["counted_bytes"])
        self.assertGreater(report["double_over_single"]["pass"], 0)
        done = self.perf("--measures", "procrustes")
        self.expect(done, 0)
        for word in ("peak:", "read", "cross", "svd", "pass", "VmHWM"):
            self.assertIn(word, done.stdout)

    def test_perf_refuses(self):
        self.expect(self.perf("--precision", "single", "--measures", "svcca", ranks=2), 2, "svcca")
        self.expect(self.perf("--precision", "single", "--compare", "single"), 2, "--compare")
        self.expect(self.perf("--measures", "ckaa"), 2, "ckaa", "the closest is 'cka'")
        self.expect(self.perf("--pairs", "some"), 2, "some")

    def test_machine_warnings(self):
        done = self.sweep("--format", "csv", "--threads", "1000", "-q")
        self.expect(done, 0, "warning: 1000 threads", "--threads 1,")
        done = self.sweep("--format", "csv", "-q", ranks=os.cpu_count() + 1)
        self.expect(done, 0, "threads (1 per rank)", "use fewer ranks, or")
        done = self.sweep("--format", "csv", "-q", env={"SLURM_NTASKS": "4"})
        self.expect(done, 0, "4 tasks", "srun")
        done = self.sweep("--format", "csv", "-q", env={"SLURM_STEP_NUM_TASKS": "4",
                                                        "SLURM_PROCID": "1"})
        self.assertEqual(done.stderr, "")
        self.assertEqual(self.sweep("--format", "csv", "-q").stderr, "")

    # -- faults ---------------------------------------------------------------------------------

    def test_faults(self):
        """An injected failure on one rank ends in one message and exit code 1, and no file."""
        codes = []
        for seed in range(1, 5):
            if os.path.exists("fault.nc"):
                os.remove("fault.nc")
            done = self.sweep("-o", "fault.nc", "-q", ranks=3,
                              env={"CONTRASIM_FAULT": f"9:{seed}"})
            codes.append(done.returncode)
            self.assertNotIn("leak", done.stderr)
            if done.returncode == 0:
                self.assertTrue(os.path.exists("fault.nc"))
                continue
            self.expect(done, 1, "contrasim: error: ")
            self.assertEqual(sum("error:" in s for s in done.lines), 1, done.stderr)
        self.assertIn(1, codes)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
