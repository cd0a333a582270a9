#!/bin/bash
# deps.sh [build|test]: install what building (or also testing) contrasim needs, from Debian's
# packages. The only installer of the tree. Does nothing, and needs no network, when all is there.
# CONTRASIM_DEPS=skip leaves everything as it is, for machines with their own module system.
set -eu

build=(gcc libc6-dev cmake ninja-build pkg-config openmpi-bin libopenmpi-dev
  libopenblas-dev libscalapack-openmpi-dev libnetcdf-mpi-dev libhdf5-openmpi-dev libzip-dev
  libjansson-dev libinih-dev libxxhash-dev libfftw3-dev libsleef-dev)
test=(libcmocka-dev clang valgrind netcdf-bin python3-numpy python3-netcdf4 python3-xarray
  python3-faiss libsimgrid-dev munge slurm-client slurm-wlm-basic-plugins slurmctld slurmd)

case ${1:-build} in
  build) packages=("${build[@]}") ;;
  test) packages=("${build[@]}" "${test[@]}") ;;
  *)
    echo "usage: deps.sh [build|test]" >&2
    exit 2
    ;;
esac

say() { echo "deps.sh: $*" >&2; }

installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The run-time library of clang's sanitizers carries clang's version in its name.
clang_runtime() {
  local depends
  depends=$(dpkg-query -W -f '${Depends}' clang 2>/dev/null) ||
    depends=$(apt-cache show --no-all-versions clang 2>/dev/null) || true
  sed -n 's/.*\bclang-\([0-9][0-9]*\).*/libclang-rt-\1-dev/p' <<<"$depends" | head -n 1
}

find_missing() {
  local name runtime
  missing=()
  for name in "${packages[@]}"; do
    installed "$name" || missing+=("$name")
  done
  if [ "${#packages[@]}" -gt "${#build[@]}" ]; then
    runtime=$(clang_runtime)
    if [ -n "$runtime" ] && ! installed "$runtime"; then missing+=("$runtime"); fi
  fi
}

if [ "${CONTRASIM_DEPS:-}" = skip ]; then
  exit 0
fi
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  say "this is not a Debian system; needed here are the equivalents of: ${packages[*]}"
  exit 0
fi

find_missing
if [ "${#missing[@]}" -eq 0 ]; then
  exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
  as_root=()
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
  as_root=(sudo)
else
  say "packages are missing and this user cannot install them. As root, run:"
  say "  apt-get update && apt-get install --no-install-recommends ${missing[*]}"
  exit 1
fi

say "installing ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq
  -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
if "${apt[@]}" update; then
  find_missing # the lists may only now tell clang's version
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" || true
fi
find_missing
if [ "${#missing[@]}" -ne 0 ]; then
  say "could not install: ${missing[*]}. With a working package source, run as root:"
  say "  apt-get update && apt-get install --no-install-recommends ${missing[*]}"
  exit 1
fi
