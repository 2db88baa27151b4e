//! What a scenario hands back, as it is kept in `benches/results` and shown in `BENCHMARKS.md`.

use serde::{Deserialize, Serialize};

use crate::machine::Circumstances;
use crate::sample::Comparison;
use crate::statistics::Ratio;

/// Everything of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its heading.
    pub title: String,
    /// What is measured and how, in a few sentences.
    pub about: String,
    /// The targets, and whether each is met.
    pub verdicts: Vec<Verdict>,
    /// The figures of contenders, with every sample.
    pub comparisons: Vec<Comparison>,
    /// Other figures.
    pub tables: Vec<Table>,
    /// Who should have taken part and is not on this machine.
    pub missing: Vec<String>,
    /// The commands that made the load.
    pub commands: Vec<String>,
    /// Where and when; filled in by whoever runs the scenario.
    pub circumstances: Circumstances,
}

/// A target and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What was asked for.
    pub target: String,
    /// What was measured.
    pub figure: String,
    /// Whether that is enough; `None` where it cannot be told.
    pub met: Option<bool>,
}

/// Figures in rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What is in it.
    pub title: String,
    /// The heads of its columns.
    pub columns: Vec<String>,
    /// Its rows, each as long as the columns.
    pub rows: Vec<Vec<String>>,
}

impl Outcome {
    /// One without figures yet.
    #[must_use]
    pub fn new(title: &str, about: &str) -> Self {
        Self {
            title: title.to_owned(),
            about: about.split_whitespace().collect::<Vec<_>>().join(" "),
            verdicts: Vec::new(),
            comparisons: Vec::new(),
            tables: Vec::new(),
            missing: Vec::new(),
            commands: Vec::new(),
            circumstances: Circumstances::default(),
        }
    }

    /// Judges a ratio: at most `bound` is enough.
    pub fn at_most(&mut self, target: &str, ratio: Ratio, bound: f64) {
        self.verdict(target, ratio.to_string(), ratio.is_at_most(bound));
    }

    /// Judges a ratio: at least `bound` is enough.
    pub fn at_least(&mut self, target: &str, ratio: Ratio, bound: f64) {
        let met = (!ratio.median.is_nan()).then_some(ratio.median >= bound);
        self.verdict(target, ratio.to_string(), met);
    }

    /// Judges a figure in whatever way.
    pub fn verdict(&mut self, target: &str, figure: impl Into<String>, met: Option<bool>) {
        self.verdicts.push(Verdict { target: target.to_owned(), figure: figure.into(), met });
    }

    /// Notes a command once, however many rounds it ran.
    pub fn command(&mut self, command: impl Into<String>) {
        let command = command.into();
        if !self.commands.contains(&command) {
            self.commands.push(command);
        }
    }
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Self { title: title.into(), columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_neither_met_nor_missed() {
        let mut outcome = Outcome::new("t", "one\n    two");
        outcome.at_most("half", Ratio::of(&[1.0], &[2.0]), 0.5);
        outcome.at_most("less", Ratio::of(&[1.0], &[2.0]), 0.4);
        outcome.at_most("of nobody", Ratio::of(&[1.0], &[]), 1.0);
        outcome.at_least("half", Ratio::of(&[1.0], &[2.0]), 0.5);
        outcome.at_least("more", Ratio::of(&[1.0], &[2.0]), 0.6);
        outcome.at_least("of nobody", Ratio::of(&[], &[2.0]), 0.6);

        let met: Vec<Option<bool>> = outcome.verdicts.iter().map(|verdict| verdict.met).collect();

        assert_eq!(met, [Some(true), Some(false), None].repeat(2));
        assert_eq!(outcome.about, "one two");
    }

    #[test]
    fn a_command_is_noted_once() {
        let mut outcome = Outcome::new("t", "");
        outcome.command("wrk");
        outcome.command("wrk");
        assert_eq!(outcome.commands, ["wrk"]);
    }
}
