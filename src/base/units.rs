//! Quantities that carry their unit, and the texts in which people write them.

use std::fmt;
use std::time::Duration;

/// A whole number of mebibytes (2^20 bytes). Where the contract says MB of memory, it means these:
/// the kernel's own limits are set and reported in powers of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mib(pub u64);

impl Mib {
    /// As bytes, saturating.
    pub const fn bytes(self) -> u64 {
        self.0.saturating_mul(1 << 20)
    }

    /// The least that holds so many bytes: less than one would read as nothing.
    pub(crate) const fn rounded_up(bytes: u64) -> Mib {
        Mib(bytes.div_ceil(1 << 20))
    }
}

impl fmt::Display for Mib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0)
    }
}

/// Reads `250ms`, `30s`, `5m`, `2h` or a bare number of seconds.
///
/// # Errors
/// What was expected, ready to follow a field's name: not one of those forms, or too large.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "a number with ms, s, m or h, such as 30s";
    let text = text.trim();
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let number: u64 = number
        .parse()
        .map_err(|_| format!("expected {EXPECTED}, found {text:?}"))?;
    let millis_per_unit = match unit.trim_start() {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("expected {EXPECTED}, found {text:?}")),
    };
    number
        .checked_mul(millis_per_unit)
        // A hundred years: beyond it, deadline arithmetic on Instant could overflow.
        .filter(|&millis| millis <= 100 * 366 * 24 * 3_600_000)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is longer than 100 years"))
}

/// The shortest of the forms that [`parse_duration`] reads back as the same duration, to the
/// millisecond.
pub(crate) fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".to_owned(),
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("{}s", millis / 1_000),
        _ => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_all_their_forms() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("30", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            (" 10 s ", 10_000),
            ("0", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_what_was_expected() {
        for text in [
            "",
            "s",
            "-1s",
            "1.5s",
            "10 days",
            "99999999999999999999s",
            "99999999h",
        ] {
            let error = parse_duration(text).expect_err(text);
            assert!(
                error.contains("expected") || error.contains("100 years"),
                "{error}"
            );
        }
    }

    #[test]
    fn formatting_reads_back() {
        for text in ["250ms", "30s", "5m", "2h", "90s", "0s"] {
            let duration = parse_duration(text).expect(text);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
