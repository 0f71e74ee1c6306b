#!/bin/sh
# Every C file is laid out as .clang-format says. To mend: clang-format -i FILE.
. "$(dirname "$0")/lib.sh"

files '*.c' '*.h' | each 20 clang-format --dry-run -Werror
