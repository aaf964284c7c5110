//! How the C library's allocator behaves in a daemon with many threads and now and then a large
//! buffer.

/// Two arenas: enough that the threads of two processors rarely meet, where the default of eight
/// for each processor keeps a heap alive for every one of them.
const ARENAS: i32 = 2;
/// Buffers from this size on come from the kernel and go back to it at once. Set explicitly, it
/// stays: by itself the library raises it to the largest buffer ever freed, up to 32 MiB, and a
/// few large answers would then keep their memory for good.
const MMAP_THRESHOLD_BYTES: i32 = 256 << 10;

/// Makes an idle daemon small again after a burst. For the start of a process, before its threads.
pub fn keep_small() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [
        (libc::M_ARENA_MAX, ARENAS),
        (libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES),
    ] {
        // SAFETY: mallopt(3) takes two integers and may be called at any time.
        let accepted = unsafe { libc::mallopt(parameter, value) };
        if accepted == 0 {
            log::debug!("the allocator does not know parameter {parameter}");
        }
    }
}
