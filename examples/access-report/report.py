#!/usr/bin/env python3
"""Reports on an access log in the combined format, read from standard input.

usage: report.py [--top N] < access.log

Exit codes: 0 for a report, 1 when no line could be read, 2 for wrong arguments.
"""

import re
import sys
from collections import Counter

LINE = re.compile(
    rb'(?P<address>\S+) \S+ \S+ \[[^\]]*\] '
    rb'"(?:[A-Z]+ (?P<target>\S+) HTTP/[0-9.]+|[^"]*)" '
    rb'(?P<status>[1-5][0-9]{2}) (?P<bytes>[0-9]+|-)'
)


def top_argument(arguments):
    """The number of paths to list."""
    if not arguments:
        return 10
    if len(arguments) == 2 and arguments[0] == "--top" and arguments[1].isdigit():
        return int(arguments[1])
    print("usage: report.py [--top N] < access.log", file=sys.stderr)
    raise SystemExit(2)


def main():
    top = top_argument(sys.argv[1:])
    paths, classes, addresses = Counter(), Counter(), set()
    requests = unreadable = sent = 0
    for line in sys.stdin.buffer:
        match = LINE.match(line)
        if not match:
            unreadable += 1
            continue
        requests += 1
        addresses.add(match["address"])
        classes[match["status"][:1].decode()] += 1
        if match["bytes"] != b"-":
            sent += int(match["bytes"])
        if match["target"]:
            paths[match["target"].split(b"?")[0].decode("utf-8", "replace")] += 1

    if unreadable:
        print(f"{unreadable} lines could not be read", file=sys.stderr)
    if not requests:
        return 1
    errors = classes["4"] + classes["5"]
    print(f"requests   {requests}")
    print(f"clients    {len(addresses)}")
    print(f"bytes      {sent}")
    print(f"error rate {100 * errors / requests:.2f}%")
    for status_class in "12345":
        if classes[status_class]:
            print(f"{status_class}xx        {classes[status_class]}")
    print(f"top {top} paths")
    for path, count in sorted(paths.items(), key=lambda item: (-item[1], item[0]))[:top]:
        print(f"{count:8} {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
