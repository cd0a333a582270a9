"""The documentation against the program: measures, options, commands, notes, attributes, links, and
the examples of the user guide."""
import contextlib
import glob
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

import netCDF4
import numpy as np
import xarray

BIN = os.environ["CONTRASIM_BIN"]
MPIEXEC = os.environ["CONTRASIM_MPIEXEC"]
SOURCE = os.environ["CONTRASIM_SOURCE"]
# Programs whose options in the documents are not ours.
FOREIGN = {"#SBATCH", "bash", "cmake", "ctest", "git", "mpirun", "ncdump", "ompi_info", "pip", "sbatch", "scontrol", "srun"}
GLOBAL = {"--help", "--version", "--man", "--completion"}
# Open MPI starts faster when it need not look for networks or be ready to spawn. Isolated processes
# share one session folder and remove it at their end: it must be this test's own.
SESSIONS = tempfile.TemporaryDirectory()
ALONE = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self", "OMPI_MCA_ess_singleton_isolated": "1",
         "OMPI_MCA_orte_tmpdir_base": SESSIONS.name}


def run(*words):
    done = subprocess.run([BIN, *words], text=True, capture_output=True, timeout=60,
                          env={**os.environ, **ALONE})
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as file:
        return file.read()


def documents():
    """All Markdown files of the source folder, by their path in it."""
    found = []
    for folder, inside, files in os.walk(SOURCE):
        inside[:] = [d for d in inside if not d.startswith(".") and d != "build"]
        found += [os.path.relpath(os.path.join(folder, f), SOURCE)
                  for f in files if f.endswith(".md")]
    return sorted(found)


def block(text, title):
    """The lines of a help text from a title to the next empty line."""
    return text.split(f"\n{title}:\n")[1].split("\n\n")[0]


def commands():
    return re.findall(r"^  (\w+) ", block(run("--help"), "Commands"), re.M)


def options(command):
    """Long options; a flag [no-]x counts as both."""
    found = set()
    for name in re.findall(r"^ {2}(?:-\w, |    )--(\S+)", run(command, "--help"), re.M):
        found |= {name.replace("[no-]", ""), name.replace("[no-]", "no-")}
    # without its prefix an option holds for every measure that has it
    return {f"--{n}" for n in found | {n.split(".")[-1] for n in found}} | {"--help"}


def fenced(text):
    """The code blocks of a document: (language, text)."""
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)


def prose(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def spans(text):
    return [" ".join(s.split()) for s in re.findall(r"`([^`]+)`", prose(text))]


def program_lines(text):
    """Command lines in code blocks that start the program, continuation lines joined."""
    found = []
    for language, body in fenced(text):
        lines = re.sub(r"\\\n\s*", " ", body).splitlines()
        if language == "console":
            lines = [s[2:] for s in lines if s.startswith("$ ")]
        elif language != "sh":
            continue
        found += [s.split("#")[0].strip() for s in lines
                  if re.match(r"(mpirun .*|srun .*)?contrasim ", s)]
    return found


def anchors(text):
    """What links may point to: the headings as GitHub names them."""
    names = set()
    for heading in re.findall(r"^#+ +(.*)$", prose(text), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        names.add(re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-"))
    return names


class Documents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.symlink(os.path.join(SOURCE, "inputs"), "inputs")
        rng = np.random.default_rng(3)
        np.savez("tiny.npz", a=rng.standard_normal((80, 4)), b=rng.standard_normal((80, 4)))
        learned = ["contrasim", "deepdot", "deepcka", "mscon"]
        for loss in ("contrastive", "deepdot", "deepcka", "mscon"):
            run("train", "inputs/tiny/net00.nc", "--layers", "0", "--views", "2", "--loss", loss,
                *(["--notions", "class"] if loss == "mscon" else []), "--epochs", "0", "-o",
                f"{loss}.nc", "-q")
        encoders = [w for loss in ("contrastive", "deepdot", "deepcka", "mscon")
                    for w in ("--encoder", f"{loss}.nc")]
        cls.result = json.loads(run("sweep", "inputs/tiny/net00.nc", "--layers", "0,1", "-m",
                                    ",".join(["all", *learned]), *encoders, "--format", "json", "-q"))
        cls.variables = {v["name"]: v for v in cls.result["variables"]}
        cls.help = run("sweep", "--help")
        cls.commands = commands()
        cls.options = {c: options(c) for c in cls.commands}
        cls.measures = read("docs", "measures.md")

    def sections(self):
        parts = re.split(r"^### (\w+)\n", self.measures, flags=re.M)
        return dict(zip(parts[1::2], parts[2::2]))

    # -- measures -------------------------------------------------------------------------------

    def test_every_measure_has_a_section(self):
        listed = re.findall(r"^  (\w+) {2,}", block(self.help, "Measures"), re.M)
        self.assertGreater(len(listed), 0)
        self.assertEqual(sorted(self.sections()), sorted(listed))
        self.assertEqual(sorted(self.variables), sorted(listed))

    def test_overview_agrees_with_the_program(self):
        rows = re.findall(r"^\| `(\w+)` \| ([SD]) \| ([^|]*) \|", self.measures, re.M)
        self.assertEqual([name for name, _, _ in rows], list(self.variables))
        for name, orientation, values in rows:
            about = self.variables[name]["attributes"]
            word = {"S": "similarity", "D": "distance"}[orientation]
            self.assertEqual(word, about["orientation"], name)
            if about.get("valid_range") == [0, 1]:
                self.assertEqual(values, "0…1", name)

    def test_citations(self):
        for name, text in self.sections().items():
            cite = self.variables[name]["attributes"]["citation"]
            words = re.findall(r"[A-Z][\w-]+ (?:and [A-Z]\w+ |et al\. )?\d{4}", cite)
            for word in words:
                self.assertIn(word, text, name)
            self.assertRegex(text, r"\b(19|20)\d\d\b|et al\.", name)

    def test_options_of_measures(self):
        listed = re.findall(r"--((\w+)\.(\w+)) ", self.help)
        self.assertGreater(len(listed), 0)
        for full, measure, key in listed:
            row = re.search(rf"^\| `--{full}` \| (\S+) \|", self.sections()[measure], re.M)
            self.assertIsNotNone(row, full)
            value = self.variables[measure]["attributes"][key]
            text = value if isinstance(value, str) else f"{value:g}"
            self.assertEqual(row[1], text, full)

    def test_other_names(self):
        documented = {}
        table = self.measures.split("## Other names")[1]
        for names, target in re.findall(r"^\| (`.*`) \| `(\w+)` \|$", table, re.M):
            documented.update({n: target for n in re.findall(r"`([^`]+)`", names)})
        listed = re.findall(r"^  (\S+) +(\w+)$", block(self.help, "Other names of measures"), re.M)
        self.assertEqual(documented, dict(listed))

    def test_notes_and_states(self):
        run("sweep", "tiny.npz", "-o", "notes.nc", "-q")
        with netCDF4.Dataset("notes.nc") as data:
            words = data["cka_note"].flag_meanings.split()
            states = data["cka_status"].flag_meanings.split()
            names = {*data.ncattrs(), *data["cka"].ncattrs(), *data["cka_note"].ncattrs(),
                     *data.dimensions}
            names |= {v for v in data.variables if not v.startswith("cka")}
        table = self.measures.split("## Notes")[1].split("\n## ")[0]
        self.assertEqual(re.findall(r"^\| `(\w+)` \|", table, re.M), words)
        formats = read("docs", "formats.md")
        self.assertEqual(re.findall(r"^\| \d `(\w+)` \|", formats, re.M), states)
        results = formats.split("## Results file")[1].split("\n## ")[0]
        for name in names:
            self.assertRegex(results, rf"`[^`\n]*\b{name}\b[^`\n]*`", name)

    # -- commands and options -------------------------------------------------------------------

    def check_line(self, where, words):
        """Words behind `contrasim`: a command that exists, with options that it has."""
        self.assertTrue(words[0] in self.commands or words[0] in GLOBAL or not words[0][0].isalpha()
                        or words[0].isupper(), f"{where}: contrasim {words[0]}")
        for word in words[1:]:
            if word.startswith("--") and words[0] in self.commands:
                self.assertIn(word.split("=")[0], self.options[words[0]], f"{where}: {words}")

    def test_commands_in_code(self):
        checked = 0
        for path in documents():
            for line in program_lines(read(path)):
                words = shlex.split(line.replace("…", "..."))
                self.check_line(path, words[words.index("contrasim") + 1:])
                checked += 1
        self.assertGreater(checked, 5)

    def test_options_in_prose(self):
        known = set().union(*self.options.values()) | GLOBAL
        for path in documents():
            for span in spans(read(path)):
                words = span.split()
                if words[0] in FOREIGN or not words:
                    continue
                if words[0] == "contrasim" and len(words) > 1:
                    self.check_line(path, words[1:])
                for word in words:
                    option = re.match(r"--[a-z][\w.-]*", word)
                    if option and words[0] != "contrasim":
                        self.assertIn(option[0], known, f"{path}: `{span}`")

    def test_readme_names_every_command(self):
        listed = re.findall(r"^\| `contrasim (\w+)` \|", read("README.md"), re.M)
        self.assertEqual(sorted(listed), sorted(self.commands))

    # -- modules --------------------------------------------------------------------------------

    def test_arrows_between_modules(self):
        """What a module includes is what the table in architecture.md allows."""
        table = re.findall(r"^\| `src/(\w+)` \|.*\| ([\w, ]*) ?\|$", read("docs", "architecture.md"),
                           re.M)
        allowed = {name: {name, *re.split(r", *", uses.strip())} for name, uses in table}
        folders = os.listdir(os.path.join(SOURCE, "src"))
        folders = [f for f in folders if os.path.isdir(os.path.join(SOURCE, "src", f))]
        self.assertEqual(sorted(allowed), sorted(set(folders) - {"cmake"}))
        for name, uses in allowed.items():
            for file in glob.glob(os.path.join(SOURCE, "src", name, "**", "*.[ch]"), recursive=True):
                for used in re.findall(r'^#include "(\w+)/', read(file), re.M):
                    fine = used in uses or used == "contrasim" or "all" in uses
                    self.assertTrue(fine, f"{file} includes {used}/")

    # -- links ----------------------------------------------------------------------------------

    def test_links(self):
        checked = 0
        for path in documents():
            text = prose(read(path))
            for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
                if re.match(r"[a-z]+:", link):
                    continue
                target, _, anchor = link.partition("#")
                there = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target \
                    else path
                self.assertTrue(os.path.exists(os.path.join(SOURCE, there)), f"{path}: {link}")
                if anchor:
                    self.assertIn(anchor, anchors(read(there)), f"{path}: {link}")
                checked += 1
        self.assertGreater(checked, 5)

    # -- the examples of the user guide ---------------------------------------------------------

    def test_examples_run(self):
        """In their order: the commands on the small data, then the snippets for xarray."""
        text = read("docs", "user-guide.md")
        ran = 0
        for line in program_lines(text):
            if "inputs/" not in line and "out.nc" not in line or "model" in line:
                continue
            words = [name for word in shlex.split(line.replace("$I", "1").replace("1/8", "1/1"))
                     for name in sorted(glob.glob(word)) or [word]]
            at = words.index("contrasim")
            start = [MPIEXEC, words[2]] if words[:2] == ["mpirun", "-n"] else []
            if at > 0 and not start or any(w.endswith(".safetensors") for w in words):
                continue
            done = subprocess.run([*start, BIN, *words[at + 1:]], text=True, capture_output=True,
                                  timeout=100, env={**os.environ, **({} if start else ALONE)})
            self.assertEqual(done.returncode, 0, f"{line}\n{done.stderr}")
            ran += 1
        self.assertGreater(ran, 4)
        run("sweep", *(f"inputs/tiny/net0{i}.nc" for i in range(3)), "--layers", "0:3", "-o",
            "three.nc", "-q")
        names, snippets = {}, 0
        for language, body in fenced(text):
            if language != "python" or re.search(r"torch|numpy\.|matplotlib", body):
                continue
            if "net02" in body:
                names["data"] = xarray.open_dataset("three.nc")
            elif "data" in names:
                names["data"] = xarray.open_dataset("out.nc")
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(body, "user-guide.md", "exec"), names)  # our own text
            if "net02" in body:
                self.assertEqual(names["block"].shape, (3, 3))
            elif "idxmax" in body:
                self.assertEqual(printed.getvalue().split()[-1], "layer_03_conv4")
            snippets += 1
        self.assertGreater(snippets, 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
