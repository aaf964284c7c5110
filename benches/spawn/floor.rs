//! The least that starting a program costs.

use std::ffi::{CString, c_char};
use std::path::Path;

/// Starts the program without arguments and environment, and waits for its end.
pub fn posix_spawn_and_wait(program: &Path) {
    let path = CString::new(program.as_os_str().as_encoded_bytes()).expect("no NUL");
    let argv = [path.as_ptr().cast_mut(), std::ptr::null_mut::<c_char>()];
    let envp = [std::ptr::null_mut::<c_char>()];
    let mut pid = 0;
    // SAFETY: the strings and lists outlive the call; no file actions, no attributes.
    let result = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            std::ptr::null(),
            std::ptr::null(),
            argv.as_ptr(),
            envp.as_ptr(),
        )
    };
    assert_eq!(result, 0);
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0);
}

/// A process that lives and dies in a cgroup: a shell that moves there and becomes `true`.
///
/// # Errors
/// It did not end well.
pub fn posix_spawn_in(cgroup: &Path) -> std::io::Result<()> {
    let script = format!(
        "echo 0 > {}/cgroup.procs && exec /bin/true",
        cgroup.display()
    );
    #[expect(
        clippy::disallowed_methods,
        reason = "beside the sandbox, to compare with it"
    )]
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", &script])
        .status()?;
    if status.success() {
        return Ok(());
    }
    Err(std::io::Error::other(status.to_string()))
}
