//! What one contender showed in one round, and the rounds of all contenders side by side.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::outcome::Table;
use crate::statistics::{Ratio, median};

/// One contender in one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Answers that came, of whatever status.
    pub requests: u64,
    /// Answers that are none of 2xx and 3xx, time-outs, and connections that failed or broke.
    pub failures: u64,
    /// How long the load lasted.
    pub seconds: f64,
    /// The median latency, in milliseconds.
    pub p50: f64,
    /// The 99th percentile, in milliseconds.
    pub p99: f64,
    /// The 99.9th percentile, in milliseconds.
    pub p999: f64,
    /// CPU time of the contender's processes per answer, in microseconds; not a number where it cannot be told apart.
    #[serde(deserialize_with = "number")]
    pub cpu: f64,
    /// Resident memory of the contender's processes when the load ended, in MiB.
    pub resident: f64,
    /// The 99th percentile of each of its turns, in milliseconds; zero where a turn had no answer, and none at all where
    /// somebody else's load was used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tails: Vec<f64>,
}

impl Sample {
    /// Answers a second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// So much of the CPU for all of them, in microseconds an answer.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
    pub fn each(&self, spent: Duration) -> f64 {
        spent.as_secs_f64() * 1e6 / self.requests as f64
    }

    /// Tells whoever started the run of it.
    pub fn shows(&self, title: &str, round: usize, name: &str) {
        let (rate, Self { cpu, p99, failures, .. }) = (self.rate(), self);
        eprintln!(
            "{title}: round {round}, {name}: {rate:.0}/s, CPU {cpu:.1} µs, p99 {p99:.2} ms, {failures} failures"
        );
    }
}

/// JSON has no word for what is not a number but `null`.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Option::deserialize(deserializer).map(|number| number.unwrap_or(f64::NAN))
}

/// The samples of several contenders under the same load, round by round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What the load is.
    pub title: String,
    /// The contenders in the order of their turns, each with a sample a round.
    pub contenders: Vec<(String, Vec<Sample>)>,
}

impl Comparison {
    /// One without contenders yet.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), contenders: Vec::new() }
    }

    /// Keeps a contender's sample of the next round.
    pub fn add(&mut self, contender: &str, sample: Sample) {
        match self.contenders.iter_mut().find(|(name, _)| name == contender) {
            Some((_, samples)) => samples.push(sample),
            None => self.contenders.push((contender.to_owned(), vec![sample])),
        }
    }

    /// A figure of a contender, round by round; empty where it took no part.
    #[must_use]
    pub fn figures(&self, contender: &str, figure: fn(&Sample) -> f64) -> Vec<f64> {
        self.samples(contender).map(figure).collect()
    }

    /// The median of a figure over the rounds.
    #[must_use]
    pub fn median(&self, contender: &str, figure: fn(&Sample) -> f64) -> f64 {
        median(&self.figures(contender, figure))
    }

    /// How a figure of one contender stands to another's, each round on its own.
    #[must_use]
    pub fn ratio(&self, ours: &str, theirs: &str, figure: fn(&Sample) -> f64) -> Ratio {
        Ratio::of(&self.figures(ours, figure), &self.figures(theirs, figure))
    }

    /// How the 99th percentile of one contender's turns stands to that of another's, each turn on its own. A turn in which either
    /// had no answer is left out.
    #[must_use]
    pub fn tails(&self, ours: &str, theirs: &str) -> Ratio {
        let tail = |tail: &f64| if *tail > 0.0 { *tail } else { f64::NAN };
        let tails = |of| self.samples(of).flat_map(|sample| &sample.tails).map(tail).collect::<Vec<_>>();
        Ratio::of(&tails(ours), &tails(theirs))
    }

    /// All failures of a contender.
    #[must_use]
    pub fn failures(&self, contender: &str) -> u64 {
        self.samples(contender).map(|sample| sample.failures).sum()
    }

    fn samples(&self, contender: &str) -> impl Iterator<Item = &Sample> {
        self.contenders.iter().filter(move |(name, _)| name == contender).flat_map(|(_, samples)| samples)
    }

    /// The medians as a table; the last column is CPU against the first contender, by round.
    #[must_use]
    pub fn table(&self) -> Table {
        let columns = [
            "",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "CPU µs/request",
            "resident MiB",
            "answers",
            "failures",
            "CPU: first / this",
        ];
        let mut table = Table::new(self.title.clone(), &columns);
        let first = self.contenders.first().map(|(name, _)| name.clone()).unwrap_or_default();
        for (name, samples) in &self.contenders {
            let answers: u64 = samples.iter().map(|sample| sample.requests).sum();
            let (cpu, ratio) = (self.median(name, |s| s.cpu), self.ratio(&first, name, |s| s.cpu));
            table.row(&[
                name.clone(),
                format!("{:.0}", self.median(name, Sample::rate)),
                format!("{:.2}", self.median(name, |s| s.p50)),
                format!("{:.2}", self.median(name, |s| s.p99)),
                format!("{:.2}", self.median(name, |s| s.p999)),
                if cpu.is_nan() { "—".to_owned() } else { format!("{cpu:.1}") },
                format!("{:.1}", self.median(name, |s| s.resident)),
                answers.to_string(),
                self.failures(name).to_string(),
                if *name == first || ratio.rounds == 0 { "—".to_owned() } else { ratio.to_string() },
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cpu: f64, requests: u64, failures: u64) -> Sample {
        Sample { requests, failures, seconds: 2.0, cpu, ..Sample::default() }
    }

    fn comparison() -> Comparison {
        let mut comparison = Comparison::new("plain");
        for (ours, theirs) in [(20.0, 25.0), (40.0, 20.0), (18.0, 20.0)] {
            comparison.add("ours", sample(ours, 1_000, 0));
            comparison.add("theirs", sample(theirs, 2_000, 1));
        }
        comparison
    }

    #[test]
    fn contenders_are_compared_within_their_round() {
        let comparison = comparison();
        assert_eq!(comparison.ratio("ours", "theirs", |s| s.cpu).median, 0.9);
        assert_eq!(comparison.median("ours", Sample::rate), 500.0);
        assert!(comparison.ratio("ours", "nobody", |s| s.cpu).median.is_nan());
    }

    #[test]
    fn the_tails_of_turns_are_compared_turn_by_turn_over_all_rounds() {
        let mut comparison = Comparison::new("plain");
        for (ours, theirs) in [(vec![1.0, 9.0], vec![2.0, 3.0]), (vec![3.0, 0.0], vec![3.0, 1.0])] {
            comparison.add("ours", Sample { tails: ours, ..sample(1.0, 1, 0) });
            comparison.add("theirs", Sample { tails: theirs, ..sample(1.0, 1, 0) });
        }
        let ratio = comparison.tails("ours", "theirs");
        assert_eq!((ratio.median, ratio.least, ratio.most, ratio.rounds), (1.0, 0.5, 3.0, 3));
    }

    #[test]
    fn what_cannot_be_told_apart_is_a_dash_and_survives_being_kept() {
        let mut comparison = comparison();
        comparison.add("beside", sample(f64::NAN, 1, 0));
        let kept = serde_json::to_string(&comparison).unwrap();
        let read: Comparison = serde_json::from_str(&kept).unwrap();
        let table = read.table();
        let beside = table.rows.last().unwrap();
        assert_eq!((beside[5].as_str(), beside[9].as_str()), ("—", "—"));
    }

    #[test]
    fn the_table_shows_medians_and_every_failure() {
        let table = comparison().table();
        let theirs = table.rows.last().unwrap();
        assert_eq!(theirs.first().unwrap(), "theirs");
        assert_eq!(theirs.get(1).unwrap(), "1000");
        assert_eq!(theirs.get(5).unwrap(), "20.0");
        assert_eq!(theirs.get(8).unwrap(), "3");
        assert_eq!(theirs.get(9).unwrap(), "0.90 (0.80–2.00 in 3 rounds)");
    }
}
