#!/usr/bin/env python3
"""A step of training against PyTorch: `contrasim perf train` on some ranks and a PyTorch loop with as
many threads, in turn, on problems of the same size; medians of the ratios.

The PyTorch side is written as one would for speed: the encoder as one module, both sides of a batch
in one forward pass, the contrastive loss of all rows by one product, a mask and log-sum-exp, Adam in
its fused or for-each form, whichever is faster. Needs a Python with torch (--python)."""
import argparse
import json
import statistics
import sys
import time

import bench


def steps(torch, batch, width, count, fused):
    """Seconds of each step: encoder width-512-256-128, 2 x batch rows."""
    torch.manual_seed(0)
    layers = []
    for inputs, outputs in ((width, 512), (512, 256), (256, 128)):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, **fused)
    data = torch.randn(2, 4 * batch, width)
    n = 2 * batch
    diagonal = torch.eye(n, dtype=torch.bool)
    positive = torch.arange(n).roll(batch)
    took = []
    for i in range(count):
        start = time.perf_counter()
        at = i % 4 * batch
        rows = torch.cat([data[0, at:at + batch], data[1, at:at + batch]])
        z = torch.nn.functional.normalize(model(rows), dim=1)
        s = (z @ z.T / 0.07).masked_fill(diagonal, -torch.inf)
        loss = torch.nn.functional.cross_entropy(s, positive)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        took.append(time.perf_counter() - start)
    return took


def worker(batch, width, count):
    import os

    import torch
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    best = {}
    for fused in ({"foreach": True}, {"fused": True}):
        try:
            best[str(fused)] = statistics.median(steps(torch, batch, width, count, fused)[4:])
        except (RuntimeError, TypeError):  # older versions have no fused Adam for processors
            continue
    how = min(best, key=best.get)
    blas = "MKL" if torch.backends.mkl.is_available() else "no MKL"
    json.dump({"step_s": best[how], "about": f"PyTorch {torch.__version__}, {blas}, Adam {how}"},
              sys.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--ranks", type=int, default=2, help="also the threads of PyTorch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=32, help="of each round")
    parser.add_argument("--markdown", action="store_true", help="print rows of a table only")
    parser.add_argument("--target", default="1.2")
    parser.add_argument("--python", default=sys.executable, metavar="PATH")
    args = parser.parse_args()
    if args.worker:
        worker(args.batch, args.width, args.steps)
        return
    bench.need_program()
    env, blas = bench.fastest_program_env(args.ranks)
    theirs = bench.choices([args.python], args.ranks)[-1]  # without the variables for OpenBLAS
    ratios, ours_s, theirs_s, share, about = [], [], [], [], ""
    for i in range(args.rounds):
        text, _, _ = bench.timed([theirs["python"], "-B", __file__, "--worker", "--batch",
                                  str(args.batch), "--width", str(args.width), "--steps",
                                  str(args.steps)], theirs["env"])
        baseline = json.loads(text)
        text, _, _ = bench.timed([*bench.launcher(args.ranks), bench.program(), "perf", "train",
                                  "-q", "--format", "json", "--repeat", "1", "--batch",
                                  str(args.batch), "--width", str(args.width), "--epochs",
                                  str(args.steps // 4)], env)
        ours = json.loads(text)
        about = baseline["about"]
        ours_s.append(ours["step_s"])
        theirs_s.append(baseline["step_s"])
        ratios.append(baseline["step_s"] / ours["step_s"])
        share.append(ours["of_peak"])
        bench.say(f"round {i + 1}: baseline {1e3 * theirs_s[-1]:.1f} ms, program "
                  f"{1e3 * ours_s[-1]:.1f} ms a step, {100 * share[-1]:.1f} % of the peak")
    middle = [statistics.median(x) for x in (theirs_s, ours_s, ratios, share)]
    title = f"training, 2 x {args.batch} rows of {args.width}, {args.ranks} ranks"
    if args.markdown:
        print(f"| {title} | {blas} | {about} | {1e3 * middle[0]:.1f} ms | {1e3 * middle[1]:.1f} ms |"
              f" **{middle[2]:.2f}** | {args.target} | | | |", flush=True)
    else:
        print(f"{title}\n  program: {blas}; baseline: {about}\n  a step: {1e3 * middle[0]:.1f} ms / "
              f"{1e3 * middle[1]:.1f} ms = {middle[2]:.2f} (target {args.target}); "
              f"{100 * middle[3]:.1f} % of the GEMM peak", flush=True)


if __name__ == "__main__":
    main()
