#!/usr/bin/env python3
"""The pass over all pairs of examples on many simulated ranks: does it end, does it send what the
planner says, how long would it take?

simulate.c is compiled with SimGrid's SMPI (Debian: libsimgrid-dev) together with the library's own
pass, ring and sums over ranks. The time of the tiles, latency and bandwidth are those that `contrasim
plan` goes by: typical ones, or measured ones (--calibration). Prints the rows of a table; exit code 1
where sums are wrong or bytes are not as foretold, 77 where SimGrid is missing."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

import bench

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILES = ["tests/bench/simulate.c",
         *(f"src/ingredients/{name}.c" for name in ("kernels", "ring", "flight")),
         *(f"src/core/{name}.c" for name in ("context", "exact", "log", "memory", "profile", "shard",
                                             "status"))]
SHARED = 1500000  # bytes from which on blocks of all ranks are one: rows and tiles, never sums
SETTINGS = ["smpi/simulate-computation:no", "smpi/privatization:dlopen", "smpi/shared-malloc:global",
            f"smpi/auto-shared-malloc-thresh:{SHARED}", "smpi/shared-malloc-blocksize:33554432",
            "smpi/coll-selector:ompi", "smpi/test:1e-7", "smpi/grow-injected-times:no",
            "smpi/bw-factor:0:1", "smpi/lat-factor:0:1", "contexts/stack-size:512"]
PLATFORM = """<?xml version='1.0'?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
  <cluster id="nodes" prefix="node" suffix="" radical="0-{last}" speed="1Gf" core="{per_node}"
           bw="{net_bandwidth}Bps" lat="{half_latency}s" loopback_bw="{bandwidth}Bps"
           loopback_lat="{latency}s"/>
</platform>
"""


def build(folder):
    """The program; SMPI counts memory from malloc() and free() only."""
    words = ["smpicc", "-std=c11", "-O2", "-w", "-D_DEFAULT_SOURCE", '-DCSIM_VERSION="simulated"',
             "-Daligned_alloc(align,size)=malloc(size)",
             *(f"-I{os.path.join(SOURCE, part)}" for part in ("include", "src")),
             *(os.path.join(SOURCE, name) for name in FILES), "-o", os.path.join(folder, "simulate")]
    subprocess.run(words, check=True)


def plan(args, ranks):
    """What the planner says of one pass without medians."""
    nodes = -(-ranks // args.per_node)
    words = ["plan", "sweep", "--sites", str(args.sites), "--width", str(args.width), "--examples",
             str(args.examples), "--measures", "cka_rbf", "--cka_rbf.sigma", "1", "--ranks", str(ranks),
             "--nodes", str(nodes), "--format", "json"]
    if args.calibration:
        words += ["--calibration", args.calibration]
    return nodes, json.loads(bench.timed([bench.program(), *words], bench.program_env())[0])


def simulate(args, ranks, folder, nodes, messages, pair_seconds):
    """One run; its line of JSON."""
    platform, hosts = (os.path.join(folder, f"{ranks}{name}") for name in (".xml", ".hosts"))
    with open(platform, "w", encoding="utf-8") as file:
        file.write(PLATFORM.format(last=nodes - 1, per_node=args.per_node,
                                   half_latency=messages["net_latency"] / 2, **messages))
    with open(hosts, "w", encoding="utf-8") as file:
        file.writelines(f"node{rank // args.per_node}\n" for rank in range(ranks))
    words = ["smpirun", "-np", str(ranks), "-platform", platform, "-hostfile", hosts,
             *(f"--cfg={setting}" for setting in SETTINGS), "--log=root.thresh:warning",
             os.path.join(folder, "simulate"), str(args.examples), str(args.sites), str(args.width),
             repr(pair_seconds)]
    done = subprocess.run(words, text=True, capture_output=True)
    if not done.stdout.startswith("{"):
        sys.exit(f"{ranks} ranks did not come to the end:\n{done.stderr}")
    return json.JSONDecoder().raw_decode(done.stdout)[0]


def volume(args, ranks):
    """Bytes from rank to rank: rows and their squares, and sums of rows that come home; and how far
    chunks that are dealt whole between two ranks may be from that."""
    met = (ranks - 1) / 2 + (0.25 if ranks % 2 == 0 else 0)
    row = 8 * args.sites * (args.width + 1)
    even = ranks % 2 == 1 or args.examples % (2048 * ranks) == 0
    return (args.examples * (met * row + ranks // 2 * 8 * args.sites),
            0 if even else args.examples * row / 4)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ranks", type=int, nargs="*", default=[64, 256, 1024])
    parser.add_argument("--examples", type=int, default=1 << 20, help="whole chunks of 1024")
    parser.add_argument("--sites", type=int, default=2)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--per-node", type=int, default=16, help="ranks")
    parser.add_argument("--calibration", help="as contrasim perf --calibrate writes it")
    args = parser.parse_args()
    if shutil.which("smpicc") is None or shutil.which("smpirun") is None:
        print("skipped: no SimGrid (Debian: libsimgrid-dev)")
        sys.exit(77)
    bench.need_program()
    alone = plan(args, 1)[1]["time"]["terms"]["kernels"]
    good = True
    print("| examples | ranks | nodes | seconds, simulated | efficiency, simulated | efficiency, planned "
          "| TB sent | messages |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="contrasim-simulate-") as folder:
        build(folder)
        for ranks in args.ranks:
            nodes, told = plan(args, ranks)
            found = simulate(args, ranks, folder, nodes, told["time"]["messages"],
                             alone * 2 / args.examples ** 2)
            terms = told["time"]["terms"]
            expected, slack = volume(args, ranks)
            wrong = [f"{ranks} ranks: {text}" for text, bad in (
                ("sums are wrong", found["wrong_sums"] + found["wrong_blocks"] > 0),
                (f"{found['bytes']} bytes, expected {expected:.0f}",
                 abs(found["bytes"] - expected) > slack),
                (f"{told['work']['bytes_moved']:.0f} bytes planned",
                 abs(told["work"]["bytes_moved"] / expected - 1) > 0.01)) if bad]
            good = good and not wrong
            bench.say("\n".join(wrong))
            print(f"| {args.examples} | {ranks} | {nodes} | {found['seconds']:.2f} | "
                  f"{alone / ranks / found['seconds']:.1%} | "
                  f"{alone / ranks / (terms['kernels'] + terms['exchange']):.1%} | "
                  f"{found['bytes'] / 1e12:.2f} | {found['messages']} |", flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
