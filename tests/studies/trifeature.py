"""A synthetic set with known notions of similarity, as a native netCDF file.

Every example has four features with --values values each: shape, colour, texture, size. With
--correlation r any two of shape, colour and texture agree with probability r + (1 - r)/values: each
takes a common value with probability sqrt(r), else one of its own; size is always its own. The layer
is a fixed random nonlinear mixture of the one-hot features plus Gaussian noise.

Labels: shape, colour, texture, size as they are; texture_nPP, where PP percent of the texture labels
are replaced by values drawn uniformly (00, 25, 50, 75, 100); coarse, half as many values, a function
of shape and colour together that neither gives alone.
"""
import argparse

import netCDF4
import numpy as np

FEATURES = ("shape", "colour", "texture", "size")
NOISE = (0, 25, 50, 75, 100)


def labels(rng, examples, values, correlation):
    common = rng.integers(values, size=examples)
    found = {}
    for name in FEATURES:
        own = rng.integers(values, size=examples)
        takes = rng.random(examples) < (0 if name == "size" else correlation ** 0.5)
        found[name] = np.where(takes, common, own)
    return found


def mixture(rng, features, values, width, noise):
    """One-hot features through two random layers: tanh of a mixture, then a mixture, then noise."""
    hot = np.concatenate([np.eye(values)[features[name]] for name in FEATURES], axis=1)
    hidden = np.tanh(hot @ rng.standard_normal((hot.shape[1], 2 * width)))
    out = hidden @ rng.standard_normal((2 * width, width)) / np.sqrt(2 * width)
    return (out + noise * rng.standard_normal(out.shape)).astype("f4")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--examples", type=int, default=5000)
    parser.add_argument("--values", type=int, default=10)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--correlation", type=float, default=0)
    parser.add_argument("--noise", type=float, default=1, help="of the layer, not of the labels")
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    rng = np.random.default_rng(a.seed)
    found = labels(rng, a.examples, a.values, a.correlation)
    x = mixture(rng, found, a.values, a.width, a.noise)
    found["coarse"] = (found["shape"] + found["colour"]) % a.values // 2
    drawn, chance = rng.integers(a.values, size=a.examples), rng.random(a.examples)
    for percent in NOISE:  # the same order of examples: more noise hits those already hit, too
        found[f"texture_n{percent:02d}"] = np.where(chance < percent / 100, drawn, found["texture"])
    with netCDF4.Dataset(a.output, "w") as data:
        data.Conventions = "contrasim-1"
        data.model = "trifeature"
        data.dataset = f"trifeature, correlation {a.correlation:g}, noise {a.noise:g}, seed {a.seed}"
        data.title = "Synthetic features mixed at random"
        data.createDimension("example", a.examples)
        data.createDimension("neuron_layer_00_mixed", a.width)
        layer = data.createVariable("layer_00_mixed", "f4", ("example", "neuron_layer_00_mixed"))
        layer.layer_index = np.int32(0)
        layer[:] = x
        data.createVariable("example_id", "i8", ("example",))[:] = np.arange(a.examples)
        for name, values in found.items():
            variable = data.createVariable(f"label_{name}", "i4", ("example",))
            variable.classes = " ".join(f"{name}_{i}" for i in range(int(values.max()) + 1))
            variable[:] = values


if __name__ == "__main__":
    main()
