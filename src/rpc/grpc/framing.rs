//! Messages in the bytes of a stream: a flag, a length in four bytes, the message.

use super::status::{Code, Status};

const HEAD_BYTES: usize = 5;

/// A message as it goes out.
pub(crate) fn framed(message: &impl prost::Message) -> Vec<u8> {
    let length = message.encoded_len();
    let mut bytes = Vec::with_capacity(HEAD_BYTES + length);
    bytes.push(0);
    // Callers have checked it against a bound that is far below 4 GiB.
    bytes.extend_from_slice(&(length as u32).to_be_bytes());
    message.encode_raw(&mut bytes);
    bytes
}

/// Puts messages together again from pieces of any size. Holds no more than has arrived: a length that
/// is merely announced costs nothing.
#[derive(Debug)]
pub(crate) struct Assembler {
    most: usize,
    if_compressed: Code,
    head: Vec<u8>,
    /// Of the message whose head is complete.
    length: Option<usize>,
    message: Vec<u8>,
}

impl Assembler {
    /// Refuses messages of more than `most` bytes, and compressed ones: for a server that is `UNIMPLEMENTED`, for
    /// a client, who would take that for the server's word, `INTERNAL` (doc/compression.md).
    pub(crate) fn new(most: usize, if_compressed: Code) -> Assembler {
        Assembler {
            most,
            if_compressed,
            head: Vec::with_capacity(HEAD_BYTES),
            length: None,
            message: Vec::new(),
        }
    }

    /// Takes from the front of `bytes` what belongs to the next message; that one, if it is complete.
    ///
    /// # Errors
    /// What the call ends with: too long (`RESOURCE_EXHAUSTED`), or compressed though no compression was
    /// agreed on.
    pub(crate) fn take(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, Status> {
        let length = match self.length {
            Some(length) => length,
            None => {
                move_up_to(HEAD_BYTES, bytes, &mut self.head);
                let Ok([flag, a, b, c, d]) = <[u8; HEAD_BYTES]>::try_from(&*self.head) else {
                    return Ok(None);
                };
                let length = self.checked(flag, u32::from_be_bytes([a, b, c, d]))?;
                self.head.clear();
                self.length = Some(length);
                length
            }
        };
        move_up_to(length, bytes, &mut self.message);
        if self.message.len() < length {
            return Ok(None);
        }
        self.length = None;
        Ok(Some(std::mem::take(&mut self.message)))
    }

    /// Nothing of a message is here.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.head.is_empty() && self.length.is_none()
    }

    /// Bytes of the message that is not complete.
    pub(crate) fn held(&self) -> usize {
        self.message.len()
    }

    fn checked(&self, flag: u8, length: u32) -> Result<usize, Status> {
        if flag != 0 {
            return Err(Status::new(
                self.if_compressed,
                "compressed messages are not understood here",
            ));
        }
        let most = self.most;
        usize::try_from(length)
            .ok()
            .filter(|length| *length <= most)
            .ok_or_else(|| {
                let text = format!("a message of {length} bytes is over the limit of {most}");
                Status::new(Code::ResourceExhausted, text)
            })
    }
}

fn move_up_to(length: usize, from: &mut &[u8], to: &mut Vec<u8>) {
    let count = from.len().min(length - to.len());
    let (now, later) = from.split_at(count);
    to.extend_from_slice(now);
    *from = later;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(flag: u8, message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![flag];
        bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
        bytes.extend_from_slice(message);
        bytes
    }

    fn all(assembler: &mut Assembler, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        loop {
            match assembler.take(&mut bytes).expect("fine") {
                Some(message) => messages.push(message),
                None => return messages,
            }
        }
    }

    #[test]
    fn messages_come_out_whole_wherever_their_bytes_are_cut() {
        let wire = [bytes(0, b"one"), bytes(0, b""), bytes(0, b"three")].concat();
        for cut in 0..=wire.len() {
            let mut assembler = Assembler::new(5, Code::Internal);
            let mut messages = all(&mut assembler, &wire[..cut]);
            messages.extend(all(&mut assembler, &wire[cut..]));
            assert_eq!(messages, [&b"one"[..], b"", b"three"], "cut at {cut}");
            assert!(assembler.is_between_messages());
        }
    }

    #[test]
    fn a_message_that_is_cut_off_is_noticed() {
        let wire = bytes(0, b"one");
        for cut in 1..wire.len() {
            let mut assembler = Assembler::new(5, Code::Internal);
            assert!(all(&mut assembler, &wire[..cut]).is_empty());
            assert!(!assembler.is_between_messages(), "cut at {cut}");
        }
    }

    #[test]
    fn long_and_compressed_messages_are_refused_by_their_head() {
        let mut head = &bytes(0, b"123456")[..HEAD_BYTES];
        let error = Assembler::new(5, Code::Internal)
            .take(&mut head)
            .expect_err("too long");
        assert_eq!(error.code, Code::ResourceExhausted);
        let mut head = &bytes(1, b"1")[..HEAD_BYTES];
        let error = Assembler::new(5, Code::Internal)
            .take(&mut head)
            .expect_err("compressed");
        assert_eq!(error.code, Code::Internal);
    }
}
