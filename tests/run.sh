#!/bin/bash
# run.sh [CTEST OPTION…]: install what is missing, build, run every test. Works from any folder.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash jobs/deps.sh test
. tests/env.sh

work_on_disk build/ci/tests/work
cmake --preset ci
cmake --build --preset ci --parallel "$(nproc)"

# Programs of the tests compute with the kernels that the program takes.
core=$(build/ci/bin/contrasim --version | sed -n 's/^BLAS *OpenBLAS .*, core //p')
[ -z "$core" ] || export OPENBLAS_CORETYPE="$core"

log=build/ci/ctest.log
work_in_memory build/ci/tests/work
# One test more than there are cores: some wait, scripts start one program after the other.
ctest --preset ci --parallel "$(($(nproc) + 1))" --no-label-summary "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
summary=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests? failed out of [0-9]+' "$log" | tail -n 1)
if [ -z "$summary" ]; then
  summary="no test was run"
  status=1
fi
echo "$summary"
exit "$status"
