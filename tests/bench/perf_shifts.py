#!/usr/bin/env python3
"""Time of a sweep of two models with values under all cyclic shifts, against the same sweep without them, in
turn. Run it on a quiet machine."""
import argparse
import os
import statistics
import sys
import tempfile

import bench


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("examples", 2000), ("width", 768), ("layers", 13), ("ranks", 2), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--measures", default="cka,cka_rbf,rsa")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="contrasim-bench-") as folder:
        sets = [os.path.join(folder, name) for name in "ab"]
        for seed, path in enumerate(sets):
            os.mkdir(path)
            bench.write_layers(path, args.examples, args.width, args.layers, seed=seed)
        seconds = {"none": [], "shift": []}
        for _ in range(args.rounds):
            for null, list_of in seconds.items():
                _, wall, cpu = bench.timed(
                    [*bench.launcher(args.ranks), bench.program(), "sweep", *sets, "-q", "-m",
                     args.measures, "--null", null, "-o", os.path.join(folder, "out.nc"),
                     "--overwrite"], bench.program_env())
                list_of.append((wall, cpu))
                print(f"--null {null}: {wall:.2f} s, {cpu:.2f} s of the processor", flush=True)
        ratios = [[b[k] / a[k] for a, b in zip(*seconds.values())] for k in (0, 1)]
        print(f"with all {args.examples - 1} shifts / without: {statistics.median(ratios[0]):.2f} "
              f"(of the processor: {statistics.median(ratios[1]):.2f}), target 3")
    return statistics.median(ratios[0]) > 3


if __name__ == "__main__":
    sys.exit(main())
