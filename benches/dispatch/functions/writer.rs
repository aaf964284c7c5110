//! A function that writes as many bytes as its argument says to its standard output, in blocks of
//! a pipe's size and otherwise as fast as it can. The benchmark compiles it by itself.

use std::io::Write;

const BLOCK: [u8; 64 * 1024] = [b'x'; 64 * 1024];

fn main() {
    let mut left: usize = std::env::args()
        .nth(1)
        .and_then(|argument| argument.parse().ok())
        .expect("how many bytes");
    // Not through `Stdout`, which looks for line ends in every block.
    let mut output = std::fs::File::from(std::os::fd::OwnedFd::from(
        std::os::fd::AsFd::as_fd(&std::io::stdout())
            .try_clone_to_owned()
            .expect("standard output"),
    ));
    while left > 0 {
        let count = left.min(BLOCK.len());
        output.write_all(&BLOCK[..count]).expect("write");
        left -= count;
    }
}
