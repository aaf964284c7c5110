//! One client's socket, plain or under TLS, without ever blocking.
//!
//! Invariant: `WouldBlock` comes with [`Transport::wants`], the readiness to wait for; under TLS
//! a read may have to wait until the socket can be written.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use nix::sys::socket::{setsockopt, sockopt};
use openssl::ssl::{Error, ErrorCode, Ssl, SslContext, SslStream};

/// A readiness of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Interest {
    Read,
    Write,
}

/// Shared, because shutdown(2) must reach the socket while a worker uses it.
#[derive(Debug, Clone)]
pub(super) struct Socket(pub(super) Arc<TcpStream>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct Transport {
    socket: Socket,
    layer: Layer,
    wants: Interest,
}

enum Layer {
    Plain,
    /// No TLS state is kept for a client that has not said a word: it costs some 10 KiB.
    Untouched(SslContext),
    Tls(Box<SslStream<Socket>>),
}

impl Transport {
    pub(super) fn new(socket: TcpStream, tls: Option<SslContext>) -> Transport {
        Transport {
            socket: Socket(Arc::new(socket)),
            layer: tls.map_or(Layer::Plain, Layer::Untouched),
            wants: Interest::Read,
        }
    }

    pub(super) fn socket(&self) -> &Arc<TcpStream> {
        &self.socket.0
    }

    pub(super) fn is_tls(&self) -> bool {
        match self.layer {
            Layer::Plain => false,
            Layer::Untouched(_) | Layer::Tls(_) => true,
        }
    }

    /// What to wait for after `WouldBlock`.
    pub(super) fn wants(&self) -> Interest {
        self.wants
    }

    /// Whether bytes are at hand that the socket's readiness will not announce.
    pub(super) fn has_buffered(&self) -> bool {
        match &self.layer {
            Layer::Plain | Layer::Untouched(_) => false,
            Layer::Tls(stream) => stream.ssl().pending() > 0,
        }
    }

    /// One step of the handshake; done when it returns Ok.
    pub(super) fn handshake(&mut self) -> io::Result<()> {
        if let Layer::Untouched(context) = &self.layer {
            let stream = SslStream::new(Ssl::new(context)?, self.socket.clone())?;
            self.layer = Layer::Tls(Box::new(stream));
        }
        match &mut self.layer {
            Layer::Plain | Layer::Untouched(_) => Ok(()),
            Layer::Tls(stream) => stream
                .accept()
                .map_err(|error| blocked_or_failed(error, &mut self.wants)),
        }
    }

    /// Reads what is there; 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.layer {
            Layer::Plain => {
                self.wants = Interest::Read;
                self.socket.read(buffer)
            }
            Layer::Untouched(_) => Err(io::ErrorKind::NotConnected.into()),
            Layer::Tls(stream) => match stream.ssl_read(buffer) {
                Ok(read) => Ok(read),
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => Ok(0),
                Err(error) => Err(blocked_or_failed(error, &mut self.wants)),
            },
        }
    }

    /// Writes what the socket takes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.layer {
            Layer::Plain => {
                self.wants = Interest::Write;
                self.socket.write(bytes)
            }
            Layer::Untouched(_) => Err(io::ErrorKind::NotConnected.into()),
            Layer::Tls(stream) => stream
                .ssl_write(bytes)
                .map_err(|error| blocked_or_failed(error, &mut self.wants)),
        }
    }

    /// Says that nothing more will be written; what the client still sends can be read.
    pub(super) fn finish_writing(&mut self) {
        if let Layer::Tls(stream) = &mut self.layer {
            // Best effort: a close_notify that does not fit is not worth waiting for.
            let _ = stream.shutdown();
        }
        // Fails only where there is no connection any more.
        let _ = self.socket.0.shutdown(Shutdown::Write);
    }

    /// Makes the coming close a reset: the client must not take what it has for the whole.
    pub(super) fn reset_on_close(&self) {
        let at_once = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        // Fails only where there is no connection any more.
        let _ = setsockopt(&*self.socket.0, sockopt::Linger, &at_once);
    }

    /// Takes raw bytes off the socket, TLS or not, for a client that is no longer listened to.
    pub(super) fn discard(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wants = Interest::Read;
        self.socket.read(buffer)
    }
}

fn blocked_or_failed(error: Error, wants: &mut Interest) -> io::Error {
    match error.code() {
        ErrorCode::WANT_READ => {
            *wants = Interest::Read;
            io::ErrorKind::WouldBlock.into()
        }
        ErrorCode::WANT_WRITE => {
            *wants = Interest::Write;
            io::ErrorKind::WouldBlock.into()
        }
        _ => error
            .into_io_error()
            // As a text, which has its cause in it already.
            .unwrap_or_else(|error| {
                io::Error::new(io::ErrorKind::ConnectionAborted, error.to_string())
            }),
    }
}
