#!/bin/bash
# The environment of every test; sourced by mpiexec.sh, script.sh, fuzz.sh, run.sh and sanitize.sh.
#   CONTRASIM_BIN      the built program
#   CONTRASIM_BUILD    the build folder
#   CONTRASIM_SOURCE   the source folder
#   CONTRASIM_DATA     large real data (by default beside the source folder); may be absent
#   CONTRASIM_PYTHON   a Python with numpy, netCDF4 and xarray
#   CONTRASIM_MPIEXEC  runs a program under MPI: RANKS PROGRAM [ARGUMENT…]

CONTRASIM_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CONTRASIM_SOURCE
export CONTRASIM_DATA="${CONTRASIM_DATA:-$CONTRASIM_SOURCE/../shared/data}"
export CONTRASIM_PYTHON="${CONTRASIM_PYTHON:-/usr/bin/python3}"
export CONTRASIM_MPIEXEC="$CONTRASIM_SOURCE/tests/mpiexec.sh"

# Inside a batch job mpirun would otherwise start its processes through the batch system.
for csim_name in $(compgen -e); do
  case $csim_name in SLURM_* | SRUN_* | SBATCH_* | PMI_* | PMIX_* | PMI2_*) unset "$csim_name" ;; esac
done
unset csim_name

# As root, with more ranks than cores, several jobs side by side, inside containers.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
# To look for fast networks takes half of the time in which mpirun starts.
export OMPI_MCA_pml=^cm,ucx
export PNETCDF_SAFE_MODE=1
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
export LC_ALL=C.UTF-8

# Leaks are found by valgrind and by counted allocations: Open MPI's own would drown them here.
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0:allocator_may_return_null=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

# Open MPI's session folders: one place a test, as programs that start and end side by side may
# remove each other's.
case $PWD in
  */tests/work/*)
    export OMPI_MCA_orte_tmpdir_base="${OMPI_MCA_orte_tmpdir_base:-$PWD.session}"
    mkdir -p "$OMPI_MCA_orte_tmpdir_base"
    ;;
esac

# What an earlier run of a test left in its folder work/<test> is not to be seen by this one.
empty_work_folder() {
  case $PWD in
    */tests/work/*) find . "$OMPI_MCA_orte_tmpdir_base" -mindepth 1 -delete ;;
    *)
      echo "to be started by CTest, in a folder tests/work/<test>; this is $PWD" >&2
      exit 2
      ;;
  esac
}

# work_in_memory FOLDER: what tests write, and sync time and again, lies in memory for as long as the
# caller runs, where there is room for it; then it comes back.
work_in_memory() {
  local free memory
  work_on_disk "$1"
  free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1) || true
  [ "${free:-0}" -gt 4000000 ] || return 0
  memory=$(mktemp -d /dev/shm/contrasim.XXXXXX)
  mkdir "$memory/tests"
  mv "$1" "$memory/tests/work"
  ln -s "$memory/tests/work" "$1"
  # shellcheck disable=SC2064
  trap "work_on_disk '$1'" EXIT
}

# work_on_disk FOLDER: undo it, also after a run that was killed.
work_on_disk() {
  local memory
  [ -L "$1" ] || return 0
  memory=$(readlink "$1")
  rm "$1"
  mkdir "$1"
  if [ -d "$memory" ]; then
    cp -a "$memory/." "$1"
    rm -rf "${memory%/tests/work}"
  fi
}
