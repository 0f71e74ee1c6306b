# For the checks: they run in the project's folder and look at its own files.
# shellcheck shell=sh
set -eu
cd "$(dirname "$0")/../.."

# The project's files whose paths match one of the patterns; build/ holds everything generated.
# Without git, so that it works in a plain copy and whoever owns the folder.
files()
{
    for pattern; do
        find . \( -name .git -o -path ./build \) -prune -o -type f -path "$pattern" -print
    done | sed 's,^\./,,' | sort
}

# Runs the command on the lines of its input: on so many at a time, on every processor.
each()
{
    count=$1 && shift
    tr '\n' '\0' | xargs -0 -r -n "$count" -P "$(nproc)" "$@"
}
