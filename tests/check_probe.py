"""probe through the program: text, CSV, JSON and the file agree, at any number of ranks; the features
of an encoder and the study's data are what they are said to be."""
import csv
import io
import json
import os
import subprocess
import sys

import netCDF4
import numpy as np
import xarray

program = os.environ["CONTRASIM_BIN"]
mpiexec = os.environ["CONTRASIM_MPIEXEC"]
studies = os.path.join(os.environ["CONTRASIM_SOURCE"], "tests", "studies")
inputs = os.path.join(os.environ["CONTRASIM_SOURCE"], "inputs")


def run(*args, ranks=1, code=0):
    launcher = [mpiexec, str(ranks)] if ranks > 1 else []
    p = subprocess.run([*launcher, program, *args], capture_output=True, text=True)
    assert p.returncode == code, (args, p.returncode, p.stdout, p.stderr)
    return p


# The data of the study: shares of agreement, noise, determinism.
for name in ("tri.nc", "again.nc"):
    subprocess.run([sys.executable, os.path.join(studies, "trifeature.py"), name, "--examples", "1500",
                    "--values", "4", "--width", "40", "--correlation", "0.25"], check=True)
assert open("tri.nc", "rb").read() == open("again.nc", "rb").read()
with netCDF4.Dataset("tri.nc") as f:
    labels = {n[6:]: np.asarray(v[:]) for n, v in f.variables.items() if n.startswith("label_")}
assert abs((labels["shape"] == labels["colour"]).mean() - (0.25 + 0.75 / 4)) < 0.04
assert abs((labels["shape"] == labels["size"]).mean() - 0.25) < 0.04
assert np.array_equal(labels["texture"], labels["texture_n00"])
assert abs((labels["texture"] == labels["texture_n75"]).mean() - (0.25 + 0.75 / 4)) < 0.04
subprocess.run([sys.executable, os.path.join(studies, "equal_classes.py"), "tri.nc", "equal.nc",
                "--layer", "layer_00_mixed", "--notions", "shape,coarse", "--classes", "2", "--noise",
                "shape"], check=True, stdout=subprocess.DEVNULL)
with netCDF4.Dataset("equal.nc") as f:
    kept = {n: np.bincount(np.asarray(f[n][:]) + 1)[1:] for n in f.variables
            if n.startswith("label_") and not n.endswith("_all")}
assert len({tuple(v) for v in kept.values()}) == 1 and len(kept) == 3, kept

# Two encoders, one with two inits.
train = ["train", "tri.nc", "-c", os.path.join(inputs, "mscon_train.ini"), "--examples", "0:500",
         "--epochs", "3", "-q"]
run(*train, "--notions", "shape,colour", "--init", "2", "-o", "two.enc")
run(*train, "--notions", "shape", "--init", "1", "-o", "one.enc")
probe = ["probe", "tri.nc", "-c", os.path.join(inputs, "mscon_probe.ini"), "--examples", "500:",
         "--encoder", "two.enc", "--encoder", "one.enc", "--notions", "shape,colour",
         "--held-out-notions", "size", "--seeds", "2", "-q"]
text = run(*probe, "-o", "probe.nc").stdout
printed = run(*probe, "--format", "csv").stdout
assert printed == run(*probe, "--format", "csv", ranks=3).stdout
rows = list(csv.DictReader(io.StringIO(printed)))
found = json.loads(run(*probe, "--format", "json", ranks=2).stdout)
assert (found["examples"], found["seeds"], found["k"]) == (1000, 2, 10)
assert len(rows) == 3 * 2 * (1 + 2 + 1) * 2  # notions, probes, inits of the features, seeds
assert len(text.splitlines()) == 1 + 9
with xarray.open_dataset("probe.nc") as data:
    assert data.softmax.dims == data.knn.dims == ("features", "notion", "run")
    assert data.softmax.shape == (3, 3, 4)
    assert list(data.notion_name.values) == ["shape", "colour", "size"]
    assert list(data.feature_name.values) == ["raw", "two.enc", "one.enc"]
    assert data.trained.values.tolist() == [[-1] * 3, [1, 1, 0], [1, 0, 0]]
    for entry, line in zip(found["probes"], text.splitlines()[1:]):
        f = list(data.feature_name.values).index(entry["features"])
        n = list(data.notion_name.values).index(entry["notion"])
        assert entry["trained"] == {-1: None, 0: False, 1: True}[int(data.trained[f, n])]
        for kind in ("softmax", "knn"):
            values = np.array(entry[kind]["accuracy"])
            inside = data[kind].values[f, n]
            assert np.array_equal(inside[:len(values)], values) and np.isnan(inside[len(values):]).all()
            there = [float(r["accuracy"]) for r in rows if r["probe"] == kind
                     and (r["features"], r["notion"]) == (entry["features"], entry["notion"])]
            assert there == entry[kind]["accuracy"]
            assert np.isclose(values.mean(), entry[kind]["mean"])
            assert np.isclose(values.std(ddof=1), entry[kind]["std"])
            assert f"{values.mean():.4f} ± {values.std(ddof=1):.4f}" in line

# The raw features' neighbours, counted anew: the accuracy of 10 votes over the same share of rows is
# not far from one that numpy divides itself.
with netCDF4.Dataset("tri.nc") as f:
    x = np.asarray(f["layer_00_mixed"][500:], float)
x /= np.linalg.norm(x, axis=1)[:, None]
y = labels["shape"][500:]
near = np.argsort(-(x[700:] @ x[:700].T), axis=1, kind="stable")[:, :10]
voted = np.array([np.bincount(y[row]).argmax() for row in near])
mean = [e["knn"]["mean"] for e in found["probes"] if (e["features"], e["notion"]) == ("raw", "shape")]
assert abs((voted == y[700:]).mean() - mean[0]) < 0.07, ((voted == y[700:]).mean(), mean)

# Misuse.
assert "exists" in run(*probe, "-o", "probe.nc", code=1).stderr
run(*probe, "-o", "probe.nc", "--overwrite")
assert "no set is named" in run("probe", code=2).stderr
assert "label_taste" in run("probe", "tri.nc", "--notions", "taste", code=1).stderr
np.savez("narrow.npz", a=np.zeros((30, 3)))
assert "has no input layer for model narrow with 3 neurons" in run(
    "probe", "narrow.npz", "--encoder", "one.enc", code=1).stderr
assert "label_shape" in run("probe", "narrow.npz", "--notions", "shape", code=1, ranks=2).stderr
