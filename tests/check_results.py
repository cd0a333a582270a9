"""A results file as its users open it: xarray, netCDF4 and ncdump. Two writes are equal but for
what may differ between runs; the JSON of the program says the same as the file."""
import json
import os
import shutil
import subprocess
import sys

import netCDF4
import numpy as np
import xarray as xr

program = os.path.join(os.environ["CONTRASIM_BUILD"], "tests", "test_results")
mpiexec = os.environ["CONTRASIM_MPIEXEC"]


def make(path, ranks):
    out = subprocess.run([mpiexec, str(ranks), program, "make", path], check=True,
                         capture_output=True, text=True).stdout
    return json.JSONDecoder().raw_decode(out)[0]


def may_differ(name):
    return name == "history" or name.startswith("run_")


def everything(path):
    """All contents of a file, through netCDF4 without any decoding."""
    with netCDF4.Dataset(path) as f:
        f.set_auto_maskandscale(False)
        found = {"dims": {k: len(d) for k, d in f.dimensions.items()}, "groups": list(f.groups),
                 "order": list(f.variables),
                 "attrs": {k: np.array(f.getncattr(k)).tolist() for k in f.ncattrs()
                           if not may_differ(k)}}
        for name, v in f.variables.items():
            data = v[:]
            raw = data.tolist() if data.dtype == object else data.tobytes()
            found[name] = (v.dimensions, str(v.dtype), raw,
                           {k: repr(v.getncattr(k)) for k in v.ncattrs()})
    return found


printed = make("a.nc", 1)
make("b.nc", 2)
a, b = everything("a.nc"), everything("b.nc")
assert a.keys() == b.keys(), (a.keys(), b.keys())
for key in a:
    assert a[key] == b[key], (key, a[key], b[key])
assert a["groups"] == []
ABOUT = ("model", "layer", "neurons", "rank", "median_distance")
assert a["order"][:12] == [f"{word}_{side}" for side in "ab" for word in ("site", *ABOUT)], a["order"]

ds = xr.open_dataset("a.nc")
assert ds.Conventions == "CF-1.10" and ds.completed == 1
assert ds.source.startswith("contrasim "), ds.source
assert ds.checksum.startswith("xxh3_128:") and len(ds.checksum) == 9 + 32
assert ds.input_bytes.tolist() == [12, 5000000000]
assert ds.configuration == "[sweep]\nmeasures = cka\n"
assert "contrasim sweep a b" in ds.history
assert ds.run_start == "1970-01-01T00:00:00Z" and ds.run_ranks == 1
assert ds.cka.dims == ("site_a", "site_b") and ds.nngs.dims == ("nngs_k", "site_a", "site_b")
assert ds.cka.dtype == np.float64 and ds.cka_status.dtype == np.int8
for label in ABOUT:
    for label in (label + "_a", label + "_b"):
        assert label in ds.coords and label in ds.cka.coords, label
assert ds.rank_a.values.tolist() == [60, -1] and ds.rank_b.values.tolist() == [5, 0, 1]
assert ds.rank_a.dtype == np.int32
np.testing.assert_array_equal(ds.median_distance_a, [1 / 3, np.nan])
np.testing.assert_array_equal(ds.median_distance_b, [np.nan, 0, 1e300])
assert ds.median_distance_a.units == "1" and "row" in ds.median_distance_a.long_name
assert "median_entry_a" not in ds.variables
assert ds.indexes["site_a"].tolist() == [0, 1] and ds.indexes["nngs_k"].tolist() == [5, 10]
assert ds.layer_a.values.tolist() == ["layer_0", 'couché,"1"']
assert ds.model_b.values.tolist() == ["net_b", "net_b", "net_c"]
assert ds.neurons_b.values.tolist() == [5, 6, 1]
want = np.array([[0.25, 1 / 3, np.nan], [np.nan, np.nan, 1e-300]])
assert np.array_equal(ds.cka.values, want, equal_nan=True), ds.cka.values
assert ds.cka_status.values.tolist() == [[2, 2, 3], [4, 0, 2]]
assert ds.cka_note.values.tolist() == [[0, 1, 2], [0, 0, 0]]
assert ds.cka_status.flag_values.tolist() == [0, 1, 2, 3, 4]
assert ds.cka_status.flag_meanings.split() == ["not_requested", "pending", "done", "undefined",
                                               "failed"]
assert ds.cka_note.flag_meanings.split() == ["none", "fewer_than_10_d_examples", "not_unique"]
assert np.isnan(ds.cka.encoding["_FillValue"])
assert (ds.cka.units, ds.cka.orientation, ds.cka.long_name) == ("1", "similarity", "linear CKA")
assert ds.cka.valid_range.tolist() == [0, 1] and ds.bures.valid_min == 0
assert ds.nngs.citation == "Someone 2024" and ds.cka.threshold == 5
assert ds.cka.ancillary_variables.split() == ["cka_status", "cka_note", "cka_pvalue"]
assert ds.cka_pvalue.companion_of == "cka"
one = ds.swap_dims(site_a="layer_a").nngs.sel(layer_a="layer_0", nngs_k=10).values
assert one.tolist() == [6 / 16, 7 / 16, 8 / 16], one
ds.close()

# The JSON of the program against the file.
assert [v["name"] for v in printed["variables"]] == ["nngs", "cka", "bures", "cka_pvalue"]
cka = printed["variables"][1]
assert cka["values"] == [[0.25, 1 / 3, None], [None, None, 1e-300]], cka
assert cka["status"][0] == ["done", "done", "undefined"] and cka["status"][1][0] == "failed"
assert cka["notes"][0] == ["none", "fewer_than_10_d_examples", "not_unique"]
assert cka["attributes"]["orientation"] == "similarity"
assert printed["variables"][0]["list"] == {"name": "nngs_k", "values": [5, 10]}
assert printed["rows"][1] == {"model": "net_a", "layer": 'couché,"1"', "neurons": 7}
assert printed["rows"][0]["rank"] == 60 and printed["rows"][0]["median_distance"] == 1 / 3
assert len(printed["columns"]) == 3 and printed["attributes"]["seed"] == 7

# Other tools may add to the file.
with netCDF4.Dataset("b.nc", "a") as f:
    f.comment = "seen"
with netCDF4.Dataset("b.nc") as f:
    assert f.comment == "seen"

if shutil.which("ncdump"):
    text = subprocess.run(["ncdump", "a.nc"], check=True, capture_output=True, text=True).stdout
    for line in ("\tsite_b = 3 ;", "\tdouble nngs(nngs_k, site_a, site_b) ;",
                 "\tbyte cka_status(site_a, site_b) ;", "\tint site_a(site_a) ;",
                 "\tstring layer_b(site_b) ;", "\t\tcka:_FillValue = NaN ;",
                 ' model_b = "net_b", "net_b", "net_c" ;'):
        assert line in text, line

sys.exit(0)
