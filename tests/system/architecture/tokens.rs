//! Rust's text as tokens: what is code, what is a string, what is neither.
//!
//! As exact as the checks need: comments are left out (nested ones too), strings and characters are one
//! token each whatever is in them, and every other sign stands alone.

/// A piece of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    /// An identifier's name, a string's contents as they are written, a sign.
    pub text: String,
    /// Counted from 1.
    pub line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name or a keyword.
    Name,
    /// A string of any sort.
    String,
    /// A character, a byte, a number or a lifetime.
    Other,
    Sign,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        self.text == text && self.kind != Kind::String
    }

    pub fn is_name(&self) -> bool {
        self.kind == Kind::Name
    }
}

/// All tokens of a text.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut reader = Reader {
        rest: text,
        line: 1,
        tokens: Vec::new(),
    };
    while reader.step() {}
    reader.tokens
}

/// The place behind the bracket that closes the one at `open`, or the end.
pub fn behind_closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.kind != Kind::Sign {
            continue;
        }
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Reader<'_> {
    /// Takes one token, comment or space; nothing at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else {
            return false;
        };
        if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.skip(block_comment(self.rest));
        } else if let Some(string) = Quoted::starting(self.rest) {
            self.take(Kind::String, string.contents, string.length);
        } else if first == '\'' {
            self.character_or_lifetime();
        } else if is_of_name(first) {
            self.name_or_number(first);
        } else {
            self.take(Kind::Sign, 0..first.len_utf8(), first.len_utf8());
        }
        true
    }

    fn name_or_number(&mut self, first: char) {
        let raw = if self.rest.starts_with("r#") { 2 } else { 0 };
        let length = self.rest[raw..]
            .find(|c| !is_of_name(c))
            .map_or(self.rest.len(), |length| length + raw);
        // b'x'.
        if &self.rest[..length] == "b" && self.rest[length..].starts_with('\'') {
            self.skip(length);
            return self.character_or_lifetime();
        }
        let kind = if first.is_ascii_digit() {
            Kind::Other
        } else {
            Kind::Name
        };
        self.take(kind, raw..length, length);
    }

    fn character_or_lifetime(&mut self) {
        let inner: Vec<char> = self.rest[1..].chars().take(2).collect();
        let length = match inner[..] {
            ['\\', escaped] => {
                let escape = 2 + escaped.len_utf8();
                self.rest[escape..].find('\'').map(|end| escape + end + 1)
            }
            [one, '\''] => Some(2 + one.len_utf8()),
            _ => None,
        };
        let length = length.unwrap_or_else(|| {
            let name = self.rest[1..].find(|c| !is_of_name(c));
            name.map_or(self.rest.len(), |name| name + 1)
        });
        self.take(Kind::Other, 0..length, length);
    }

    fn take(&mut self, kind: Kind, contents: std::ops::Range<usize>, length: usize) {
        self.tokens.push(Token {
            kind,
            text: self.rest[contents].to_owned(),
            line: self.line,
        });
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

/// `br` and `cr`.
const LONGEST_PREFIX: usize = 2;

/// A string at the start of a text.
struct Quoted {
    contents: std::ops::Range<usize>,
    length: usize,
}

impl Quoted {
    fn starting(text: &str) -> Option<Quoted> {
        let letters = text.bytes().take_while(|letter| b"bcr".contains(letter));
        let prefix = letters.take(LONGEST_PREFIX).count();
        let (letters, quoted) = text.split_at(prefix);
        match letters {
            "" | "b" | "c" => Quoted::escaped(quoted, prefix),
            "r" | "br" | "cr" => Quoted::raw(quoted, prefix),
            _ => None,
        }
    }

    fn escaped(quoted: &str, prefix: usize) -> Option<Quoted> {
        let inner = quoted.strip_prefix('"')?;
        let mut signs = inner.char_indices();
        let end = loop {
            match signs.next() {
                Some((_, '\\')) => drop(signs.next()),
                Some((end, '"')) => break end,
                Some(_) => {}
                None => break inner.len(),
            }
        };
        Some(Quoted::of(prefix, 1, end, inner.len(), 1))
    }

    fn raw(quoted: &str, prefix: usize) -> Option<Quoted> {
        let hashes = quoted.len() - quoted.trim_start_matches('#').len();
        let inner = quoted[hashes..].strip_prefix('"')?;
        let closing = format!("\"{}", "#".repeat(hashes));
        let end = inner.find(&closing).unwrap_or(inner.len());
        Some(Quoted::of(
            prefix,
            hashes + 1,
            end,
            inner.len(),
            closing.len(),
        ))
    }

    fn of(prefix: usize, opening: usize, end: usize, rest: usize, closing: usize) -> Quoted {
        let start = prefix + opening;
        Quoted {
            contents: start..start + end,
            length: start + rest.min(end + closing),
        }
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn is_of_name(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}
