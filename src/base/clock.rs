//! Wall-clock time as it is recorded: milliseconds since 1970-01-01 UTC, and its RFC 3339 text.
//!
//! Durations are measured with `std::time::Instant`, never with this clock, which may be set.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in whole milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The system's clock; 1970 if it stands before that.
    pub fn now() -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// From milliseconds since 1970-01-01 UTC.
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Later by `by`, saturating.
    #[must_use]
    pub fn after(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(millis(by)))
    }

    /// Earlier by `by`, saturating.
    #[must_use]
    pub fn before(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(millis(by)))
    }

    /// Time from `earlier` to this moment; zero if the clock went backwards between.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `2026-03-01T12:00:00.125Z` (RFC 3339, UTC, milliseconds).
    pub fn to_rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .map(|time| format!("{time:.3}"))
            .unwrap_or_default()
    }

    /// Reads RFC 3339 with any offset and any number of decimals; what is finer than a
    /// millisecond is cut. `None` for other texts.
    pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
        let time: jiff::Timestamp = text.parse().ok()?;
        Some(Timestamp(time.as_millisecond()))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_written_as_rfc3339_with_milliseconds() {
        let time = Timestamp::from_millis(1_772_366_400_125);
        assert_eq!(time.to_rfc3339(), "2026-03-01T12:00:00.125Z");
        assert_eq!(
            Timestamp::from_millis(0).to_rfc3339(),
            "1970-01-01T00:00:00.000Z"
        );
    }

    #[test]
    fn rfc3339_is_read_with_offsets_and_nanoseconds() {
        for text in [
            "2026-03-01T12:00:00.125Z",
            "2026-03-01T13:00:00.125999999+01:00",
        ] {
            assert_eq!(
                Timestamp::parse_rfc3339(text),
                Some(Timestamp::from_millis(1_772_366_400_125)),
                "{text}"
            );
        }
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn a_clock_set_back_gives_zero_and_not_a_huge_duration() {
        let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(3_500));
        assert_eq!(late.since(early), Duration::from_millis(2_500));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
