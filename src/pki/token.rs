//! Enrolment tokens: what an operator carries from the control plane to a new agent.
//!
//! Text form: `<id>.<secret>.<fingerprint of the CA>`, lowercase hexadecimal, 16, 64 and 64
//! digits. The id says which secret, the secret proves both ends to each other and never
//! travels, the fingerprint tells the agent which CA to believe.

use std::fmt;
use std::str::FromStr;

use openssl::rand::rand_bytes;
use thiserror::Error;

use super::constant_time::constant_time_eq;
use super::error::PkiError;

const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const FINGERPRINT_BYTES: usize = 32;

/// Names a token without giving anything away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId([u8; ID_BYTES]);

/// 256 random bits; compared in constant time, never shown by `Debug`.
#[derive(Clone)]
pub struct Secret([u8; SECRET_BYTES]);

/// SHA-256 of a certificate's DER form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; FINGERPRINT_BYTES]);

/// The whole token, secret and all: for whoever makes it and whoever was given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentToken {
    /// Which secret.
    pub id: TokenId,
    /// Shared by the two ends.
    pub secret: Secret,
    /// Of the CA that the new agent is to believe.
    pub ca: Fingerprint,
}

/// What is wrong with a token's text. The text itself is never part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidToken {
    /// Not three parts between dots.
    #[error("a token is three parts between dots; was it copied whole?")]
    Parts,
    /// A part of the wrong length.
    #[error(
        "the token's {part} has {found} characters instead of {expected}; was it copied whole?"
    )]
    Length {
        /// `id`, `secret` or `fingerprint`.
        part: &'static str,
        /// Characters expected.
        expected: usize,
        /// Characters found.
        found: usize,
    },
    /// A part with other characters than 0-9 and a-f.
    #[error("the token's {part} holds a character that is not 0-9 or a-f")]
    Digit {
        /// `id`, `secret` or `fingerprint`.
        part: &'static str,
    },
}

impl EnrolmentToken {
    /// A fresh one for a CA.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate(ca: Fingerprint) -> Result<EnrolmentToken, PkiError> {
        let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        rand_bytes(&mut id)
            .and_then(|()| rand_bytes(&mut secret))
            .map_err(PkiError::crypto("make a token"))?;
        Ok(EnrolmentToken {
            id: TokenId(id),
            secret: Secret(secret),
            ca,
        })
    }

    /// The text form. It holds the secret: show it once and store it nowhere.
    pub fn reveal(&self) -> String {
        format!("{}.{}.{}", self.id, self.secret.reveal(), self.ca)
    }
}

impl FromStr for EnrolmentToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<EnrolmentToken, InvalidToken> {
        let mut parts = text.trim().split('.');
        let (Some(id), Some(secret), Some(ca), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidToken::Parts);
        };
        Ok(EnrolmentToken {
            id: id.parse()?,
            secret: Secret::parse(secret)?,
            ca: ca.parse()?,
        })
    }
}

impl Secret {
    /// For the control plane's store, which must know the secret to check a proof of it.
    pub fn reveal(&self) -> String {
        hex(&self.0)
    }

    /// The reverse of [`Secret::reveal`].
    ///
    /// # Errors
    /// Wrong length or characters.
    pub(crate) fn parse(text: &str) -> Result<Secret, InvalidToken> {
        unhex("secret", text).map(Secret)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Fingerprint {
    /// From the 32 bytes of a SHA-256.
    pub const fn from_sha256(bytes: [u8; FINGERPRINT_BYTES]) -> Fingerprint {
        Fingerprint(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Fingerprint, InvalidToken> {
        unhex("fingerprint", text).map(Fingerprint)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for TokenId {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<TokenId, InvalidToken> {
        unhex("id", text).map(TokenId)
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

fn unhex<const N: usize>(part: &'static str, text: &str) -> Result<[u8; N], InvalidToken> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(InvalidToken::Length {
            part,
            expected: 2 * N,
            found: text.chars().count(),
        });
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
            return Err(InvalidToken::Digit { part });
        };
        *byte = high << 4 | low;
    }
    Ok(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> EnrolmentToken {
        EnrolmentToken::generate(Fingerprint::from_sha256([9; 32])).expect("token")
    }

    #[test]
    fn a_token_survives_its_text_and_no_two_are_alike() {
        let token = token();
        assert_eq!(token.reveal().parse(), Ok(token.clone()));
        assert_eq!(format!(" {}\n", token.reveal()).parse(), Ok(token.clone()));
        assert_ne!(token.secret, super::tests::token().secret);
    }

    #[test]
    fn a_damaged_token_is_refused_with_the_damage() {
        let text = token().reveal();
        let parse = |text: &str| text.parse::<EnrolmentToken>().expect_err("damaged");
        assert_eq!(parse(""), InvalidToken::Parts);
        assert_eq!(parse(&format!("{text}.")), InvalidToken::Parts);
        assert_eq!(
            parse(&text[..text.len() - 1]),
            InvalidToken::Length {
                part: "fingerprint",
                expected: 64,
                found: 63
            }
        );
        let upper = text.replace(|c: char| c.is_ascii_digit(), "A");
        assert_eq!(parse(&upper), InvalidToken::Digit { part: "id" });
        assert!("ä".repeat(8).parse::<TokenId>().is_err());
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let token = token();
        assert!(!format!("{token:?}").contains(&token.secret.reveal()));
    }
}
