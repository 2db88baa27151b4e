//! Medians, percentiles and ratios: plain functions over plain numbers.

/// The middle of the values, or the mean of the two in the middle; not a number where there are none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 {
        return upper;
    }
    let lower = sorted.get((sorted.len() / 2).wrapping_sub(1)).copied().unwrap_or(f64::NAN);
    f64::midpoint(lower, upper)
}

/// The value below or at which `percent` of the values are, by the nearest rank; the values have to be sorted. Zero
/// where there are none.
#[must_use]
pub fn percentile(sorted: &[u64], percent: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "counts of a run are far below 2^52"
    )]
    let rank = (percent * sorted.len() as f64 / 100.0 - 1e-9).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

/// What the ratios of the rounds come to: a machine that others use too drifts between rounds, and far less within one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The median over the rounds.
    pub median: f64,
    /// The smallest of a round.
    pub least: f64,
    /// The greatest of a round.
    pub most: f64,
    /// How many rounds there were.
    pub rounds: usize,
}

impl Ratio {
    /// Of two contenders' figures, round by round. A round that either lacks is left out.
    #[must_use]
    pub fn of(ours: &[f64], theirs: &[f64]) -> Self {
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        let ratios: Vec<f64> = ratios.into_iter().filter(|ratio| ratio.is_finite()).collect();
        Self {
            median: median(&ratios),
            least: ratios.iter().copied().fold(f64::NAN, f64::min),
            most: ratios.iter().copied().fold(f64::NAN, f64::max),
            rounds: ratios.len(),
        }
    }

    /// Whether the median is at most `bound`; `None` where nothing was measured.
    #[must_use]
    pub fn is_at_most(&self, bound: f64) -> Option<bool> {
        (!self.median.is_nan()).then_some(self.median <= bound)
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.rounds == 0 {
            return f.write_str("—");
        }
        write!(f, "{:.2} ({:.2}–{:.2} in {} rounds)", self.median, self.least, self.most, self.rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let sorted: Vec<u64> = (1..=1_000).collect();
        assert_eq!(
            [50.0, 99.0, 99.9, 100.0].map(|percent| percentile(&sorted, percent)),
            [500, 990, 999, 1_000]
        );
        assert_eq!((percentile(&[7], 99.9), percentile(&[], 50.0)), (7, 0));
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_not_the_ratio_of_medians() {
        let ratio = Ratio::of(&[10.0, 40.0, 30.0], &[10.0, 20.0, 30.0]);
        assert_eq!((ratio.median, ratio.least, ratio.most, ratio.rounds), (1.0, 1.0, 2.0, 3));
        assert_eq!(ratio.to_string(), "1.00 (1.00–2.00 in 3 rounds)");
    }

    #[test]
    fn a_round_that_measured_nothing_does_not_count() {
        let ratio = Ratio::of(&[1.0, f64::NAN, 3.0], &[1.0, 1.0, 0.0]);
        assert_eq!((ratio.median, ratio.rounds), (1.0, 1));
        assert!(Ratio::of(&[], &[]).median.is_nan());
        assert_eq!(Ratio::of(&[], &[]).to_string(), "—");
    }
}
