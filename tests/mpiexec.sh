#!/bin/bash
# mpiexec.sh [--fresh] RANKS PROGRAM [ARGUMENT…]: run a program under MPI the way the tests do;
# with --fresh in an emptied folder.
set -eu
if [ $# -lt 2 ]; then
  echo "usage: mpiexec.sh [--fresh] RANKS PROGRAM [ARGUMENT…]" >&2
  exit 2
fi
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
if [ "$1" = --fresh ]; then
  empty_work_folder
  shift
fi
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
