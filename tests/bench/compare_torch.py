#!/usr/bin/env python3
"""contrasim against PyTorch doing the same work once, side by side in one run.

PyTorch centres the layers in double, makes each layer's Gram matrix once, and takes all inner
products of the Gram matrices in one product. --python names a Python that has torch; the script
itself needs numpy only. Run it on a quiet machine.
"""
import os
import sys

import bench


def cka(layers):
    import torch
    n = layers[0].shape[0]
    grams = torch.empty((len(layers), n, n), dtype=torch.float64)
    for x, gram in zip(layers, grams):
        t = torch.from_numpy(x).to(torch.float64)
        t -= t.mean(dim=0)
        torch.mm(t, t.T, out=gram)
    flat = grams.reshape(len(layers), -1)
    products = flat @ flat.T
    root = products.diagonal().sqrt()
    return {"cka": (products / torch.outer(root, root)).numpy()}


def main():
    args = bench.options(__doc__.splitlines()[0]).parse_args()
    if args.worker:
        import torch
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        mkl = "MKL" if torch.backends.mkl.is_available() else "no MKL"
        bench.work({"cka": cka}, args.worker[1], args.worker[0], f"PyTorch {torch.__version__}, {mkl}")
        return
    bench.need_program()
    sys.exit(0 if bench.compare("cka, PyTorch", __file__, "cka", "cka", "2.0", args) else 1)


if __name__ == "__main__":
    main()
