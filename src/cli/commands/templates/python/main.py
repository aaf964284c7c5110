#!/usr/bin/env python3
"""Arguments arrive as arguments and input as standard input; what is printed is the output, and
the exit code is the result."""

import os
import sys


def main() -> int:
    function = os.environ.get("FLUX_FUNCTION_NAME", "nowhere")
    execution = os.environ.get("FLUX_EXECUTION_ID", "none")
    print(f"hello from {function}, execution {execution}", flush=True)
    for arg in sys.argv[1:]:
        print(f"argument: {arg}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
