"""Files for test_io as NumPy writes them, and what must be read from them.

io_files.py FOLDER [DATA] writes the files and FOLDER/manifest, lines of words separated by tabs:
  case  SPEC  OPTIONS                 a set that opens; its sites follow in their order
  site  NAME  N  D  FILE              FILE: N x D little-endian doubles
  error SPEC  OPTIONS  STATUS  TEXT   a set that is refused, with TEXT in the message
DATA is a folder of real files; what is not there is left out.
"""
import io
import json
import os
import struct
import sys
import warnings
import zipfile

import numpy as np

FOLDER, DATA = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
warnings.simplefilter("ignore", UserWarning)  # two members of one name are meant
rng = np.random.default_rng(7)
lines, arrays = [], 0


def path(name):
    full = os.path.join(FOLDER, name)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    return full


def case(spec, sites, options="-"):
    global arrays
    lines.append(("case", spec, options))
    for name, a in sites.items():
        file = path(f"expected/{arrays}")
        arrays += 1
        with np.errstate(invalid="ignore"):
            np.ascontiguousarray(a, dtype="<f8").tofile(file)
        lines.append(("site", name, *a.shape, file))


def error(spec, status, text, options="-"):
    lines.append(("error", spec, options, status, text))


def write(name, data):
    with open(path(name), "wb") as f:
        f.write(data)
    return path(name)


def npy(a, version=None):
    f = io.BytesIO()
    np.lib.format.write_array(f, a, version=version)
    return f.getvalue()


def header(text, data=b"\0" * 96, version=1, length=None):
    length = len(text) if length is None else length
    size = struct.pack("<H" if version == 1 else "<I", length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode() + data


def dictionary(descr, shape):
    return "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n" % (descr, shape)


def safetensors(entries, data, length=None):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def bfloat16(bits):
    return (bits.astype("<u4") << 16).view("<f4")


def npy_cases():
    a = rng.normal(size=(301, 7))
    for descr in ("<f8", "<f4", "<f2", ">f8", ">f4", ">f2"):
        for order in "CF":
            for version in ((1, 0), (2, 0), (3, 0)):
                b = np.asarray(a.astype(descr), order=order)
                name = f"types/{descr[1:]}{'bl'[descr[0] == '<']}{order}{version[0]}"
                case(write(name + ".npy", npy(b, version)), {os.path.basename(name): b})
    bits = np.arange(65536, dtype="<u2").reshape(256, 256)
    case(write("half.npy", npy(bits.view("<f2"))), {"half": bits.view("<f2")})
    case(write("brain.npy", npy(bits.view("V2"))), {"brain": bfloat16(bits)})
    text = "{\"shape\":(3L,4L),'fortran_order':False,\"descr\":'bfloat16'}"
    case(write("by_hand.npy", header(text, bits[5, :12].tobytes())),
         {"by_hand": bfloat16(bits[5, :12]).reshape(3, 4)})
    case(write("lr=0.1.npy", npy(a)), {"lr=0.1": a})
    case("other=" + write("x.y.npy", npy(a)), {"x.y": a})
    tall = np.asfortranarray(rng.normal(size=(9001, 40)).astype("f4"))
    case(write("tall.npy", npy(tall)), {"tall": tall[17:8999]}, "examples=17:-2")


def pool_cases():
    for order in "CF":
        a = np.asarray(rng.normal(size=(50, 6, 5, 4)).astype("f4"), order=order)
        file, d = write(f"pool{order}.npy", npy(a)), a.astype("f8")
        name = f"pool{order}"
        case(file, {name: d.max((2, 3))}, "pool=max")
        case(file, {name: d.max((1, 3))}, "pool=max neuron=2")
        case(file, {name: d.max((1, 2))}, "pool=max neuron=3")
        case(file, {name: d[:, :, 0, 0]}, "pool=first")
        case(file, {name: d[:, -1, :, -1]}, "pool=last neuron=2")
        case(file, {name: d.reshape(50, -1)}, "pool=flatten")
        exact = np.asarray(np.round(a * 64) / 64, order=order)  # sums without rounding
        case(write(f"exact{order}.npy", npy(exact)),
             {f"exact{order}": exact.astype("f8").sum((2, 3)) / 20}, "pool=mean")
        three = np.asarray(rng.normal(size=(5, 40, 7)), order=order)
        file = write(f"three{order}.npy", npy(three))
        case(file, {f"layer_{i:02d}": three[:, i] for i in range(40)}, "axis=nld")
        case(file, {f"layer_{i:02d}": three[i] for i in range(5)}, "axis=lnd")
        case(file, {f"three{order}": three[:, -1]}, "pool=last")
    wide = np.round(rng.normal(size=(3, 300, 2000)) * 8).astype("f4")  # rows beyond one block
    file, d = write("wide.npy", npy(wide)), wide.astype("f8")
    case(file, {"wide": d.sum(1) / 300}, "pool=mean")
    case(file, {"wide": d.sum(2)[1:] / 2000}, "pool=mean neuron=1 examples=1:")
    case(file, {"wide": d.max(1)}, "pool=max")
    broken = wide[:2, :3, :4].copy()
    broken[0, 1, 2] = np.nan
    with np.errstate(invalid="ignore"):
        case(write("nan.npy", npy(broken)), {"nan": broken.max(1)}, "pool=max")


def archive_cases():
    a = rng.normal(size=(3000, 9))
    members = {"z": a, "m10": np.asfortranarray(a.astype("f4")), "m/2": a.astype(">f2"),
               "labels": np.arange(3000), "example_id": np.arange(3000)}
    sites = {k: members[k] for k in ("z", "m10", "m/2")}
    for name, save in (("stored", np.savez), ("deflated", np.savez_compressed)):
        save(path(name + ".npz"), **members)
        case(path(name + ".npz"), sites)
        case(path(name + ".npz"), {"m/2": a.astype(">f2")[7:-5], "z": a[7:-5]},
             "examples=7:-5 layers=-1,z")


def safetensors_cases():
    f8, f4, f2 = rng.normal(size=(4, 2)), rng.normal(size=(4, 3)).astype("<f4"), \
        rng.normal(size=(4, 5)).astype("<f2")
    bits = rng.integers(0, 0x7F00, size=(4, 2)).astype("<u2")
    ids = np.arange(4, dtype="<i8")
    data = b"".join(x.tobytes() for x in (f8, f4, f2, bits, ids))
    at = np.cumsum([0, 64, 48, 40, 16, 32]).tolist()
    entries = {"__metadata__": {"format": "pt"}, "layer_10": tensor("F64", [4, 2], *at[0:2]),
               "layer_9": tensor("F32", [4, 3], *at[1:3]), "b": tensor("F16", [4, 5], *at[2:4]),
               "a": tensor("BF16", [4, 2], *at[3:5]), "example_id": tensor("I64", [4], *at[4:6])}
    file = write("plain.safetensors", safetensors(json.dumps(entries).encode() + b"   ", data))
    case(file, {"a": bfloat16(bits), "b": f2, "layer_9": f4, "layer_10": f8})
    case(file, {"layer_10": f8, "layer_9": f4}, "layers=layer_1*,layer_9,layer_10")
    case("s=" + file, {"b": f2, "layer_9": f4}, "layers=0 layers=s:1:3 layers=t:nothing")


def folder_cases():
    sites = {f"layer_{i}": rng.normal(size=(20, 3)) for i in range(12)}
    for name, a in sites.items():
        write(f"folder/{name}.npy", npy(a))
    write("folder/labels.npy", npy(np.arange(20)))
    write("folder/README", b"text")
    case(path("folder"), sites)
    case(path("folder/"), sites)
    case(path("folder/layer_*.npy"), sites)
    case(path("folder/layer_[0-4].npy"), {f"layer_{i}": sites[f"layer_{i}"] for i in range(5)})
    error(path("folder"), "E_ARG", "did you mean layer_1", "layers=layer-1")
    error(path("folder"), "E_ARG", "layers 0 to 11", "layers=12")
    error(path("folder"), "E_ARG", "beyond the 20", "examples=0:21")
    error(path("folder"), "E_ARG", "picks nothing", "examples=4:4")
    error(path("folder"), "E_ARG", "half-open range", "examples=4")
    sites = {}
    for name in ("layer_2", "layer_10"):
        parts = [rng.normal(size=(n, 3)).astype("f4") for n in (4, 1, 0, 9, 1, 1, 1, 1, 1, 1, 1)]
        for i, part in enumerate(parts):
            write(f"parts/{name}/part_{i}.npy", npy(part))
        sites[name] = np.concatenate(parts)
    case(path("parts"), sites, "concat=1")
    case(path("parts/layer_*"), sites, "concat=1")
    case(path("parts"), {k: a[3:7] for k, a in sites.items()}, "concat=1 examples=3:7")
    error(path("parts"), "E_IO", "--concat rows")
    a = rng.normal(size=(9, 2))
    for i in range(3):
        np.savez(path(f"shards/{i}.npz"), z=a[3 * i:3 * i + 3], a=2 * a[3 * i:3 * i + 3])
    case(path("shards"), {"z": a, "a": 2 * a}, "concat=1")
    error(path("shards"), "E_DATA", "two layers are called a")
    for i in range(2):
        data = safetensors({"x": tensor("F64", [9, 2], 0, 144)}, (a + i).tobytes())
        write(f"alike/layer_{i}.safetensors", data)
    case(path("alike"), {"layer_0": a, "layer_1": a + 1})
    for i in range(150):
        write(f"many/l{i}.npy", npy(a + i))
    case(path("many"), {f"l{i}": a + i for i in range(150)})
    write("widths/s/0.npy", npy(a))
    write("widths/s/1.npy", npy(a[:, :1]))
    error(path("widths"), "E_SHAPE", "9x1", "concat=1")
    write("unequal/a.npy", npy(a))
    write("unequal/b.npy", npy(a[1:]))
    error(path("unequal"), "E_SHAPE", "site b has 8")
    case(path("unequal"), {"b": a[1:]}, "layers=b")


def ids_cases():
    """Ids in a file of their own, and ids that cannot be used."""
    a, ids = rng.normal(size=(20, 3)), np.arange(20)
    write("ids/layer.npy", npy(a))
    write("ids/example_id.npy", npy(ids))
    write("ids/label_class.npy", npy(ids[:7]))  # not one for each example: left out
    case(path("ids"), {"layer": a})
    for i in range(2):
        write(f"ids_parts/layer/{i}.npy", npy(a[10 * i:10 * i + 10]))
        write(f"ids_parts/example_id/{i}.npy", npy(ids[10 * i:10 * i + 10]))
    case(path("ids_parts"), {"layer": a}, "concat=1")
    for name, bad, found in (("text", ids.astype("U3"), "not an array of whole numbers"),
                             ("bytes", ids.astype("S3"), "not an array of whole numbers"),
                             ("object", ids.astype(object), "not an array of whole numbers"),
                             ("real", ids.astype("f8"), "float64 with 1 dimensions"),
                             ("table", ids.reshape(20, 1), "not an array of whole numbers"),
                             ("tall", a, "float64 with 2 dimensions")):
        write(f"ids_{name}/layer.npy", npy(a))
        write(f"ids_{name}/example_id.npy", npy(bad))
        error(path(f"ids_{name}"), "E_FORMAT", f"example_id.npy: example_id is " + (
            found if "not" in found else "an array of " + found))
        np.savez(path(f"ids_{name}.npz"), layer=a, example_id=bad)
        error(path(f"ids_{name}.npz"), "E_FORMAT", f"ids_{name}.npz: example_id is ")
    write("ids_short/layer.npy", npy(a))
    write("ids_short/example_id.npy", npy(ids[1:]))
    error(path("ids_short"), "E_SHAPE", "has 19 ids, but the set has 20 examples")
    for dtype, shape in (("F64", [4]), ("I32", [4, 2])):
        data = safetensors({"layer": tensor("F32", [4, 1], 0, 16),
                            "example_id": tensor(dtype, shape, 16, 48)}, b"\0" * 48)
        error(write(f"ids_{dtype}.safetensors", data), "E_FORMAT",
              f"example_id is a tensor of {dtype} with {len(shape)} dimensions")
    error(path("ids/example_id.npy"), "E_DATA", "holds nothing to compare: only ids or labels")


def npy_errors():
    bad = {
        "overflow": (dictionary("<f8", "(4611686018427387904, 4)"), "beyond 64 bits"),
        "digits": (dictionary("<f8", "(99999999999999999999, 4)"), "beyond 64 bits"),
        "negative": (dictionary("<f8", "(-2, 4)"), "expected an extent"),
        "short": (dictionary("<f4", "(4000, 768)"), "4000x768 float32 = 12288000 bytes"),
        "nine": (dictionary("<f8", "(1,1,1,1,1,1,1,1,1)"), "more than 8 dimensions"),
        "number": (dictionary("<f8", "(12)"), "expected a tuple"),
        "code": ("{'descr': exit(), 'shape': (1, 1), 'fortran_order': False}", "is 'e'"),
        "twice": ("{'shape': (3,4), 'shape': (3,4)}", "repeated"),
        "keys": ("{'shape': (3,4), 'order': 'C'}", "unknown"),
        "missing": ("{'shape': (3,4), 'fortran_order': False}", "no key 'descr'"),
        "comma": ("{'shape': (3 4)}", "expected ',' or ')'"),
        "tail": (dictionary("<f8", "(3, 4)") + "x", "expected the end"),
        "fp8": (dictionary("<f1", "(3, 4)"), "'<f1' (float8)"),
        "raw": (dictionary("|V1", "(3, 4)"), "float8 perhaps"),
        "long": (dictionary("<f16", "(3, 2)"), "float128"),
        "empty": (dictionary("<f8", "(0, 4)"), "is empty"),
        "none": (dictionary("<f8", "(4, 0)"), "is empty"),
    }
    for name, (text, message) in bad.items():
        status = "E_SHAPE" if message == "is empty" else "E_FORMAT"
        error(write(f"bad/{name}.npy", header(text)), status, message)
    for name, a, message in (
            ("int", np.arange(6).reshape(2, 3), "'<i8' (int64)"),
            ("bytes", np.zeros((2, 3), "i1"), "(int8)"),
            ("text", np.array([["ab"]]), "an unknown type"),
            ("structured", np.zeros(3, [("a", "f4")]), "structured array"),
            ("object", np.array([[None]]), "Python objects"), ("one", np.zeros(3), "1 dimensions")):
        error(write(f"bad/{name}.npy", npy(a)), "E_DATA", message)
    for name, data, message in (
            ("version", header("{}", version=9), "version 9.0"),
            ("huge", header("{}", version=2, length=0xFFFFFFFF), "4294967295 bytes"),
            ("past", header("{}", b"", length=60000), "60000 bytes from byte 10, there are 2"),
            ("cut", npy(np.zeros((2, 3)))[:100], "there are 90"), ("void", b"", "has 0 bytes"),
            ("text2", b"nothing of the kind", "mark of .npy")):
        error(write(f"bad/{name}.npy", data), "E_FORMAT", message)
    error(path("bad/absent.npy"), "E_IO", "No such file")
    error(path("bad/absent*.npy"), "E_IO", "no file matches")
    error(write("bad/notes.txt", b"hello"), "E_FORMAT", "none of .npy")
    error("name=", "E_ARG", "has no path")
    four = write("bad/four.npy", npy(np.zeros((2, 3, 4, 5))))
    error(four, "E_SHAPE", "2x3x4x5")
    error(four, "E_ARG", "expected 1 to 3", "pool=mean neuron=4")
    error(write("bad/three.npy", npy(np.zeros((2, 3, 4)))), "E_SHAPE", "--axis nld|lnd")


def archive_errors():
    def archive(members, method=zipfile.ZIP_STORED):
        f = io.BytesIO()
        with zipfile.ZipFile(f, "w", method) as z:
            for name, data in members:
                z.writestr(name, data)
        return bytearray(f.getvalue())

    values = rng.normal(size=(5, 3))
    a = npy(values)
    whole = archive([("a.npy", a), ("b.npy", a)])
    central = whole.find(b"PK\1\2")

    def patched(at, data):
        copy = whole[:]
        copy[at:at + len(data)] = data
        return copy

    lie = struct.pack("<II", 0x7FFFFFFF, 0x7FFFFFFF)
    locked = patched(central + 8, b"\1\0")
    locked[6] |= 1
    # damage that only the checksum shows: among the data of a stored member, and of one deflated
    # without compression
    flipped, copied = whole[:], io.BytesIO()
    flipped[flipped.find(a[-9:])] ^= 1
    with zipfile.ZipFile(copied, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as z:
        z.writestr("b.npy", a)
    copied = bytearray(copied.getvalue())
    copied[copied.find(a[-9:])] ^= 1
    case(write("bad/other.npz", bytes(flipped)), {"b": values}, "layers=b")
    deflated = archive([("a.npy", a)], zipfile.ZIP_DEFLATED)
    at = deflated.find(b"PK\1\2")
    deflated[at + 24:at + 28] = lie[:4]
    for name, data, status, message in (
            ("half", whole[:len(whole) // 2], "E_FORMAT", "cannot be opened as a ZIP"),
            ("sizes", patched(central + 20, lie), "E_FORMAT", "promises 2147483647 bytes"),
            ("offset", patched(central + 42, lie[:4]), "E_FORMAT", "member a.npy"),
            ("flipped", flipped, "E_FORMAT", "flipped.npz, member a.npy: is damaged: its CRC-32"),
            ("copied", copied, "E_FORMAT", "copied.npz, member b.npy: is damaged: its CRC-32"),
            ("bomb", deflated, "E_FORMAT", "promises 2147483647 bytes"),
            ("locked", locked, "E_FORMAT", "is encrypted"),
            ("method", archive([("a.npy", a)], zipfile.ZIP_BZIP2), "E_FORMAT", "by method 12"),
            ("inner", archive([("a.npy", header(dictionary("<f8", "(100, 4)")))]), "E_FORMAT",
             "array a: header promises 100x4 float64"),
            ("twice", archive([("a.npy", a), ("a.npy", a)]), "E_DATA", "two layers are called a"),
            ("torch", archive([("x/data.pkl", b"N.")]), "E_DATA", "save_file"),
            ("ints", archive([("i.npy", npy(np.arange(6).reshape(2, 3)))]), "E_DATA", "int64"),
            ("void", b"", "E_FORMAT", "has 0 bytes")):
        error(write(f"bad/{name}.npz", bytes(data)), status, message)


def safetensors_errors():
    data, huge = b"\1" * 24, 2 ** 62
    a = tensor("F32", [2, 3], 0, 24)
    twice = b'{"a":%s,"a":%s}' % ((json.dumps(a).encode(),) * 2)
    real = b'{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24.0]}}'
    for name, entries, content, message in (
            ("hole", {"a": a, "b": tensor("F32", [1, 1], 28, 32)}, data * 2, "there is a hole"),
            ("overlap", {"a": a, "b": tensor("F32", [2, 3], 12, 36)}, data * 2, "tensors overlap"),
            ("past", {"a": a}, data[:20], "ends at byte 24 of the data, the file has 20"),
            ("tail", {"a": a}, data * 2, "end at byte 24 of the data, the file has 48"),
            ("size", {"a": tensor("F32", [2, 2], 0, 24)}, data, "need 16 bytes"),
            ("product", {"a": tensor("F32", [huge, huge], 0, 24)}, data, "beyond 64 bits"),
            ("negative", {"a": tensor("F32", [-2, -3], 0, 24)}, data, "not a whole number"),
            ("real", real, data, "not two ascending"),
            ("twice", twice, data, "duplicate object key"),
            ("deep", b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}", b"", "maximum parsing depth"),
            ("list", b"[1]", b"", "does not start a JSON object"),
            ("type", {"a": tensor("Q7", [2, 3], 0, 6)}, data[:6], "unknown dtype 'Q7'"),
            ("fp8", {"a": tensor("F8_E4M3", [2, 3], 0, 6)}, data[:6], "F8_E4M3"),
            ("nine", {"a": tensor("F32", [1] * 9, 0, 4)}, data[:4], "more than 8 dimensions"),
            ("entry", {"a": 3}, b"", "expected an object"),
            ("control", {"a\033[2J": a}, data, "control character 0x1b")):
        error(write(f"bad/{name}.safetensors", safetensors(entries, content)), "E_FORMAT", message)
    error(write("bad/length.safetensors", safetensors({"a": 1}, b"", 2 ** 63)), "E_FORMAT",
          "9223372036854775808 bytes")
    error(write("bad/longer.safetensors", safetensors({"a": 1}, b"", 388)), "E_FORMAT",
          "a header of 388 bytes, but the file has only 8 behind the first 8")
    error(write("bad/void.safetensors", b""), "E_FORMAT", "has 0 bytes")
    for name, entries, content, message in (
            ("ints", {"a": tensor("I32", [2, 3], 0, 24)}, data, "a is I32"),
            ("no", {}, b"", "none"),
            ("scalar", {"a": tensor("F32", [], 0, 4)}, data[:4], "0 dimensions")):
        error(write(f"bad/{name}.safetensors", safetensors(entries, content)), "E_DATA", message)


def real_cases():
    def real(name, sites, options=""):
        file = os.path.join(DATA, name)
        if os.path.exists(file):
            case(file, {k: a[100:300] for k, a in sites(np.load(file)).items()},
                 "examples=100:300 " + options)

    for name in ("cifar10_resnet20/net10.npz", "cifar10_resnet20/net12.npz",
                 "multilingual/arb.npz"):
        real(name, dict)
    real("multilingual/zho-CN.npy", lambda a: {f"layer_{i:02d}": a[:, i] for i in range(12)},
         "axis=nld")
    real("clip/lvis1203_text.npy", lambda a: {"lvis1203_text": a})


npy_cases()
pool_cases()
archive_cases()
safetensors_cases()
folder_cases()
ids_cases()
npy_errors()
archive_errors()
safetensors_errors()
real_cases()
with open(path("manifest"), "w", encoding="utf-8") as out:
    out.writelines("\t".join(map(str, line)) + "\n" for line in lines)
