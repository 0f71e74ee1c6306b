#!/bin/sh
# Usage: build.sh PRESET. Everything compiles with that preset, and without a warning.
. "$(dirname "$0")/lib.sh"

cmake --preset "$1" -D DUNLIN_WERROR=ON
cmake --build --preset "$1" -j "$(nproc)"
