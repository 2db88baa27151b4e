//! What was called, how often, and what it cost.

use shared_claims::clock::UnixTime;

use super::ids::{ApiId, ApplicationId};

/// Over which time counts are kept together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// A minute.
    Minute,
    /// A day in UTC.
    Day,
}

impl Period {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Minute, Self::Day];

    /// The wire spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
        }
    }

    /// Its length, in seconds.
    #[must_use]
    pub fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Day => 86_400,
        }
    }

    /// How long its counts are kept, in seconds.
    #[must_use]
    pub fn kept(self) -> i64 {
        match self {
            Self::Minute => 2 * 86_400,
            Self::Day => 400 * 86_400,
        }
    }

    /// The longest range that can be asked for at once, in seconds.
    #[must_use]
    pub fn longest_range(self) -> i64 {
        match self {
            Self::Minute => 86_400,
            Self::Day => 400 * 86_400,
        }
    }

    /// When the period that `moment` belongs to began.
    #[must_use]
    pub fn start_of(self, moment: UnixTime) -> UnixTime {
        UnixTime(moment.0.saturating_sub(moment.0.rem_euclid(self.seconds())))
    }
}

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// The API, where one was reached.
    pub api: Option<ApiId>,
    /// The application, where one was known.
    pub application: Option<ApplicationId>,
    /// Method and path as declared, such as `GET /pets/{id}`; empty where there was no such operation.
    pub operation: String,
    /// The status of the answers.
    pub status: u16,
}

/// Sums over calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls that were answered, or given up.
    pub calls: i64,
    /// Those answered with 400 and above, and those whose answer broke off.
    pub errors: i64,
    /// Microseconds that backends took until the heads of their answers.
    pub backend_us: i64,
    /// Microseconds that the gateway itself took until the heads of the answers.
    pub gateway_us: i64,
    /// Bytes of request bodies.
    pub bytes_in: i64,
    /// Bytes of answers' bodies.
    pub bytes_out: i64,
}

impl Totals {
    /// Adds what came besides.
    pub fn add(&mut self, other: &Self) {
        let sum = |a: &mut i64, b: i64| *a = a.saturating_add(b);
        sum(&mut self.calls, other.calls);
        sum(&mut self.errors, other.errors);
        sum(&mut self.backend_us, other.backend_us);
        sum(&mut self.gateway_us, other.gateway_us);
        sum(&mut self.bytes_in, other.bytes_in);
        sum(&mut self.bytes_out, other.bytes_out);
    }
}

/// Counts of one minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// When the minute began.
    pub minute: UnixTime,
    /// What was called.
    pub line: Line,
    /// The sums.
    pub totals: Totals,
}

/// What the sums are told apart by, besides time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    /// By API.
    pub api: bool,
    /// By application.
    pub application: bool,
    /// By operation.
    pub operation: bool,
    /// By status.
    pub status: bool,
}

/// Which counts are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Minutes or days.
    pub period: Period,
    /// The first moment.
    pub from: UnixTime,
    /// The first moment past the last.
    pub to: UnixTime,
    /// What they are told apart by.
    pub grouping: Grouping,
    /// Of one API only.
    pub api: Option<ApiId>,
    /// Of one application only.
    pub application: Option<ApplicationId>,
    /// Of the APIs and applications of one owner only.
    pub owner: Option<String>,
    /// How many groups are skipped.
    pub skip: i64,
    /// How many are given at most.
    pub rows: i64,
}

/// The sums of one group; what it is not told apart by is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// When the period began.
    pub starts_at: UnixTime,
    /// The API's id, or empty.
    pub api: String,
    /// The application's id, or empty.
    pub application: String,
    /// The operation, or empty.
    pub operation: String,
    /// The status, or 0.
    pub status: i64,
    /// The sums.
    pub totals: Totals,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_belongs_to_the_minute_and_the_day_that_began_last() {
        let moment = UnixTime(1_800_000_059);
        assert_eq!(Period::Minute.start_of(moment), UnixTime(1_800_000_000));
        assert_eq!(Period::Day.start_of(moment).rfc3339(), "2027-01-15T00:00:00Z");
        assert_eq!(Period::Day.start_of(UnixTime(0)), UnixTime(0));
    }
}
