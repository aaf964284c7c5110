"""Takes all that its limit leaves, to the last block, and as many bytes more as its argument says; then works
on for several looks."""
import os
import sys
import time

free = os.statvfs(".")
# One page is beyond the limit: who has anything of it is over.
left = free.f_bfree * free.f_frsize - os.sysconf("SC_PAGE_SIZE") + int(sys.argv[1])
# One file alone would meet its own limit.
for name, length in ("some", 1 << 20), ("rest", left - (1 << 20)):
    os.posix_fallocate(os.open(name, os.O_RDWR | os.O_CREAT), 0, length)
time.sleep(1.5)
