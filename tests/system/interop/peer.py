"""What both ends have in common: how they talk with the test, and what long streams consist of.

The test starts a script with a JSON object as its argument, reads JSON objects from its standard output, a line
each, and writes words to its standard input.
"""

import json
import sys

CHUNK = 64 << 10
# Of a long stream: no multiple of a chunk.
LONG = (100 << 20) + 12345
# Its bytes, over and over; enough for a chunk from any position.
PATTERN = bytes(range(251)) * (CHUNK // 251 + 2)


def argument():
    return json.loads(sys.argv[1])


def say(**facts):
    # In one piece: several threads talk.
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def word():
    """The next one from the test; empty once it has gone."""
    return sys.stdin.readline().strip()


def pattern(offset, length):
    start = offset % 251
    return PATTERN[start : start + length]


def read(path):
    with open(path, "rb") as file:
        return file.read()
