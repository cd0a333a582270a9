#!/bin/bash
# fuzz.sh TARGET CORPUS SECONDS: fuzz from a kept corpus; what is found stays in this folder.
set -eu
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
target=$1
corpus=$2
seconds=$3
if [ ! -x "$target" ]; then
  echo "skipped: no fuzz target $target (they are built with clang)"
  exit 77
fi
empty_work_folder
mkdir found
# libFuzzer's own code for a finding is 77, which would pass as "skipped".
exec "$target" -error_exitcode=1 -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=65536 \
  -print_final_stats=1 -artifact_prefix="$PWD/" found "$corpus"
