//! Choosing one of many by weight in constant time, and the weights of a few big and many small.

use crate::random::{Random, power};

/// A table for weighted choice: Walker's alias method, built as Vose describes (1991).
#[derive(Clone, Debug)]
pub(crate) struct Weighted {
    /// Below the threshold the place itself is chosen, from it on its alias.
    places: Vec<(u32, u32)>,
}

impl Weighted {
    /// A table for weights that are positive and finite; there must be at least one.
    pub(crate) fn new(weights: &[f64]) -> Self {
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let mut scaled: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
        let mut places: Vec<(u32, u32)> = (0..weights.len() as u32).map(|at| (u32::MAX, at)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|at| scaled[*at] < 1.0);
        while let (Some(less), Some(more)) = (small.pop(), large.last().copied()) {
            places[less] = ((scaled[less] * f64::from(u32::MAX)) as u32, more as u32);
            scaled[more] -= 1.0 - scaled[less];
            if scaled[more] < 1.0 {
                large.pop();
                small.push(more);
            }
        }
        Self { places }
    }

    #[inline]
    pub(crate) fn pick(&self, random: &mut Random) -> u32 {
        let word = random.next_u64();
        let at = ((word >> 32) * self.places.len() as u64) >> 32;
        let (threshold, alias) = self.places[at as usize];
        if (word as u32) < threshold { at as u32 } else { alias }
    }
}

/// Zipf's weights: the place with rank `r`, from 1, weighs `1 / r^skew`.
pub(crate) fn zipf(count: u32, skew: f64) -> Vec<f64> {
    (1..=count).map(|rank| power(f64::from(rank), -skew)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_chosen_as_often_as_its_weight_says() {
        let weights = zipf(50, 1.1);
        let table = Weighted::new(&weights);
        let mut random = Random::new(5);
        let mut counts = vec![0_u32; weights.len()];
        for _ in 0..1_000_000 {
            counts[table.pick(&mut random) as usize] += 1;
        }
        let sum: f64 = weights.iter().sum();
        for (count, weight) in counts.iter().zip(&weights) {
            let expected = weight / sum * 1e6;
            assert!((f64::from(*count) - expected).abs() < 5.0 * expected.sqrt(), "{count} {expected}");
        }
    }
}
