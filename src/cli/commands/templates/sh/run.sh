#!/bin/sh
# Arguments arrive as arguments and input as standard input; what is printed is the output, and the
# exit code is the result.
set -eu
echo "hello from $FLUX_FUNCTION_NAME, execution $FLUX_EXECUTION_ID"
for arg in "$@"; do
    echo "argument: $arg"
done
