//! The stack on which a child runs until its exec: one per thread that starts processes, kept for
//! the next start.
//!
//! A stack of its own, because the child shares the parent's memory: on the parent's stack it
//! would write over frames to which the suspended parent returns.

use std::cell::RefCell;
use std::io;
use std::ptr::{self, NonNull};

/// Far more than the child's few frames need, also in unoptimised builds. Untouched pages cost nothing.
const SIZE: usize = 64 * 1024;
/// Below the stack: an overflow faults instead of writing over whatever lies there. The largest page
/// size of the supported processors.
const GUARD: usize = 64 * 1024;

thread_local! {
    static STACK: RefCell<Option<ChildStack>> = const { RefCell::new(None) };
}

/// A mapping of guard and stack.
pub(in crate::sandbox) struct ChildStack {
    base: NonNull<u8>,
}

/// Lends this thread's stack.
///
/// # Errors
/// The system's refusal to map one.
pub(in crate::sandbox) fn with<T>(body: impl FnOnce(&ChildStack) -> T) -> io::Result<T> {
    STACK.with_borrow_mut(|slot| {
        let stack = match slot.take() {
            Some(stack) => stack,
            None => ChildStack::map()?,
        };
        let result = body(&stack);
        *slot = Some(stack);
        Ok(result)
    })
}

impl ChildStack {
    /// Lowest usable address.
    pub(in crate::sandbox) fn bottom(&self) -> *mut u8 {
        // SAFETY: the mapping is GUARD + SIZE bytes long.
        unsafe { self.base.as_ptr().add(GUARD) }
    }

    /// Bytes, a multiple of 16.
    pub(in crate::sandbox) const fn size(&self) -> usize {
        SIZE
    }

    /// One past the highest usable address.
    pub(in crate::sandbox) fn top(&self) -> *mut u8 {
        // SAFETY: the end of the mapping.
        unsafe { self.base.as_ptr().add(GUARD + SIZE) }
    }

    fn map() -> io::Result<ChildStack> {
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                GUARD + SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = ChildStack {
            base: NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
        };
        // SAFETY: the lower end of the mapping made above.
        match unsafe { libc::mprotect(base, GUARD, libc::PROT_NONE) } {
            0 => Ok(stack),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for ChildStack {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, which nobody uses: a child has left it before `with` returned.
        unsafe { libc::munmap(self.base.as_ptr().cast(), GUARD + SIZE) };
    }
}
