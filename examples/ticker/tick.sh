#!/bin/sh
# usage: tick.sh [SECONDS] [EXIT-CODE]
# Prints a line each second on stdout, every fifth one on stderr as well, and exits with the code.
set -eu
seconds=${1:-10}
code=${2:-0}
tick=0
while [ "$tick" -lt "$seconds" ]; do
    tick=$((tick + 1))
    echo "tick $tick of $seconds"
    if [ $((tick % 5)) -eq 0 ]; then
        echo "still here after $tick" >&2
    fi
    sleep 1
done
exit "$code"
