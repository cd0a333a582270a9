"""Real labels cut to equal class counts: a native netCDF file from another one.

Of every label variable the --classes commonest values stay, each on the same number of examples, which
is the count of the rarest value that stays in any of them; all else is missing (-1). Examples without
a label are left out, the others come in a random order. label_NAME_all are the labels as they were.
--noise NAME adds label_NAME_n75: among three of four labelled examples the labels of NAME change
places, so that the class counts stay.
"""
import argparse

import netCDF4
import numpy as np


def commonest(values, classes):
    found, count = np.unique(values[values >= 0], return_counts=True)
    order = np.argsort(-count, kind="stable")[:classes]
    return found[order], count[order]


def cut(rng, values, classes, count):
    """Renumbered labels, `count` of each class, else -1."""
    reduced = np.full(len(values), -1)
    for number, value in enumerate(commonest(values, classes)[0]):
        reduced[rng.permutation(np.flatnonzero(values == value))[:count]] = number
    return reduced


def shuffled(rng, values, part):
    labelled = rng.permutation(np.flatnonzero(values >= 0))
    hit = labelled[:round(part * len(labelled))]
    noisy = values.copy()
    noisy[hit] = values[rng.permutation(hit)]
    return noisy


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--layer", required=True)
    parser.add_argument("--notions", required=True, help="label variables without label_, by ','")
    parser.add_argument("--classes", type=int, default=3)
    parser.add_argument("--noise", help="which of them gets a noisy twin")
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    rng = np.random.default_rng(a.seed)
    names = a.notions.split(",")
    with netCDF4.Dataset(a.input) as data:
        x = data[a.layer][:]
        if getattr(data[a.layer], "dtype", "") == "float16" or x.dtype == np.uint16:
            x = np.asarray(x).view("f2")
        full = {n: np.ma.filled(data[f"label_{n}"][:], -1) for n in names}
    count = min(commonest(v, a.classes)[1].min() for v in full.values())
    kept = {n: cut(rng, v, a.classes, count) for n, v in full.items()}
    if a.noise:
        kept[f"{a.noise}_n75"] = shuffled(rng, kept[a.noise], 0.75)
    rows = rng.permutation(np.flatnonzero(np.max(list(kept.values()), axis=0) >= 0))
    labels = {**kept, **{f"{n}_all": v for n, v in full.items()}}
    with netCDF4.Dataset(a.output, "w") as data:
        data.Conventions = "contrasim-1"
        data.createDimension("example", len(rows))
        data.createDimension(f"neuron_{a.layer}", x.shape[1])
        layer = data.createVariable(a.layer, "f4", ("example", f"neuron_{a.layer}"))
        layer.layer_index = np.int32(0)
        layer[:] = x[rows].astype("f4")
        for name, values in labels.items():
            data.createVariable(f"label_{name}", "i4", ("example",))[:] = values[rows]
    print(f"{len(rows)} examples; {a.classes} classes of {count} examples in every notion")


if __name__ == "__main__":
    main()
