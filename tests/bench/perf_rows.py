#!/usr/bin/env python3
"""What `contrasim perf` says of itself, as rows of a table: shares of the GEMM peak, double against
single precision, memory against the plan, efficiency from one rank to several; and the error of
single precision under an offset of 1000 standard deviations. Run it on a quiet machine."""
import argparse
import json
import sys
import tempfile

import bench
from compare_numpy import FIVE, cka


def perf(ranks, *words):
    text, _, _ = bench.timed([*bench.launcher(ranks), bench.program(), "perf", "-q", "--format",
                              "json", *words], bench.program_env())
    return json.loads(text)


def row(what, found, target, markdown):
    print(f"| {what} | {found} | {target} |" if markdown else f"{what}: {found} (target {target})",
          flush=True)


def shares(args):
    """Rates of the routes, and single precision."""
    shape = ["--examples", str(args.examples), "--width", str(args.width), "--layers",
             str(args.layers), "--repeat", str(args.rounds)]
    size = f"{args.layers} layers of {args.examples} x {args.width}, {args.ranks} ranks"
    out = perf(args.ranks, *shape, "--compare", "single")
    for series in out["series"]:
        row(f"cka, Gram route, {series['precision']}, {size}: share of the GEMM peak "
            f"({series['peak_flops_per_s'] / 1e9:.1f} Gflop/s)",
            f"{100 * series['pass']['of_peak']:.1f} %", "85 %", args.markdown)
    row("cka: double / single precision, the pass",
        f"{out['double_over_single']['pass']:.2f}", "1.7", args.markdown)
    row("cka: counted memory / (shard in double + tiles)",
        f"{out['series'][0]['memory']['counted_of_planned']:.3f}", "1.3", args.markdown)
    out = perf(args.ranks, *shape, "--measures", "hsic,procrustes")["series"][0]
    row(f"hsic,procrustes, cross route, {size}: share of the GEMM peak",
        f"{100 * out['pass']['of_peak']:.1f} %", "85 %", args.markdown)
    row("the same: counted memory / plan", f"{out['memory']['counted_of_planned']:.3f}", "1.3",
        args.markdown)
    out = perf(args.ranks, *shape, "--measures", FIVE)["series"][0]
    row(f"five measures, basis route, {size}: share of the GEMM peak of the cross products",
        f"{100 * out['pass']['of_peak']:.1f} %", "85 %", args.markdown)
    row("the same: counted memory / plan", f"{out['memory']['counted_of_planned']:.3f}", "1.3",
        args.markdown)


def single_error(args):
    """Largest error of --precision single, against numpy in double, with a large offset."""
    worst = 0.0
    for offset in (0.5, 1000.0):
        with tempfile.TemporaryDirectory(prefix="contrasim-bench-") as folder:
            bench.write_layers(folder, 4000, 96, 4, offset=offset)
            right = cka(bench.load_layers(folder))["cka"]
            left = bench.run_sweep(folder, "cka", args.ranks, "--precision", "single")
        worst = max(worst, abs(left["values"]["cka"] - right).max())
    row("cka: error of single precision, also with an offset of 1000 standard deviations",
        f"{worst:.1e}", "1e-5", args.markdown)


def scaling(args):
    """Efficiency from one rank to several, of the same problem and of one that grows."""
    out = perf(args.ranks, "--scaling", "--repeat", str(args.rounds), *args.perf)
    for series in out["series"]:
        last = series["rows"][-1]
        whole, product, machine = (100 * last[f"{name}efficiency"]
                                   for name in ("", "pass_", "gemm_"))
        row(f"1 → {args.ranks} ranks, {series['scaling']} scaling, {' '.join(args.perf)}: "
            "efficiency of the pass",
            f"{product:.1f} % (whole sweep {whole:.1f} %, GEMM alone {machine:.1f} %)",
            "90 %" if series["scaling"] == "strong" else "none", args.markdown)


def tiles(args):
    """The passes over all pairs of examples: kernels with their medians, and neighbours."""
    def shape(examples, width, layers, measures, *more):
        return ["--examples", str(int(examples * args.share)), "--width", str(width), "--layers",
                str(layers), "--measures", measures, "--repeat", str(args.rounds), *more]

    def name(words):
        return f"{words[7]}, {words[5]} layers of {words[1]} x {words[3]}, {args.ranks} ranks"

    words = shape(20000, 768, 4, "cka_rbf", "--scaling")
    out = perf(args.ranks, *words)
    for series in out["series"]:
        if series["scaling"] == "strong":
            row(f"1 → {args.ranks} ranks, {name(words)}: efficiency of the passes",
                f"{100 * series['rows'][-1]['pass_efficiency']:.1f} %", "90 %", args.markdown)
    words = shape(4000, 768, 24, "cka_rbf")
    out = perf(args.ranks, *words)["series"][0]
    phases = {p["name"]: p for p in out["phases"]}
    row(f"{name(words)}: share of the GEMM peak of kernels and medians (3 passes of products, nothing "
        "else counted)", f"{100 * out['pass']['of_peak']:.1f} %", "70 %", args.markdown)
    row("the same: kernels alone", f"{100 * phases['kernels']['of_peak']:.1f} %", "none", args.markdown)
    words = shape(50000, 256, 2, "mutual_knn")
    out = perf(args.ranks, *words)["series"][0]
    row(f"{name(words)}: seconds, share of the GEMM peak",
        f"{out['pass']['seconds']:.1f} s, {100 * out['pass']['of_peak']:.1f} %", "none", args.markdown)
    row("the same: counted memory / plan", f"{out['memory']['counted_of_planned']:.3f}", "1.3",
        args.markdown)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["shares", "single", "scaling", "tiles"])
    parser.add_argument("--examples", type=int, default=4000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", type=float, default=1, help="of the examples of `tiles`, for a try")
    parser.add_argument("--markdown", action="store_true")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:cut])
    args.perf = words[cut + 1:]  # what stands behind -- goes to contrasim perf
    bench.need_program()
    {"shares": shares, "single": single_error, "scaling": scaling, "tiles": tiles}[args.what](args)


if __name__ == "__main__":
    main()
