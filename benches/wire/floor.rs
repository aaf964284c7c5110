//! The same bytes over a bare socket: no TLS, no frames, no messages.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use flux::base::threads::Supervisor;

/// About what a small call and its answer have on the wire.
const CALL_BYTES: usize = 300;
const ANSWER_BYTES: usize = 200;
const CHUNK: usize = 64 << 10;

/// Serves one connection after the other. The first byte says what is wanted: 0 for calls, or how many MiB.
pub fn listen(supervisor: &Supervisor) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let serve = move || {
        for stream in listener.incoming() {
            // Whoever closes it is done.
            let _ = stream.and_then(serve_one);
        }
    };
    let thread = supervisor.spawn("floor".to_owned(), serve);
    // Joining it would wait for the process's end.
    std::mem::forget(thread.expect("a thread"));
    address
}

fn serve_one(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wanted = [0; 2];
    stream.read_exact(&mut wanted)?;
    let mib = u16::from_le_bytes(wanted);
    if mib > 0 {
        let chunk = vec![b'x'; CHUNK];
        for _ in 0..usize::from(mib) * ((1 << 20) / CHUNK) {
            stream.write_all(&chunk)?;
        }
        return Ok(());
    }
    let (mut call, answer) = ([0; CALL_BYTES], [1; ANSWER_BYTES]);
    loop {
        stream.read_exact(&mut call)?;
        stream.write_all(&answer)?;
    }
}

/// Calls, one after the other.
pub struct Caller(TcpStream);

impl Caller {
    pub fn new(address: SocketAddr) -> Caller {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        stream.write_all(&[0, 0]).expect("written");
        Caller(stream)
    }

    pub fn call(&mut self) -> Duration {
        let begun = Instant::now();
        self.0.write_all(&[2; CALL_BYTES]).expect("written");
        self.0.read_exact(&mut [0; ANSWER_BYTES]).expect("read");
        begun.elapsed()
    }
}

/// How long it takes to read so much.
pub fn stream(address: SocketAddr, mib: u64) -> Duration {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let wanted = u16::try_from(mib).expect("not that much");
    stream.write_all(&wanted.to_le_bytes()).expect("written");
    let begun = Instant::now();
    let mut chunk = vec![0; CHUNK];
    let mut read = 0;
    loop {
        match stream.read(&mut chunk).expect("read") {
            0 => break,
            count => read += count as u64,
        }
    }
    assert_eq!(read, mib << 20);
    begun.elapsed()
}
