//! How a figure changes over time.

use std::fmt;

/// A straight line through a figure's minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// By how much of its mean the figure grows in ten minutes.
    pub growth: f64,
    /// The standard error of that.
    pub error: f64,
}

/// `+0.42 ± 0.10 %`.
impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+.2} ± {:.2} %", self.growth * 100.0, self.error * 100.0)
    }
}

impl Trend {
    /// Least squares through the values of successive minutes; `None` for fewer than three. The standard error takes what
    /// the line leaves over for independent from minute to minute.
    pub fn of(minutes: &[f64]) -> Option<Self> {
        let count = minutes.len() as f64;
        if minutes.len() < 3 {
            return None;
        }
        let (mean_at, mean) = ((count - 1.0) / 2.0, minutes.iter().sum::<f64>() / count);
        let points = || minutes.iter().enumerate().map(|(at, value)| (at as f64 - mean_at, value - mean));
        let spread: f64 = points().map(|(at, _)| at * at).sum();
        let slope = points().map(|(at, value)| at * value).sum::<f64>() / spread;
        let left_over: f64 = points().map(|(at, value)| (value - slope * at).powi(2)).sum();
        let error = (left_over / (count - 2.0) / spread).sqrt();
        let in_ten_minutes = 10.0 / mean;
        Some(Self { growth: slope * in_ten_minutes, error: error * in_ten_minutes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_by_a_tenth_of_its_mean_in_ten_minutes_does_so_without_error() {
        let minutes: Vec<f64> = (0..21).map(|minute| 90.0 + f64::from(minute)).collect();
        let trend = Trend::of(&minutes).unwrap();
        assert!((trend.growth - 0.1).abs() < 1e-12, "{trend}");
        assert!(trend.error < 1e-12, "{trend}");
    }

    #[test]
    fn the_error_is_that_of_the_textbook() {
        // Slope 0.6 and standard error 0.2 · √2, from the mean 4 on.
        let trend = Trend::of(&[2.0, 4.0, 5.0, 4.0, 5.0]).unwrap();
        assert!((trend.growth - 1.5).abs() < 1e-12, "{trend}");
        assert!((trend.error - 0.2 * 2_f64.sqrt() * 2.5).abs() < 1e-12, "{trend}");
        assert_eq!(trend.to_string(), "+150.00 ± 70.71 %");
    }

    #[test]
    fn two_points_have_no_error_and_no_trend() {
        assert_eq!(Trend::of(&[1.0, 2.0]), None);
    }
}
