"""The study of docs/studies/mscon.md: makes the data, trains, probes, prints the tables.

    CONTRASIM_BIN=build/release/bin/contrasim /usr/bin/python3 tests/studies/mscon.py FOLDER [PART…]

Parts: noise, correlation, fashion (needs CONTRASIM_DATA, the folder of the real data). Everything that
was made stays in FOLDER; what is there is not made again.
"""
import json
import os
import subprocess
import sys

import netCDF4
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
BIN = os.path.abspath(os.environ.get("CONTRASIM_BIN", "contrasim"))
DATA = os.path.abspath(os.environ.get("CONTRASIM_DATA", os.path.join(SOURCE, "../shared/data")))
TRAIN_FILE = os.path.join(SOURCE, "inputs", "mscon_train.ini")
PROBE_FILE = os.path.join(SOURCE, "inputs", "mscon_probe.ini")
RATE = 0.05  # of the recipe, and of the run file


def run(*words):
    done = subprocess.run(words, text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}\n{done.stderr}")
    return done.stdout


def make(script, output, *words):
    if not os.path.exists(output):
        print(run(sys.executable, os.path.join(HERE, script), *words), end="", file=sys.stderr)


def train(data, examples, output, notions, *words):
    if not os.path.exists(output):
        run(BIN, "train", data, "-c", TRAIN_FILE, "--examples", examples, "--notions", notions, "-o",
            output, "-q", *words)
    return output


def weights(encoder, epoch=0):
    """w after an epoch counted from 1, 0 = the last: [init, notion]."""
    with netCDF4.Dataset(encoder) as data:
        return np.asarray(data["notion_weight"][:, epoch - 1, :])


def conditions(data, examples, stem, notions, singles):
    """The encoders that are compared, by name. Learned factors e^-w are below 1, so that learned
    weights also mean shorter steps: each is compared with equal weights at the rate that makes the
    mean step as long, and the other way round."""
    found = {"learned": train(data, examples, f"{stem}-learned.enc", notions)}
    factor = float(np.exp(-weights(found["learned"])).mean())
    low, high = f"{RATE * factor:.4f}", f"{RATE / factor:.4f}"
    found[f"equal, lr {low}"] = train(data, examples, f"{stem}-equal-low.enc", notions, "--weights",
                                      "equal", "--lr", low)
    found[f"learned, lr {high}"] = train(data, examples, f"{stem}-learned-high.enc", notions, "--lr",
                                         high)
    found["equal"] = train(data, examples, f"{stem}-equal.enc", notions, "--weights", "equal")
    for name in singles:
        short = name.replace(",", "+")
        found[f"only {short}"] = train(data, examples, f"{stem}-only-{short}.enc", name, "--weights",
                                       "equal")
    return found


def probe(data, examples, encoders, notions):
    """{(features, notion, probe): (mean, std)}; features "raw" or a path."""
    words = [w for e in encoders for w in ("--encoder", e)]
    text = run(BIN, "probe", data, "-c", PROBE_FILE, "--examples", examples, "--notions",
               ",".join(notions), "--format", "json", "-q", *words)
    found = {}
    for entry in json.loads(text)["probes"]:
        for kind in ("softmax", "knn"):
            about = entry[kind]
            found[entry["features"], entry["notion"], kind] = about["mean"], about["std"]
            found["runs", entry["features"], entry["notion"], kind] = np.array(about["accuracy"])
        found["chance", entry["notion"]] = entry["chance"]
    return found


def table(head, rows):
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def show_weights(encoder, epoch=0):
    w = weights(encoder, epoch)
    return [f"{m:.3f} ± {s:.3f} ({np.exp(-m):.3f})" for m, s in
            zip(w.mean(axis=0), w.std(axis=0, ddof=1))]


def show_probes(title, found, encoders, columns):
    """One row a set of features, one column a (notion, probe)."""
    print(f"\n{title}")
    rows = [["raw", *(f"{found['raw', *c][0]:.3f} ± {found['raw', *c][1]:.3f}" for c in columns)]]
    for name, path in encoders.items():
        rows.append([name, *("{:.3f} ± {:.3f}".format(*found[(path, *c)]) for c in columns)])
    rows.append(["chance", *(f"{found['chance', c[0]]:.3f}" for c in columns)])
    table(["features", *(f"{n}, {k}" for n, k in columns)], rows)


def gain(found, encoders, longer, columns):
    """Learned less equal weights with steps of the same mean length, run by run."""
    low, high = [n for n in encoders if ", lr" in n]
    a, b = (high, "equal") if longer else ("learned", low)
    cells = []
    for c in columns:
        d = found[("runs", encoders[a], *c)] - found[("runs", encoders[b], *c)]
        cells.append(f"{100 * d.mean():+.1f} ± {100 * d.std(ddof=1):.1f}")
    return cells


CLEAN = [("shape", "softmax"), ("shape", "knn"), ("colour", "softmax"), ("colour", "knn"),
         ("coarse", "knn"), ("texture", "softmax"), ("size", "softmax")]


def synthetic(folder, correlation, noises, singles):
    stem = os.path.join(folder, f"tri-{correlation:g}")
    data = stem + ".nc"
    make("trifeature.py", data, data, "--noise", "1.5", "--correlation", f"{correlation:g}",
         "--examples", "5000")
    rows, later, course = [], [], []
    for noise in noises:
        found = conditions(data, "0:2000", f"{stem}-n{noise:02d}",
                           f"shape,colour,texture_n{noise:02d}",
                           singles if noise == noises[0] else [])
        rows.append([f"{noise / 100:g}", *show_weights(found["learned"])])
        found["learned, early stop"] = train(
            data, "0:2000", f"{stem}-n{noise:02d}-early.enc", f"shape,colour,texture_n{noise:02d}",
            "--early-stop")
        course.append([f"{noise / 100:g}", *(show_weights(found["learned"], e)[2]
                                             for e in (2, 5, 10, 20, 40))])
        later.append((noise, found, probe(data, "2000:5000", found.values(),
                                          ["shape", "colour", "texture", "size", "coarse"])))
    print(f"\nCorrelation {correlation:g}: w (e^-w) after the last epoch, over 3 seeds")
    table(["label noise", "shape", "colour", "texture (noisy)"], rows)
    print(f"\nCorrelation {correlation:g}: w (e^-w) of texture after some epochs")
    table(["label noise", *(f"epoch {e}" for e in (2, 5, 10, 20, 40))], course)
    for longer in (False, True):
        print(f"\nCorrelation {correlation:g}: learned less equal, "
              f"{'long' if longer else 'short'} steps, in points")
        table(["label noise", *(f"{n}, {k}" for n, k in CLEAN)],
              [[f"{noise / 100:g}", *gain(accuracy, found, longer, CLEAN)]
               for noise, found, accuracy in later])
    for noise, found, accuracy in later:
        show_probes(f"Correlation {correlation:g}, label noise {noise / 100:g}", accuracy, found,
                    CLEAN)


def fashion(folder):
    data = os.path.join(folder, "fashion.nc")
    names = ["gender", "season", "usage", "articleType"]
    make("equal_classes.py", data, os.path.join(DATA, "fashion", "mobilenet_v1_025.nc"), data,
         "--layer", "layer_13_pw13", "--notions", ",".join([*names, "baseColour", "subCategory"]),
         "--noise", "gender")
    rows, later = [], []
    for gender in ("gender", "gender_n75"):
        found = conditions(data, "0:2500", os.path.join(folder, f"fashion-{gender}"),
                           ",".join([gender, *names[1:]]),
                           ["season", "articleType", "season,usage,articleType"]
                           if gender == "gender_n75" else [])
        rows.append([gender, *show_weights(found["learned"])])
        later.append((gender, found, probe(data, "2500:", found.values(),
                                           [f"{n}_all" for n in
                                            [*names, "baseColour", "subCategory"]])))
    print("\nFashion: w (e^-w) after the last epoch, over 3 seeds")
    table(["first notion", "gender", "season", "usage", "articleType"], rows)
    columns = [(f"{n}_all", k) for k in ("softmax", "knn")
               for n in [*names, "baseColour", "subCategory"]]
    for longer in (False, True):
        print(f"\nFashion: learned less equal, {'long' if longer else 'short'} steps, in points")
        table(["first notion", *(f"{n}, {k}" for n, k in columns)],
              [[gender, *gain(accuracy, found, longer, columns)] for gender, found, accuracy in
               later])
    for gender, found, accuracy in later:
        show_probes(f"Fashion, {gender}: softmax", accuracy, found,
                    [(f"{n}_all", "softmax") for n in [*names, "baseColour", "subCategory"]])
        show_probes(f"Fashion, {gender}: knn", accuracy, found,
                    [(f"{n}_all", "knn") for n in [*names, "baseColour", "subCategory"]])


def main():
    folder, parts = sys.argv[1], sys.argv[2:] or ["noise", "correlation", "fashion"]
    os.makedirs(folder, exist_ok=True)
    if "noise" in parts:
        synthetic(folder, 0, [0, 25, 50, 75, 100], ["shape", "colour", "shape,colour"])
    if "correlation" in parts:
        synthetic(folder, 0.5, [75], ["shape", "shape,colour"])
    if "fashion" in parts:
        fashion(folder)


if __name__ == "__main__":
    main()
