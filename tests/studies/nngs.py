"""The study of docs/studies/nngs.md: makes the data, sweeps, prints the tables. Exit code 1 where a
mean is not the published one.

    CONTRASIM_BIN=build/release/bin/contrasim /usr/bin/python3 tests/studies/nngs.py FOLDER
"""
import os
import subprocess
import sys

import netCDF4
import numpy as np

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get("CONTRASIM_BIN", "contrasim"))
DRAWS = 20
DECIBELS = (-20, -10, 0, 10, 20, 30)
# As published: {row: {column: value}}.
NOISE = {"-20": {"nngs": 0.11}, "0": {"nngs": 0.27}, "10": {"nngs": 0.60}, "20": {"nngs": 0.84}}
BLOBS = {"noisy": {"cka": 0.99, "nngs k=5": 0.03, "nngs k=300": 0.99},
         "moved": {"cka": 0.16, "nngs k=5": 1.00, "nngs k=300": 0.63}}
# Half a unit of the last published digit, and two standard errors of a mean of 20 draws.
TOLERANCE = 0.0125


def noise_data(rng):
    """White noise, and the same with more added, by decibels and draw."""
    signal = {f"draw_{i}": rng.standard_normal((100, 50)) for i in range(DRAWS)}
    noisy = {f"{name}_{db}": x + 10 ** (-db / 20) * rng.standard_normal(x.shape)
             for db in DECIBELS for name, x in signal.items()}
    np.savez("signal.npz", **signal)
    np.savez("noisy.npz", **noisy)


def blobs_data(rng):
    """Four groups; with noise of five times their width, and with their centres exchanged."""
    blobs, changed = {}, {}
    for i in range(DRAWS):
        inside = 0.1 * rng.standard_normal((400, 20))
        blobs[f"draw_{i}"] = x = inside + np.repeat([0, 1, 2, 3], 100)[:, None]
        changed[f"draw_{i}_noisy"] = x + 0.5 * rng.standard_normal(x.shape)
        changed[f"draw_{i}_moved"] = inside + np.repeat([2, 1, 3, 0], 100)[:, None]
    np.savez("blobs.npz", **blobs)
    np.savez("changed.npz", **changed)


def sweep(run_file, output):
    """The values of a sweep: {column: [layers of the first set, of the second]}, and their names."""
    done = subprocess.run([BIN, "sweep", "-c", os.path.join(SOURCE, "inputs", run_file), "-o", output,
                           "--overwrite", "-q"], text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    found = {}
    with netCDF4.Dataset(output) as data:
        for name in [v for v in ("nngs", "cka", "cka_debiased") if v in data.variables]:
            values = np.asarray(data[name])
            if values.ndim == 3:
                found.update({f"{name} k={k}": v for k, v in zip(data["nngs_k"][:], values)})
            else:
                found[name] = values
        return found, list(data["layer_a"][:]), list(data["layer_b"][:])


def table(head, published, kinds, found, rows, columns):
    """One line a kind of change, one column a measure, with the published value in brackets; how many
    means differ from it."""
    print(f"\n| {head} | " + " | ".join(found) + " |\n|" + "---|" * (1 + len(found)))
    wrong = 0
    for kind in kinds:
        cells = []
        for name, values in found.items():
            own = np.array([values[i, columns.index(f"{row}_{kind}")] for i, row in enumerate(rows)])
            cell = f"{own.mean():.3f} ± {own.std(ddof=1):.3f}"
            expected = published.get(kind, {}).get(name)
            if expected is not None:
                good = abs(own.mean() - expected) <= TOLERANCE
                wrong += not good
                cell += f" ({expected:.2f}{'' if good else ': MISSED'})"
            cells.append(cell)
        print(f"| {kind} | " + " | ".join(cells) + " |")
    return wrong


def unrelated(found, rows, columns):
    """The means over all layers that come from different draws."""
    other = np.array([[not b.startswith(f"{a}_") for b in columns] for a in rows])
    print("different draws: " + ", ".join(f"{name} {values[other].mean():.3f}"
                                          for name, values in found.items()))


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    os.chdir(sys.argv[1])
    rng = np.random.default_rng(0)
    noise_data(rng)
    found = sweep("nngs_noise.ini", "noise.nc")
    wrong = table("decibels", NOISE, map(str, DECIBELS), *found)
    unrelated(*found)
    blobs_data(rng)
    wrong += table("change", BLOBS, BLOBS, *sweep("nngs_blobs.ini", "blobs.nc"))
    sys.exit(f"{wrong} means are not as published" if wrong else 0)


if __name__ == "__main__":
    main()
