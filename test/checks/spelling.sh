#!/bin/sh
# No common misspellings in code and prose. Words that codespell gets wrong stand in the list.
. "$(dirname "$0")/lib.sh"

files '*.c' '*.h' '*.md' '*.sh' '*.py' '*.txt' '*.cmake' '*.yaml' '*.html' '*.css' '*.js' |
    each 50 codespell --quiet-level 3 --ignore-words-list 'crate,fo,ro,te'
