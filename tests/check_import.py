"""import, info and show through the program: files of every format become native files with the same
values, seen by netCDF4 and numpy; what is printed is right."""
import csv
import io
import json
import os
import struct
import subprocess

import netCDF4
import numpy as np

program = os.environ["CONTRASIM_BIN"]
mpiexec = os.environ["CONTRASIM_MPIEXEC"]
rng = np.random.default_rng(5)


def run(*args, ranks=1, code=0):
    launcher = [mpiexec, str(ranks)] if ranks > 1 else []
    p = subprocess.run([*launcher, program, *args], capture_output=True, text=True)
    assert p.returncode == code, (args, p.returncode, p.stdout, p.stderr)
    return p


def layers(path):
    """Names and stored values of the layers of a native file, in their order."""
    with netCDF4.Dataset(path) as f:
        f.set_auto_maskandscale(False)
        found = sorted((v.layer_index, n) for n, v in f.variables.items()
                       if "layer_index" in v.ncattrs())
        return [(n, f[n][:]) for _, n in found]


# npz, half precision: the bits stay.
half = {"layer_2": rng.normal(size=(130, 5)).astype(np.float16),
        "layer_10": rng.normal(size=(130, 7)).astype(np.float16)}
half["layer_2"][3] = np.array([0, -0.0, 6e-8, 65504, -6.1e-5], np.float16)
np.savez("half.npz", **half)
for ranks in (1, 3):
    run("import", "half.npz", "-o", "half%d.nc" % ranks, ranks=ranks)
    got = layers("half%d.nc" % ranks)
    assert [g[0] for g in got] == ["layer_2", "layer_10"], got
    for name, bits in got:
        assert bits.dtype == np.uint16
        assert np.array_equal(bits, half[name].view(np.uint16)), name
with netCDF4.Dataset("half1.nc") as f:
    assert f["layer_2"].getncattr("dtype") == "float16"
    assert f.Conventions == "contrasim-1" and f.model == "half" and "import half.npz" in f.history

# safetensors, bfloat16, names with dots and slashes.
bits = (rng.normal(size=(40, 6)).astype("<f4").view("<u4") >> 16).astype("<u2")
header = json.dumps({"h.0/x": {"dtype": "BF16", "shape": [40, 6], "data_offsets": [0, 480]}}).encode()
with open("b.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(header)) + header + bits.tobytes())
run("import", "b.safetensors", "-o", "b.nc", "--dataset", "toys", "--title", "Toys", ranks=2)
with netCDF4.Dataset("b.nc") as f:
    f.set_auto_maskandscale(False)
    v = f["h.0.x"]
    assert v.getncattr("dtype") == "bfloat16" and v.long_name == "h.0/x"
    assert np.array_equal(v[:], bits) and (f.dataset, f.title) == ("toys", "Toys")

# npy, float32, a range of examples; Fortran order; rows with NaN dropped.
x = np.asfortranarray(rng.normal(size=(100, 4)).astype(np.float32))
x[:, 2] = 1.5
np.save("x.npy", x)
run("import", "x.npy", "-o", "x.nc", "--examples", "10:", ranks=2)
got = layers("x.nc")
assert got[0][1].dtype == np.float32 and np.array_equal(got[0][1], x[10:])
y = x.astype(np.float64)
y[7, 1], y[30, 3] = np.nan, np.inf
np.save("y.npy", y)
p = run("import", "y.npy", "-o", "y.nc", ranks=2, code=1)
assert "y.npy" in p.stderr and "row 7, column 1" in p.stderr, p.stderr
assert not os.path.exists("y.nc")
p = run("import", "y.npy", "-o", "y.nc", "--nan", "drop-rows", ranks=2)
assert "2 of 100 examples" in p.stderr, p.stderr
assert np.array_equal(layers("y.nc")[0][1], np.delete(y, [7, 30], axis=0))

# Refusals.
p = run("import", "x.npy", "-o", "x.nc", code=1)
assert "x.nc" in p.stderr and "overwrite" in p.stderr
run("import", "x.npy", "-o", "x.nc", "--overwrite")
assert layers("x.nc")[0][1].shape == (100, 4)
run("import", "x.npy", code=2)
run("import", code=2)
run("import", "nowhere.npy", "-o", "z.nc", code=1)
run("import", "x.npy", "-o", "no/such/folder/z.nc", code=1)
assert not [n for n in os.listdir(".") if "partial" in n]

# Ids, groups and labels come along, from every format.
ids, group, kind = np.arange(100) * 7, np.arange(100) // 10, (np.arange(100) % 3).astype(np.int16)
np.savez("labels.npz", layer=x, example_id=ids, group=group, label_kind=kind,
         label_text=np.array(["a"] * 100))
parts = {"layer": x.astype("<f4"), "example_id": ids, "group": group, "label_kind": kind}
entries, data = {}, b""
for name, a in parts.items():
    dtype = {"f4": "F32", "i8": "I64", "i2": "I16"}[a.dtype.str[1:]]
    bytes_ = np.ascontiguousarray(a).tobytes()
    entries[name] = {"dtype": dtype, "shape": list(a.shape),
                     "data_offsets": [len(data), len(data) + len(bytes_)]}
    data += bytes_
text = json.dumps(entries).encode()
with open("labels.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + data)
os.makedirs("labels", exist_ok=True)
for name, a in parts.items():
    np.save("labels/%s.npy" % name, a)
for number, source in enumerate(("labels.npz", "labels.safetensors", "labels", "labels0.nc")):
    p = run("import", source, "-o", "labels%d.nc" % number, "--examples", "3:" if number < 3 else "0:",
            ranks=1 + number)
    with netCDF4.Dataset("labels%d.nc" % number) as f:
        for name, want in (("example_id", ids), ("group", group), ("label_kind", kind)):
            assert np.array_equal(f[name][:], want[3:]), (source, name)
        assert [v for v in f.variables if v not in parts] == [], f.variables
    assert ("label_text" in p.stderr) == (number == 0), p.stderr

# Names that a native file cannot have, and how to go on.
np.savez("names.npz", **{"a/b": x, "a.b": x, "c": x})
p = run("import", "names.npz", "-o", "names.nc", code=2)
assert "'a.b' would become variable 'a.b'" in p.stderr and "'a/b'" in p.stderr, p.stderr
assert "rename it in file names.npz" in p.stderr and "--layers" in p.stderr, p.stderr
run("import", "names.npz", "-o", "names.nc", "--layers", "a/b,c")
np.savez("example.npz", example=x)
p = run("import", "example.npz", "-o", "names2.nc", code=2)
assert "reserved in native files; rename it in file example.npz" in p.stderr, p.stderr

# info: the same for any number of ranks, and what numpy says.
one = run("info", "--format", "json", "y.npy", "half1.nc").stdout
three = run("info", "--format", "json", "y.npy", "half1.nc", ranks=3).stdout
assert one == three
first, second = json.loads(one)
assert first["examples"] == 100 and first["format"] == "npy" and "example_id" not in first
site = first["sites"][0]
good = y[np.isfinite(y)]
assert (site["min"], site["max"]) == (good.min(), good.max())
assert abs(site["mean"] - good.mean()) < 1e-14
assert (site["nan"], site["inf"], site["constant_columns"], site["neurons"]) == (1, 1, 1, 4), site
assert site["shape"] == [100, 4], site
assert [s["name"] for s in second["sites"]] == ["layer_2", "layer_10"]
assert [s["type"] for s in second["sites"]] == ["float16", "float16"]
text = run("info", "y.npy").stdout
assert "100 examples, 1 sites" in text and "row 7, column 1" in text, text
run("info", code=2)

# show: a result of the program itself, as table, CSV and JSON.
np.savez("a.npz", a0=x, a1=rng.normal(size=(100, 6)))
np.savez("b.npz", b0=x @ rng.normal(size=(4, 4)), b1=rng.normal(size=(100, 3)))
run("sweep", "a.npz", "b.npz", "--measures", "cka", "-o", "r.nc", ranks=2)


def cka(p, q):
    p, q = p - p.mean(0), q - q.mean(0)
    return np.linalg.norm(p.T @ q) ** 2 / np.linalg.norm(p.T @ p) / np.linalg.norm(q.T @ q)


a, b = np.load("a.npz"), np.load("b.npz")
rows = list(csv.DictReader(io.StringIO(run("show", "r.nc", "--format", "csv").stdout)))
assert len(rows) == 4
for r in rows:
    want = cka(a[r["layer_a"]].astype(float), b[r["layer_b"]].astype(float))
    assert abs(float(r["value"]) - want) < 1e-10, (r, want)
    assert (r["measure"], r["model_a"], r["model_b"], r["status"]) == ("cka", "a", "b", "done")
shown = json.loads(run("show", "r.nc", "--format", "json", "--measure", "cka").stdout)
values = [float(r["value"]) for r in rows]
assert shown["variables"][0]["values"] == [values[:2], values[2:]], shown
table = run("show", "r.nc", "--digits", "2", ranks=2).stdout.splitlines()
assert table[1] == "rows: a, columns: b" and table[2].split() == ["b0", "b1"], table
assert table[3].split() == ["a0", "%.2f" % values[0], "%.2f" % values[1]]
p = run("show", "r.nc", "--measure", "ckaa", code=2)
assert "ckaa" in p.stderr
p = run("show", "x.nc", code=1)
assert "results file" in p.stderr
run("show", code=2)
run("show", "nowhere.nc", code=1)
