"""A checkpoint as its users open it: xarray, netCDF4 and ncdump. Whichever number of ranks wrote
it, its bytes are the same."""
import filecmp
import os
import shutil
import subprocess
import sys

import netCDF4
import numpy as np
import xarray as xr

program = os.path.join(os.environ["CONTRASIM_BUILD"], "tests", "test_checkpoint")
mpiexec = os.environ["CONTRASIM_MPIEXEC"]

# What checkpoint_case.c makes, value k of field i being number k + i + 2 of its list.
FLOATS = [0x00000000, 0x80000000, 0x7fc00000, 0xffc00001, 0x7f800001, 0x7f800000, 0xff800000,
          0x00000001, 0x7f7fffff, 0x3f800000]
DOUBLES = [0x0, 0x8000000000000000, 0x7ff8000000000000, 0xfff8000000000001, 0x7ff0000000000001,
           0x7ff0000000000000, 0xfff0000000000000, 0x1, 0x7fefffffffffffff, 0x3fd5555555555555,
           0x479e000000000000]
WHOLES = [0, 1, -1, -2**63, 2**63 - 1, 2**53, -9007199254740993, 42]


def values(of, field, n):
    return [of[(k + field + 2) % len(of)] for k in range(n)]


for path, ranks in ("a.nc", 1), ("b.nc", 2), ("c.nc", 3):
    subprocess.run([mpiexec, str(ranks), program, "make", path], check=True)
assert filecmp.cmp("a.nc", "b.nc", shallow=False)
assert filecmp.cmp("a.nc", "c.nc", shallow=False)

ds = xr.open_dataset("a.nc")
assert ds.Conventions == "contrasim-encoder-1"
assert ds.checksum.startswith("xxh3_128:") and len(ds.checksum) == 9 + 32
assert ds.configuration == "[train]\nloss = contrastive\n" and ds.attrs["empty"] == ""
assert len(ds.attrs["long"]) == 200000 and ds.replaced == 'couch\u00e9, "1"'
assert ds.generation == 2 and ds.generation.dtype == np.int64
assert [ds.attrs[f"whole_{i}"] for i in range(8)] == [WHOLES[(i + 2) % 8] for i in range(8)]
assert np.signbit(ds.attrs["minus-zero"]) and ds.third == 1 / 3 and np.isnan(ds.attrs["a.nan"])
assert dict(ds.sizes) == {"neuron": 5, "unit": 3, "order": 2, "one": 1, "word": 8, "nothing": 0,
                          "none.at-all": 0, "epoch": 11}, ds.sizes
assert list(ds.indexes) == ["neuron"] and "neuron" in ds.weight.coords
shapes = {"weight": ("float32", ("neuron", "unit")), "step": ("int64", ("one",)),
          "moment": ("float64", ("order", "neuron", "unit")), "state": ("int64", ("word",)),
          "empty": ("float32", ("nothing",)), "empty_row": ("float64", ("nothing", "unit")),
          "empty_column": ("int64", ("unit", "order", "none.at-all")),
          "loss": ("float64", ("epoch",))}
assert sorted(ds.data_vars) == sorted(shapes)
for name, (dtype, dims) in shapes.items():
    assert ds[name].dims == dims and ds[name].dtype == dtype, ds[name]
    assert set(ds[name].attrs) == {"long_name"} and "_FillValue" not in ds[name].encoding
assert ds.weight.long_name == "weights of the first layer" and ds.step.long_name == "step"
assert ds.moment.long_name == "moments \u00b1" and ds.state.long_name == ""
assert ds.weight.values.view(np.uint32).ravel().tolist() == values(FLOATS, 0, 15)
assert ds.moment.values.view(np.uint64).ravel().tolist() == values(DOUBLES, 1, 30)
assert ds.state.values.tolist() == values(WHOLES, 4, 8)
ds.close()

with netCDF4.Dataset("a.nc") as f:
    assert f.data_model == "NETCDF4" and not f.groups
    assert list(f.variables) == ["weight", "moment", "step", "neuron", "state", "empty",
                                 "empty_row", "empty_column", "loss"]

if shutil.which("ncdump"):
    text = subprocess.run(["ncdump", "-h", "a.nc"], check=True, capture_output=True,
                          text=True).stdout
    for line in ("\tfloat weight(neuron, unit) ;", "\tint64 neuron(neuron) ;",
                 "\tnothing = UNLIMITED ; // (0 currently)",
                 '\t\t:Conventions = "contrasim-encoder-1" ;'):
        assert line in text, line

# No time, no host, no path.
with open("a.nc", "rb") as f:
    found = f.read()
for text in (os.uname().nodename, os.getcwd(), "a.nc", "partial"):
    assert len(text) < 4 or text.encode() not in found, text

sys.exit(0)
