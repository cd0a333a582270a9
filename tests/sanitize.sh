#!/bin/bash
# sanitize.sh build|run FOLDER: a second build of the tree with the address and undefined-behaviour
# sanitizers, and its tests at 1 and 3 ranks. With clang it holds the fuzz targets too.
set -eu
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
unset MPIEXEC_TIMEOUT
folder=$2
case $1 in
  build)
    options=(-DCMAKE_BUILD_TYPE=Debug "-DCMAKE_C_FLAGS_DEBUG=-O2 -g" -DCONTRASIM_WERROR=ON
      -DCONTRASIM_SANITIZE=address,undefined -DCONTRASIM_TESTS_FULL=OFF)
    if command -v clang >/dev/null && echo 'int main(void) { return 0; }' |
      clang -x c -fsanitize=address -o "${TMPDIR:-/tmp}/csim_clang.$$" - 2>/dev/null; then
      rm -f "${TMPDIR:-/tmp}/csim_clang.$$"
      options+=(-DCMAKE_C_COMPILER=clang -DCONTRASIM_FUZZ=ON)
    fi
    work_on_disk "$folder/tests/work"
    cmake -S "$CONTRASIM_SOURCE" -B "$folder" -G Ninja "${options[@]}"
    cmake --build "$folder" --parallel "$(nproc)"
    ;;
  run)
    work_in_memory "$folder/tests/work"
    ctest --test-dir "$folder" --parallel "$(nproc)" --output-on-failure --no-tests=error -R '_np[13]$' -LE slow
    ;;
  *)
    echo "usage: sanitize.sh build|run FOLDER" >&2
    exit 2
    ;;
esac
