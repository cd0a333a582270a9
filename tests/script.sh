#!/bin/bash
# script.sh SCRIPT [ARGUMENT…]: run one script of this folder as a test, in an emptied folder.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/env.sh"
script=$here/$1
shift
empty_work_folder
case $script in
  *.py) exec "$CONTRASIM_PYTHON" -B "$script" "$@" ;;
  *) exec bash "$script" "$@" ;;
esac
