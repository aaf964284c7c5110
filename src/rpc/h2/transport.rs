//! What lies between the socket and the frames: TLS, or nothing. Works on memory, so that nobody waits
//! for a socket while he holds a connection's lock.

use std::io::{self, Read, Write};

use openssl::error::ErrorStack;
use openssl::ssl::{ErrorCode, Ssl, SslRef, SslStream};
use thiserror::Error;

/// Of one TLS record (RFC 8446, section 5.1).
const RECORD_MOST: usize = 16 << 10;

/// The bytes of the other end cannot be understood.
#[derive(Debug, Error)]
pub(in crate::rpc) enum TransportError {
    /// It ended its side of TLS.
    #[error("the other end closed the connection")]
    Closed,
    /// It broke TLS, or could not show who it is.
    #[error("TLS with the other end failed")]
    Tls(#[source] openssl::ssl::Error),
    /// OpenSSL failed before anything was sent.
    #[error("TLS could not be set up")]
    Setup(#[from] ErrorStack),
}

/// How bytes on the socket and frames become one another.
pub(in crate::rpc) enum Transport {
    /// The bytes are the frames.
    Plain,
    /// They are sealed.
    Tls(Box<SslStream<Pipe>>),
}

/// The two directions of a TLS connection's sealed bytes.
#[derive(Debug, Default)]
pub(in crate::rpc) struct Pipe {
    arrived: Vec<u8>,
    /// Of `arrived`, how much OpenSSL has read.
    read: usize,
    to_send: Vec<u8>,
}

/// Which part of the handshake this end has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rpc) enum Opening {
    Connect,
    Accept,
}

impl Transport {
    /// Before its handshake.
    pub(in crate::rpc) fn tls(ssl: Ssl) -> Result<Transport, TransportError> {
        Ok(Transport::Tls(Box::new(SslStream::new(
            ssl,
            Pipe::default(),
        )?)))
    }

    /// Goes on with the handshake by what has arrived; whether it is complete. Without TLS it is.
    ///
    /// # Errors
    /// See [`TransportError`]; what tells the other end is to be sent then, too.
    pub(in crate::rpc) fn shake_hands(
        &mut self,
        opening: Opening,
        arrived: &[u8],
    ) -> Result<bool, TransportError> {
        let Transport::Tls(stream) = self else {
            return Ok(true);
        };
        stream.get_mut().arrived.extend_from_slice(arrived);
        let result = match opening {
            Opening::Connect => stream.connect(),
            Opening::Accept => stream.accept(),
        };
        match result {
            Ok(()) => Ok(true),
            Err(error) if error.code() == ErrorCode::WANT_READ => Ok(false),
            Err(error) => Err(TransportError::Tls(error)),
        }
    }

    /// Appends to `frames` what `arrived` means.
    ///
    /// # Errors
    /// See [`TransportError`].
    pub(in crate::rpc) fn open(
        &mut self,
        arrived: &[u8],
        frames: &mut Vec<u8>,
    ) -> Result<(), TransportError> {
        let Transport::Tls(stream) = self else {
            frames.extend_from_slice(arrived);
            return Ok(());
        };
        stream.get_mut().arrived.extend_from_slice(arrived);
        loop {
            let filled = frames.len();
            frames.resize(filled + RECORD_MOST, 0);
            let result = stream.ssl_read(&mut frames[filled..]);
            frames.truncate(filled + result.as_ref().copied().unwrap_or(0));
            match result {
                Ok(_) => {}
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(()),
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    return Err(TransportError::Closed);
                }
                Err(error) => return Err(TransportError::Tls(error)),
            }
        }
    }

    /// Seals frames; they then stand in [`Transport::take_sealed`].
    ///
    /// # Errors
    /// See [`TransportError`].
    pub(in crate::rpc) fn seal(
        &mut self,
        frames: &[u8],
        sealed: &mut Vec<u8>,
    ) -> Result<(), TransportError> {
        match self {
            Transport::Plain => sealed.extend_from_slice(frames),
            Transport::Tls(stream) => {
                let mut rest = frames;
                while !rest.is_empty() {
                    let count = stream.ssl_write(rest).map_err(TransportError::Tls)?;
                    rest = &rest[count..];
                }
                self.take_sealed(sealed);
            }
        }
        Ok(())
    }

    /// Appends what TLS itself has to say, too: its handshake, tickets, alerts.
    pub(in crate::rpc) fn take_sealed(&mut self, sealed: &mut Vec<u8>) {
        if let Transport::Tls(stream) = self {
            sealed.append(&mut stream.get_mut().to_send);
        }
    }

    /// Of a connection with TLS.
    pub(in crate::rpc) fn ssl(&self) -> Option<&SslRef> {
        match self {
            Transport::Plain => None,
            Transport::Tls(stream) => Some(stream.ssl()),
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = &self.arrived[self.read..];
        if rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = rest.read(buffer)?;
        self.read += count;
        if self.read == self.arrived.len() {
            self.arrived.clear();
            self.read = 0;
        }
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.to_send.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
