# For what measures: the library of the end-to-end tests, with the programs of the release preset, built
# here, since processes with sanitizers measure the sanitizers. DUNLIN_RELEASE_BIN names another folder.
# shellcheck shell=sh
root=$(cd "$(dirname "$0")/../.." && pwd)
DUNLIN_BIN=${DUNLIN_RELEASE_BIN:-$root/build/release}
[ -n "${DUNLIN_RELEASE_BIN:-}" ] || (
    cd "$root"
    cmake --preset release
    cmake --build --preset release --target dunlin dunlin-agent dunlin-manager dunlin-sim
) >/dev/null
. "$root/test/e2e/lib.sh"
