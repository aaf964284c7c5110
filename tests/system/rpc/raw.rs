//! A peer that writes its HTTP/2 frames by hand, and so may write any.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use flux::pki::Identity;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use prost::Message;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113, section 6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Flags.
pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// How long a raw peer waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A frame by hand (RFC 9113, section 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// An HPACK integer (RFC 7541, section 5.1).
fn integer(first: u8, bits: u32, mut value: usize) -> Vec<u8> {
    let most = (1 << bits) - 1;
    if value < most {
        return vec![first | u8::try_from(value).unwrap()];
    }
    let mut bytes = vec![first | u8::try_from(most).unwrap()];
    value -= most;
    while value >= 128 {
        bytes.push(u8::try_from(value % 128).unwrap() | 128);
        value /= 128;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

fn text(value: &[u8]) -> Vec<u8> {
    [&integer(0, 7, value.len()), value].concat()
}

/// A field that stays out of the table (RFC 7541, section 6.2.2).
pub fn field(name: &str, value: &str) -> Vec<u8> {
    [vec![0], text(name.as_bytes()), text(value.as_bytes())].concat()
}

/// One that goes into the table, as its newest entry (section 6.2.1): `0xbe` stands for it afterwards.
pub fn kept_field(name: &str, value: &str) -> Vec<u8> {
    [vec![0x40], text(name.as_bytes()), text(value.as_bytes())].concat()
}

/// Of a call.
pub fn request_block(method: &str) -> Vec<u8> {
    let path = format!("/flux.AgentService/{method}");
    [
        field(":method", "POST"),
        field(":scheme", "http"),
        field(":path", &path),
        field(":authority", "agent"),
        field("te", "trailers"),
        field("content-type", "application/grpc"),
    ]
    .concat()
}

pub fn request_head(stream: u32, method: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &request_block(method))
}

/// A whole call with one message.
pub fn call(stream: u32, method: &str, message: &impl Message) -> Vec<u8> {
    let body = frame(
        DATA,
        END_STREAM,
        stream,
        &message_of(&message.encode_to_vec()),
    );
    [request_head(stream, method), body].concat()
}

/// Before the messages of an answer.
pub fn response_head(stream: u32) -> Vec<u8> {
    // `:status 200` of the static table (RFC 7541, appendix A).
    let block = [vec![0x88], field("content-type", "application/grpc")].concat();
    frame(HEADERS, END_HEADERS, stream, &block)
}

/// After them.
pub fn response_end(stream: u32) -> Vec<u8> {
    let block = field("grpc-status", "0");
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// As gRPC puts a message.
pub fn message_of(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0], &length[..], bytes].concat()
}

pub fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// The numbers of a client's streams.
pub fn streams() -> impl Iterator<Item = u32> {
    (1..).step_by(2)
}

pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn ends_stream(&self) -> bool {
        self.flags & END_STREAM != 0
    }
}

enum Socket {
    Plain(TcpStream),
    Tls(SslStream<TcpStream>),
}

pub struct Raw {
    socket: Socket,
    arrived: Vec<u8>,
}

impl Raw {
    /// Connected, and silent.
    pub fn silent(socket: TcpStream) -> Raw {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Raw {
            socket: Socket::Plain(socket),
            arrived: Vec::new(),
        }
    }

    /// A client without TLS that has begun well.
    pub fn client(address: &str) -> Raw {
        Raw::client_with(address, &[])
    }

    /// The same with these settings.
    pub fn client_with(address: &str, settings: &[u8]) -> Raw {
        let mut raw = Raw::silent(TcpStream::connect(address).unwrap());
        raw.begin(settings);
        raw
    }

    /// A client with TLS and this certificate that has begun well.
    pub fn trusted_client(address: &str, identity: &Identity) -> Raw {
        let socket = TcpStream::connect(address).unwrap();
        let mut raw = Raw::silent(socket.try_clone().unwrap());
        let stream = connector(identity).connect("agent", socket).unwrap();
        raw.socket = Socket::Tls(stream);
        raw.begin(&[]);
        raw
    }

    fn begin(&mut self, settings: &[u8]) {
        let first = [PREFACE, &frame(SETTINGS, 0, 0, settings)].concat();
        self.send(&first).unwrap();
    }

    /// A server without TLS to which a client has said that it speaks HTTP/2; `None` where none has.
    pub fn server(socket: TcpStream, settings: &[u8]) -> Option<Raw> {
        let mut raw = Raw::silent(socket);
        let mut preface = [0; PREFACE.len()];
        let mut tcp = raw.tcp();
        tcp.read_exact(&mut preface).ok()?;
        assert_eq!(preface, PREFACE);
        raw.send(&frame(SETTINGS, 0, 0, settings)).ok()?;
        // The client's come first; they hold for both once they are acknowledged.
        raw.next()?;
        raw.send(&frame(SETTINGS, ACK, 0, &[])).ok()?;
        Some(raw)
    }

    /// Waits for the other end's settings, which hold for this one from then on.
    pub fn acknowledge_settings(&mut self) {
        let settings = std::iter::from_fn(|| self.next());
        let is_theirs = |it: &Frame| it.kind == SETTINGS && it.flags & ACK == 0;
        assert!({ settings }.any(|it| is_theirs(&it)), "no settings");
        self.send(&frame(SETTINGS, ACK, 0, &[])).unwrap();
    }

    /// The stream of the next request that is whole; `None` once the client is gone.
    pub fn next_request(&mut self) -> Option<u32> {
        let ends = |it: &Frame| matches!(it.kind, HEADERS | DATA) && it.ends_stream();
        std::iter::from_fn(|| self.next())
            .find(ends)
            .map(|it| it.stream)
    }

    pub fn tcp(&self) -> &TcpStream {
        match &self.socket {
            Socket::Plain(socket) => socket,
            Socket::Tls(stream) => stream.get_ref(),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.socket {
            Socket::Plain(socket) => socket.write_all(bytes),
            Socket::Tls(stream) => stream.write_all(bytes),
        }
    }

    /// Of bytes, at the most; none at the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.socket {
            Socket::Plain(socket) => socket.read(buffer),
            Socket::Tls(stream) => stream.read(buffer),
        }
    }

    /// Throws away what has come; whether the connection is still open.
    pub fn drain(&mut self) -> bool {
        self.tcp().set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 64 << 10];
        let read = loop {
            match self.read(&mut buffer) {
                Ok(1..) => {}
                other => break other,
            }
        };
        self.tcp().set_nonblocking(false).unwrap();
        matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// The next frame; `None` once the other end has closed the connection.
    pub fn next(&mut self) -> Option<Frame> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            if let Some(frame) = self.take_frame() {
                return Some(frame);
            }
            match self.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.arrived.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing came"),
                Err(_) => return None,
            }
        }
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let head = self.arrived.first_chunk::<9>()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if self.arrived.len() < 9 + length {
            return None;
        }
        let rest = self.arrived.split_off(9 + length);
        let bytes = std::mem::replace(&mut self.arrived, rest);
        Some(Frame {
            kind,
            flags,
            stream,
            payload: bytes[9..].to_vec(),
        })
    }

    /// The next frame, if one comes in time.
    pub fn next_within(&mut self, bound: Duration) -> Option<Frame> {
        self.tcp().set_read_timeout(Some(bound)).unwrap();
        let mut buffer = vec![0; 64 << 10];
        let frame = loop {
            if let Some(frame) = self.take_frame() {
                break Some(frame);
            }
            match self.read(&mut buffer) {
                Ok(count @ 1..) => self.arrived.extend_from_slice(&buffer[..count]),
                Ok(0) | Err(_) => break None,
            }
        };
        self.tcp().set_read_timeout(Some(PATIENCE)).unwrap();
        frame
    }

    /// The next one of that type and stream.
    pub fn next_of(&mut self, kind: u8, stream: u32) -> Option<Frame> {
        std::iter::from_fn(|| self.next()).find(|it| it.kind == kind && it.stream == stream)
    }

    /// Waits until the other end has closed the connection; whether it did within the time.
    pub fn is_closed_within(&mut self, bound: Duration) -> bool {
        let deadline = Instant::now() + bound;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.tcp().set_read_timeout(Some(left)).unwrap();
            match self.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
    }
}

fn connector(identity: &Identity) -> SslConnector {
    let mut trusted = X509StoreBuilder::new().unwrap();
    trusted
        .add_cert(X509::from_pem(&identity.ca).unwrap())
        .unwrap();
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_cert_store(trusted.build());
    // Who the other end is does not matter here.
    builder.set_verify(SslVerifyMode::NONE);
    let certificate = X509::from_pem(&identity.certificate).unwrap();
    let key = PKey::private_key_from_pem(&identity.key).unwrap();
    builder.set_certificate(&certificate).unwrap();
    builder.set_private_key(&key).unwrap();
    builder.set_alpn_protos(b"\x02h2").unwrap();
    builder.build()
}

/// A connection from one of the addresses that a machine has for itself, 127.0.0.x.
pub fn connect_from(last: u8, address: &str) -> TcpStream {
    let kind = SockType::Stream;
    let socket = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let ours = SockaddrIn::new(127, 0, 0, last, 0);
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &ours).unwrap();
    let SocketAddr::V4(theirs) = address.parse().unwrap() else {
        panic!("{address} is none of this kind");
    };
    assert_eq!(IpAddr::V4(*theirs.ip()), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let theirs = SockaddrIn::from(theirs);
    connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &theirs).unwrap();
    TcpStream::from(socket)
}
