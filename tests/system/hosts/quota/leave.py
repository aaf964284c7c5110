"""Tries to take its working directory out of its project, in each way that an owner has; a line each."""
import ctypes
import errno
import fcntl
import os
import struct

GETXATTR, SETXATTR, GETFLAGS, SETFLAGS = 0x801C581F, 0x401C5820, 0x80086601, 0x40086602
FILE_SETATTR = 469
INHERIT = 0x20000000
libc = ctypes.CDLL(None, use_errno=True)


def say(what, attempt):
    try:
        attempt()
        print(what, "done")
    except OSError as error:
        print(what, errno.errorcode[error.errno])


def another_project():
    attributes = list(struct.unpack("5I8x", fcntl.ioctl(here, GETXATTR, bytes(28))))
    attributes[3] = 4711
    fcntl.ioctl(here, SETXATTR, struct.pack("5I8x", *attributes))


def no_inheritance():
    flags, = struct.unpack("q", fcntl.ioctl(here, GETFLAGS, bytes(8)))
    fcntl.ioctl(here, SETFLAGS, struct.pack("q", flags & ~INHERIT))


def by_the_new_call():
    if libc.syscall(FILE_SETATTR, here, b"", bytes(24), 24, 0x1000) != 0:
        raise OSError(ctypes.get_errno(), "")


here = os.open(".", os.O_RDONLY)
say("flags", no_inheritance)
say("project", another_project)
say("file_setattr", by_the_new_call)
