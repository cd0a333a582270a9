#!/bin/bash
# run_all.sh [EXAMPLES WIDTH LAYERS]: every benchmark of docs/benchmarks.md, as Markdown on stdout and
# progress on stderr. Run it on a machine that does nothing else; it takes some ten minutes.
#   CONTRASIM_BIN    the program, by default that of the preset `release`
#   CONTRASIM_VENV   folder for the Pythons with the current numpy and PyTorch from PyPI; what is
#                    missing there is installed (default: contrasim-bench-venv under $TMPDIR or /tmp)
#   ROUNDS, RANKS    default 5 and 2
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
export CONTRASIM_BIN="${CONTRASIM_BIN:-$source/build/release/bin/contrasim}"
python=${CONTRASIM_PYTHON:-/usr/bin/python3}
venv=${CONTRASIM_VENV:-${TMPDIR:-/tmp}/contrasim-bench-venv}
rounds=${ROUNDS:-5} ranks=${RANKS:-2}
shape=(--examples "${1:-4000}" --width "${2:-768}" --layers "${3:-12}")
all=("${shape[@]}" --rounds "$rounds" --ranks "$ranks" --markdown)

for package in numpy torch; do
  if ! "$venv/$package/bin/python" -c "import $package, numpy" 2>/dev/null; then
    "$python" -m venv "$venv/$package" >&2
    "$venv/$package/bin/pip" install --quiet --disable-pip-version-check numpy "$package" >&2
  fi
done
run() { "$python" -B "$here/$1.py" "${@:2}"; }

"$CONTRASIM_BIN" --version >&2 # no program, no benchmark
status=0
model=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -1)
echo "$("$CONTRASIM_BIN" --version | head -1), $(date -u +%Y-%m-%d), $model, $(nproc) cores, load" \
  "$(cut -d' ' -f1 /proc/loadavg) at the start; $("$CONTRASIM_BIN" --version | grep '^BLAS')"
echo
"$python" -B -c "import sys; sys.path.insert(0, '$here'); import bench; print(bench.table_head())"
run compare_numpy "${all[@]}" --python "$python" --python "$venv/numpy/bin/python" || status=1
run compare_numpy "${all[@]}" --task cka --as-is --python "$venv/numpy/bin/python" || status=1
run compare_torch "${all[@]}" --python "$venv/torch/bin/python" || status=1
echo
echo "| quantity | measured | target |"
echo "|---|---|---|"
run perf_rows shares "${all[@]}"
run perf_rows single --ranks "$ranks" --markdown
run perf_rows tiles --ranks "$ranks" --rounds "$rounds" --markdown
run perf_rows scaling --ranks "$ranks" --rounds "$rounds" --markdown -- "${shape[@]}"
run perf_rows scaling --ranks "$ranks" --rounds "$rounds" --markdown -- "${shape[@]}" \
  --measures hsic,procrustes
exit "$status"
