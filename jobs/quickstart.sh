#!/bin/bash
# quickstart.sh: install what is missing, build, train an encoder on the four small networks of
# inputs/tiny, and compare them layer by layer. Works from any folder, as often as you like.
set -eu
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
bash jobs/deps.sh

# Build. The tests are left out unless this build folder was configured with them.
options=()
[ -f build/release/CMakeCache.txt ] || options=(-DCONTRASIM_TESTS=OFF)
cmake --preset release "${options[@]}"
cmake --build --preset release --parallel "$(nproc)"

# Run. mpirun refuses to serve root unless told otherwise, and counts cores where nproc counts
# hardware threads.
if [ "$(id -u)" -eq 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
ranks=$(nproc)
[ "$ranks" -le 4 ] || ranks=4
out=build/quickstart/results.nc
encoder=build/quickstart/encoder.nc
mkdir -p build/quickstart
export PATH="$root/build/release/bin:$PATH"

mpirun --oversubscribe -n "$ranks" contrasim train -c inputs/train.ini \
  --output "$encoder" --overwrite
mpirun --oversubscribe -n "$ranks" contrasim sweep inputs/tiny/net0{0,1,2,3}.nc --pairs all \
  --measures cka,cka_debiased,cca_mean,svcca,pwcca,procrustes,linreg,contrasim \
  --encoder "$encoder" --output "$out" --overwrite

echo
contrasim show "$out" --measure cka --measure contrasim --rows net00 --cols net01
echo
echo "Results: $root/$out"
