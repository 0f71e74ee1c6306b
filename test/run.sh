#!/bin/sh
# The whole test suite, from a fresh clone on a fresh machine: packages, build, tests. It ends with
# ctest's summary, and its exit code is ctest's.
set -eu

usage='usage: sh test/run.sh [--full] [REGEX]
Installs what is missing, builds the debug preset, and runs unit, story, e2e, check and fuzz tests.
  --full    also the slow ones (label full), and what these need for building and emulating devices
  REGEX     only the tests whose name matches, such as unit/ or e2e/tokens
  --help    this text'

main()
{
    skip='-LE ^full$'
    only='' cross=''
    for argument; do
        case $argument in
        --full) skip='' cross=--cross ;;
        -h | --help) echo "$usage" && exit 0 ;;
        -*) echo "test/run.sh: unknown option $argument (see --help)" >&2 && exit 2 ;;
        *) only=$argument ;;
        esac
    done

    cd "$(dirname "$0")/.."
    # shellcheck disable=SC2086
    sh setup.sh --test $cross
    cmake --preset debug
    cmake --build --preset debug -j 2
    # shellcheck disable=SC2086
    exec ctest --test-dir build/debug --output-on-failure -j 2 --no-tests=error $skip ${only:+-R "$only"}
}

main "$@"
