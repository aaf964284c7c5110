//! Sockets of other programs of the machine, by path, by abstract name and by port.
//!
//! Those in [`PUBLIC`] are for everybody: that they can be connected to is no escape. What they
//! would do for a function is asked in `programs`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::time::Duration;

use crate::attempt::{Attempt, Finding, worst};
use crate::told::Told;

/// Open to everybody on purpose; each asks for rights itself.
const PUBLIC: [&str; 7] = [
    "/run/dbus/system_bus_socket",
    "/run/systemd/journal/",
    "/run/systemd/notify",
    "/run/systemd/userdb/",
    "/run/systemd/io.",
    "/run/systemd/resolve/",
    "/run/nscd/socket",
];
/// Doors to root where they are open.
const PRIVATE: [&str; 6] = [
    "/run/systemd/private",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/udev/control",
    "/run/snapd.socket",
    "/run/redis/redis-server.sock",
];
/// Where systemd takes the word of its services.
const NOTIFY: &str = "/run/systemd/notify";
const REDIS: &str = "127.0.0.1:6379";
const TIMEOUT: Duration = Duration::from_secs(2);

/// `socket=<path>` and `abstract=<name>` are sockets of others; `status_mark` is what systemd is told.
pub fn attempts(told: &'static Told) -> Vec<Attempt> {
    vec![
        Attempt::new("socket.private", || {
            worst(PRIVATE.into_iter().chain(told.all("socket")).map(by_path))
        }),
        Attempt::new("socket.any_path", || {
            worst(
                listed()
                    .filter(|path| is_meant(path))
                    .map(|path| by_path(&path)),
            )
        }),
        Attempt::new("socket.abstract", || match told.one("abstract") {
            Some(name) => by_name(name).1,
            None => {
                Finding::not_told("abstract: nothing here holds them back but a network of its own")
            }
        }),
        Attempt::new("socket.notify_systemd", || notify(told)),
        Attempt::new("socket.redis", || redis(told.one("redis").unwrap_or(REDIS))),
    ]
}

fn listed() -> impl Iterator<Item = String> {
    let table = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let paths: Vec<String> = table
        .lines()
        .filter_map(|line| line.split_whitespace().nth(7))
        .map(str::to_owned)
        .collect();
    // One that is no socket, so that an empty table is no success of its own.
    paths.into_iter().chain(["/no/socket".to_owned()])
}

fn is_meant(path: &str) -> bool {
    path.starts_with('/') && !PUBLIC.iter().any(|public| path.starts_with(public))
}

fn by_path(path: &str) -> (String, Finding) {
    let connected = UnixStream::connect(path)
        .map(drop)
        .or_else(|_| UnixDatagram::unbound().and_then(|socket| socket.connect(path)));
    (path.to_owned(), Finding::of_io(connected, "connected"))
}

pub fn by_name(name: &str) -> (String, Finding) {
    let connected =
        SocketAddr::from_abstract_name(name).and_then(|address| UnixStream::connect_addr(&address));
    (name.to_owned(), Finding::of_io(connected, "connected"))
}

/// As if it were the agent: whether systemd believed it is seen from outside.
fn notify(told: &Told) -> Finding {
    let Some(mark) = told.one("status_mark") else {
        return Finding::not_told("status_mark");
    };
    let message = format!("STATUS={mark}\nMAINPID={}", std::process::id());
    let sent =
        UnixDatagram::unbound().and_then(|socket| socket.send_to(message.as_bytes(), NOTIFY));
    Finding::Denied(format!("as far as this side can see: {sent:?}"))
}

fn redis(address: &str) -> Finding {
    let Ok(parsed) = address.parse() else {
        return Finding::Unclear(format!("{address} is no address"));
    };
    let Ok(mut stream) = TcpStream::connect_timeout(&parsed, TIMEOUT) else {
        return Finding::Skipped(format!("nothing to be reached at {address}"));
    };
    let mut answer = [0; 16];
    let asked = stream
        .set_read_timeout(Some(TIMEOUT))
        .and_then(|()| stream.write_all(b"PING\r\n"))
        .and_then(|()| stream.read(&mut answer));
    match asked {
        Ok(_) if answer.starts_with(b"+PONG") => Finding::Escaped("it answers".to_owned()),
        other => Finding::Denied(format!("{other:?} {}", String::from_utf8_lossy(&answer))),
    }
}
