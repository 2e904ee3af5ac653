//! Randomness that is the same on every machine: the generator, and distributions made of exact arithmetic only.
//!
//! It does not use the platform's `ln` and `exp`, which may differ in the last bit from one C library to another,
//! and it is no source of secrets.

/// A seeded generator: xoshiro256++ (Blackman and Vigna, 2019), its state filled by SplitMix64.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The generator for a seed; every seed is as good as any other.
    pub fn new(seed: u64) -> Self {
        let mut mix = seed;
        let state = std::array::from_fn(|_| {
            mix = mix.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = mix;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ (word >> 31)
        });
        Self { state }
    }

    /// 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let word = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let c = c ^ a;
        let d = d ^ b;
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        word
    }

    /// A number from 0 to `bound` - 1; 0 where `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included; `low` where there is nothing between them.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = high.saturating_sub(low).max(0) as u64;
        low.saturating_add(self.below(span.saturating_add(1)) as i64)
    }

    /// A number from 0 up to, but not including, 1.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in `share` of all cases.
    #[inline]
    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// A waiting time with this mean: the gaps of events that happen independently of each other.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * ln(1.0 - self.unit())
    }

    /// A bell curve around 0 with a standard deviation of 1: the sum of four uniform numbers, so never beyond ±3.47.
    pub fn bell(&mut self) -> f64 {
        let sum = self.unit() + self.unit() + self.unit() + self.unit();
        (sum - 2.0) * 1.732_050_807_568_877_2
    }
}

/// The natural logarithm of a positive, normal number, by the series of the inverse hyperbolic tangent.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let mut series = 0.0;
    for odd in (1..=21).rev().step_by(2) {
        series = series * square + 1.0 / f64::from(odd);
    }
    2.0 * ratio * series + exponent as f64 * std::f64::consts::LN_2
}

/// `base` to the power of `exponent` for a positive base; the exponential by its series.
pub(crate) fn power(base: f64, exponent: f64) -> f64 {
    let x = ln(base) * exponent;
    let doublings = (x / std::f64::consts::LN_2).round().clamp(-1022.0, 1023.0);
    let rest = x - doublings * std::f64::consts::LN_2;
    let mut series = 1.0;
    for term in (1..=20).rev() {
        series = 1.0 + series * rest / f64::from(term);
    }
    series * f64::from_bits(((doublings as i64 + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_are_those_of_the_published_generator() {
        // Computed by hand from the reference's definition for the state 1, 2, 3, 4.
        let mut random = Random { state: [1, 2, 3, 4] };
        assert_eq!(random.next_u64(), 41_943_041);
        assert_eq!(random.next_u64(), 58_720_359);
        assert_eq!(random.next_u64(), 3_588_806_011_781_223);
    }

    #[test]
    fn logarithm_and_power_agree_with_the_library() {
        for x in [1e-300_f64, 1e-9, 0.3, 0.999_999, 1.0, 1.414, 1.415, 2.0, 1e9] {
            assert!((ln(x) - x.ln()).abs() <= 1e-14 * x.ln().abs().max(1.0), "{x}");
        }
        for (base, exponent) in [(2.0, 0.5), (7.0, -1.1), (5_000.0, -0.9), (10.0, 3.0)] {
            let expected = f64::powf(base, exponent);
            assert!((power(base, exponent) / expected - 1.0).abs() < 1e-13, "{base} {exponent}");
        }
    }

    #[test]
    fn the_means_are_as_stated() {
        let mut random = Random::new(7);
        let count = 100_000;
        let exponential: f64 = (0..count).map(|_| random.exponential(3.0)).sum::<f64>() / f64::from(count);
        let bell: Vec<f64> = (0..count).map(|_| random.bell()).collect();
        let variance = bell.iter().map(|x| x * x).sum::<f64>() / f64::from(count);
        assert!((exponential - 3.0).abs() < 0.05, "{exponential}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
        assert!((0..1000).all(|_| (-2..=2).contains(&random.between(-2, 2))));
        assert_eq!(random.between(5, 4), 5);
    }
}
