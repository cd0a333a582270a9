#!/bin/bash
# scaling.sh [PERF OPTION…]: `contrasim perf` on one rank and on RANKS ranks in turn, and the parallel
# efficiency of the pass and of the whole sweep, t(1) / (RANKS · t(RANKS)), as medians over ROUNDS.
# Beside it the efficiency of the machine: what a GEMM on every rank loses when all work at once.
#   CONTRASIM_BIN  the program    RANKS  default 2    ROUNDS  default 5    MARKDOWN=1  a row of a table
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "${CONTRASIM_PYTHON:-/usr/bin/python3}" -B "$here/perf_rows.py" scaling \
  --ranks "${RANKS:-2}" --rounds "${ROUNDS:-5}" ${MARKDOWN:+--markdown} -- "$@"
