#!/bin/bash
# Installs the build into an empty prefix and uses it from there: CMake package, pkg-config,
# program, man page, completion.
set -eu
prefix=$PWD/moved
version=$(sed -n 's/^ *VERSION \([0-9.]*\)$/\1/p' "$CONTRASIM_SOURCE/CMakeLists.txt" | head -n 1)

fail() {
  echo "consumer: $*" >&2
  exit 1
}
expect() { # expect TEXT COMMAND…: the command's output holds the text
  text=$1
  shift
  output=$("$@" 2>&1) || fail "'$*' failed: $output"
  case $output in *"$text"*) ;; *) fail "'$*' said '$output', expected '$text'" ;; esac
}

# Installed in one place and moved to another: nothing may hold the first path.
cmake --install "$CONTRASIM_BUILD" --prefix "$PWD/first" >install.log
mv first moved

cmake -S "$CONTRASIM_SOURCE/tests/consumer" -B cmake -DCMAKE_PREFIX_PATH="$prefix" >cmake.log
cmake --build cmake >>cmake.log
expect "contrasim $version, rank 1 of 2" "$CONTRASIM_MPIEXEC" 2 cmake/consumer

for header in "$CONTRASIM_SOURCE"/include/contrasim/*.h; do # contrasim.h is all of them
  name=$(basename "$header")
  [ "$name" = contrasim.h ] || grep -q "^#include \"contrasim/$name\"" \
    "$prefix/include/contrasim/contrasim.h" || fail "contrasim.h lacks $name"
done

libdir=$(dirname "$(find "$prefix" -name contrasim.pc)")
export PKG_CONFIG_PATH=$libdir${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
[ "$(pkg-config --modversion contrasim)" = "$version" ] || fail "wrong version in contrasim.pc"
# shellcheck disable=SC2046
mpicc -o consumer "$CONTRASIM_SOURCE/tests/consumer/consumer.c" \
  $(pkg-config --cflags --libs contrasim)
LD_LIBRARY_PATH=$(dirname "$libdir")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
expect "contrasim $version, rank 0 of 2" "$CONTRASIM_MPIEXEC" 2 ./consumer

expect "$version" "$prefix/bin/contrasim" --version
grep -q '^\.TH CONTRASIM 1' "$prefix/share/man/man1/contrasim.1" || fail "no man page"
bash -n "$prefix/share/bash-completion/completions/contrasim" || fail "completion does not parse"
grep -q '^complete .*contrasim' "$prefix/share/bash-completion/completions/contrasim" ||
  fail "no completion"
