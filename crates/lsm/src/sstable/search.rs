//! Finds a place in something sorted, beginning where it should be.
//!
//! Interpolation gives the guess, widening steps the bounds, halving the place. Evenly spread keys take a few looks;
//! the worst case is about twice a binary search, whatever the keys are.

use std::convert::Infallible;

/// The number of items at the front for which `before` holds, of `count`; `guess` says where that should be.
pub(super) fn partition<E>(
    count: u64,
    guess: u64,
    mut step: u64,
    mut before: impl FnMut(u64) -> Result<bool, E>,
) -> Result<u64, E> {
    let (mut from, mut to) = (0, count);
    if count == 0 {
        return Ok(0);
    }
    let guess = guess.min(count - 1);
    if before(guess)? {
        from = guess + 1;
        while from + step < to {
            if !before(from + step)? {
                to = from + step;
                break;
            }
            from += step + 1;
            step *= 2;
        }
    } else {
        to = guess;
        while step <= to {
            if before(to - step)? {
                from = to - step + 1;
                break;
            }
            to -= step;
            step *= 2;
        }
    }
    while from < to {
        let middle = from.midpoint(to);
        if before(middle)? { from = middle + 1 } else { to = middle }
    }
    Ok(from)
}

/// The same where looking cannot fail.
#[inline]
pub(super) fn partition_at(count: usize, guess: usize, step: u64, before: impl Fn(usize) -> bool) -> usize {
    let before = |at| Ok::<_, Infallible>(before(at as usize));
    let Ok(at) = partition(count as u64, guess as u64, step, before);
    at as usize
}

/// Where `at` should lie among `count` items that are spread evenly from `first` to `last`.
#[inline]
pub(super) fn interpolate(first: i64, last: i64, at: i64, count: usize) -> usize {
    if at <= first || last <= first {
        return 0;
    }
    let share = at.wrapping_sub(first) as u64 as f64 / last.wrapping_sub(first) as u64 as f64;
    (share * count as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guess_leads_to_the_place() {
        for count in 0..40 {
            for place in 0..=count {
                for guess in 0..count + 2 {
                    for step in [1, 4, 16] {
                        assert_eq!(partition_at(count, guess, step, |at| at < place), place);
                    }
                }
            }
        }
    }

    #[test]
    fn interpolation_stays_in_bounds_at_the_ends_of_time() {
        assert_eq!(interpolate(i64::MIN, i64::MAX, 0, 100), 50);
        assert_eq!(interpolate(i64::MIN, i64::MAX, i64::MIN, 100), 0);
        assert_eq!(interpolate(0, 0, 5, 100), 0);
        assert!(interpolate(0, 10, i64::MAX, 100) > 100);
    }
}
