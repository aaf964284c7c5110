//! Standard output and standard error of one execution: two pipes, drained without blocking.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use crate::base::causes::with_causes;
use crate::model::output::Stream;
use crate::sandbox::OutputSink;

/// Bytes of one read, and of the buffer that each thread keeps: large enough that the cost of a read
/// and a poll does not count against that of moving the bytes.
const READ: usize = 256 * 1024;
/// What a pipe holds at first (pipe(7)). Whoever fills it has much to say.
const FULL: usize = 64 * 1024;
/// What it may hold then: `/proc/sys/fs/pipe-max-size` by default, and as far as an ordinary user gets.
const ENLARGED: i32 = 1024 * 1024;
/// After the tree's end at most this much is read: all that two pipes can hold. More would come from
/// a process that is still alive.
const LAST_BYTES: usize = 2 * ENLARGED as usize;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Our ends.
#[derive(Debug)]
pub(in crate::sandbox) struct Pipes {
    stdout: Reader,
    stderr: Reader,
    buffer: Vec<u8>,
}

/// The child's ends. To be closed in this process once the child has them.
#[derive(Debug)]
pub(in crate::sandbox) struct ChildEnds {
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

#[derive(Debug)]
struct Reader {
    stream: Stream,
    // None after the end of the file.
    fd: Option<OwnedFd>,
    enlarged: bool,
}

impl Pipes {
    /// # Errors
    /// EMFILE or ENFILE at a limit of descriptors.
    pub(in crate::sandbox) fn new() -> io::Result<(Pipes, ChildEnds)> {
        let (stdout, child_stdout) = pair()?;
        let (stderr, child_stderr) = pair()?;
        let mut buffer = BUFFER.take();
        buffer.clear();
        // Not filled: who writes little touches little of it.
        buffer.reserve_exact(READ);
        let pipes = Pipes {
            stdout: Reader::new(Stream::Stdout, stdout),
            stderr: Reader::new(Stream::Stderr, stderr),
            buffer,
        };
        let ends = ChildEnds {
            stdout: child_stdout,
            stderr: child_stderr,
        };
        Ok((pipes, ends))
    }

    /// For polling; `None` after its end.
    pub(in crate::sandbox) fn fd(&self, stream: Stream) -> Option<BorrowedFd<'_>> {
        match stream {
            Stream::Stdout => self.stdout.fd.as_ref(),
            Stream::Stderr => self.stderr.fd.as_ref(),
        }
        .map(AsFd::as_fd)
    }

    /// Whether both have ended: nobody holds their other ends any more.
    pub(in crate::sandbox) fn have_ended(&self) -> bool {
        self.stdout.fd.is_none() && self.stderr.fd.is_none()
    }

    /// Reads once from a pipe that poll has called ready. Returns how much it was.
    pub(in crate::sandbox) fn read(&mut self, stream: Stream, sink: &mut dyn OutputSink) -> usize {
        let reader = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        reader.read(&mut self.buffer, sink)
    }

    /// Reads what is left, without waiting for more.
    pub(in crate::sandbox) fn drain(&mut self, sink: &mut dyn OutputSink) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut total = 0;
            while total < LAST_BYTES {
                match self.read(stream, sink) {
                    0 => break,
                    count => total += count,
                }
            }
        }
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        BUFFER.set(std::mem::take(&mut self.buffer));
    }
}

impl Reader {
    fn new(stream: Stream, fd: OwnedFd) -> Reader {
        Reader {
            stream,
            fd: Some(fd),
            enlarged: false,
        }
    }

    /// 0 when there is nothing now, or never again.
    fn read(&mut self, buffer: &mut Vec<u8>, sink: &mut dyn OutputSink) -> usize {
        let Some(fd) = &self.fd else {
            return 0;
        };
        match read_into(fd.as_fd(), buffer) {
            Ok(0) => {
                self.fd = None;
                0
            }
            Ok(count) => {
                self.enlarge_if(count >= FULL);
                sink.write(self.stream, buffer);
                count
            }
            Err(Errno::EAGAIN | Errno::EINTR) => 0,
            Err(errno) => {
                let why = with_causes(&io::Error::from(errno));
                log::error!("cannot read {}: {why}", self.stream.as_str());
                self.fd = None;
                0
            }
        }
    }

    /// Only for those who need it: most executions write little, and the larger ring has a price.
    fn enlarge_if(&mut self, is_full: bool) {
        if is_full
            && !self.enlarged
            && let Some(fd) = &self.fd
        {
            self.enlarged = true;
            // Refused (EPERM) to a user whose pipes hold much already: it stays small.
            let _ = fcntl(fd, FcntlArg::F_SETPIPE_SZ(ENLARGED));
        }
    }
}

/// Replaces the buffer's contents by what one read gives, into memory that nobody had to fill before.
fn read_into(fd: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> nix::Result<usize> {
    buffer.clear();
    // SAFETY: the capacity is writable.
    let count = unsafe {
        libc::read(
            fd.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.capacity(),
        )
    };
    let count = Errno::result(count)? as usize;
    // SAFETY: the kernel has written this many bytes of it.
    unsafe { buffer.set_len(count) };
    Ok(count)
}

/// Our end does not block; the child's does, as every program expects of its output.
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((ours, above_stdio(theirs)?))
}

/// The child puts descriptors on 0, 1 and 2, so none that it still needs may have one of these
/// numbers, as they can when the agent was started with some of them closed.
pub(in crate::sandbox) fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    duplicate_above_stdio(fd.as_fd())
}

/// A close-on-exec copy that is none of 0, 1 and 2.
pub(in crate::sandbox) fn duplicate_above_stdio(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    // SAFETY: fcntl has just opened it, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
