#!/bin/bash
# mpiexec.sh RANKS PROGRAM [ARGUMENT…]: run a program under MPI the way the tests do.
set -eu
if [ $# -lt 2 ]; then
  echo "usage: mpiexec.sh RANKS PROGRAM [ARGUMENT…]" >&2
  exit 2
fi
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
mpirun=${CONTRASIM_MPIRUN:-mpirun}
ranks=$1
shift
case $(basename "$1") in
  valgrind*) export OPENBLAS_CORETYPE=Haswell ;; # valgrind knows no AVX-512
esac
case $("$mpirun" --version 2>&1) in
  *"Open MPI"* | *OpenRTE*) exec "$mpirun" --oversubscribe -n "$ranks" "$@" ;;
  *) exec "$mpirun" -n "$ranks" "$@" ;;
esac
