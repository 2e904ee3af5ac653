//! Numbers from bytes: the same values as `str::parse`, without the detour over `str` where it can be avoided.

/// 10^0 to 10^22, the powers of ten that an `f64` holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Places of a `DECIMAL`.
const DECIMAL_PLACES: i32 = 9;

/// What `str::parse::<f64>` gives for these bytes.
///
/// Up to 19 digits without exponent whose digits fit 53 bits are one exact division (W. D. Clinger, "How to Read
/// Floating Point Numbers Accurately", 1990, the fast path); all else goes to the standard library.
#[inline]
pub(crate) fn double(bytes: &[u8]) -> Option<f64> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut mantissa = 0_u64;
    let mut places = None;
    if digits.is_empty() || digits.len() > 19 {
        return slow_double(bytes);
    }
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa * 10 + u64::from(byte - b'0'),
            b'.' if places.is_none() && digits.len() > 1 => places = Some(digits.len() - 1 - at),
            _ => return slow_double(bytes),
        }
    }
    if mantissa > 1 << 53 {
        return slow_double(bytes);
    }
    let value = mantissa as f64 / EXACT_POWERS[places.unwrap_or(0)];
    Some(if negative { -value } else { value })
}

#[cold]
fn slow_double(bytes: &[u8]) -> Option<f64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// A whole number; a fraction of zeros (`12.0`) is no harm.
#[inline]
pub(crate) fn integer(bytes: &[u8]) -> Option<i128> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let whole = match memchr::memchr(b'.', digits) {
        Some(dot) if dot > 0 && digits[dot + 1..].iter().all(|byte| *byte == b'0') => &digits[..dot],
        Some(_) => return None,
        None => digits,
    };
    if whole.is_empty() || whole.len() > 38 {
        return None;
    }
    let value = if whole.len() <= 19 {
        let mut value = 0_u64;
        for byte in whole {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        }
        i128::from(value)
    } else {
        let mut value = 0_i128;
        for byte in whole {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value * 10 + i128::from(byte - b'0');
        }
        value
    };
    Some(if negative { -value } else { value })
}

/// Why a text is no `DECIMAL`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DecimalFault {
    NotANumber,
    TooManyPlaces,
    OutOfRange,
}

/// A decimal in units of 10^-9, exactly. An exponent is understood; digits behind the ninth place must be 0.
pub(crate) fn decimal(bytes: &[u8]) -> Result<i128, DecimalFault> {
    use DecimalFault::{NotANumber, OutOfRange, TooManyPlaces};
    let (number, exponent) = match bytes.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => {
            let exponent = integer(&bytes[at + 1..]).ok_or(NotANumber)?;
            (&bytes[..at], i32::try_from(exponent).map_err(|_| OutOfRange)?)
        }
        None => (bytes, 0),
    };
    let (negative, number) = match number {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let dot = number.iter().position(|byte| *byte == b'.').unwrap_or(number.len());
    let fraction = number.get(dot + 1..).unwrap_or_default();
    if dot + fraction.len() == 0 || dot > 4096 || fraction.len() > 4096 {
        return Err(NotANumber);
    }
    let mut units = 0_i128;
    // The place of the digit that comes next: 0 for the ninth behind the point.
    let mut place = dot as i64 + i64::from(exponent) + i64::from(DECIMAL_PLACES);
    for byte in number[..dot].iter().chain(fraction) {
        if !byte.is_ascii_digit() {
            return Err(NotANumber);
        }
        place -= 1;
        let digit = i128::from(byte - b'0');
        if place >= 0 {
            units = units.checked_mul(10).and_then(|units| units.checked_add(digit)).ok_or(OutOfRange)?;
        } else if digit != 0 {
            return Err(TooManyPlaces);
        }
    }
    for _ in 0..place.max(0) {
        if units == 0 {
            break;
        }
        units = units.checked_mul(10).ok_or(OutOfRange)?;
    }
    Ok(if negative { -units } else { units })
}

/// The `DECIMAL` of `units` times 10^-`scale`.
pub(crate) fn rescaled(units: i128, scale: u32) -> Result<i128, DecimalFault> {
    let places = DECIMAL_PLACES as u32;
    if scale <= places {
        return units.checked_mul(10_i128.pow(places - scale)).ok_or(DecimalFault::OutOfRange);
    }
    match 10_i128.checked_pow(scale - places) {
        Some(divisor) if units % divisor == 0 => Ok(units / divisor),
        None if units == 0 => Ok(0),
        _ => Err(DecimalFault::TooManyPlaces),
    }
}

/// `units` times 10^-`scale` as the nearest `f64`.
pub(crate) fn double_of_decimal(units: i128, scale: u32) -> f64 {
    if units.unsigned_abs() <= 1 << 53 && scale < EXACT_POWERS.len() as u32 {
        return units as f64 / EXACT_POWERS[scale as usize];
    }
    format!("{units}e-{scale}").parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn doubles_are_those_of_the_standard_library() {
        for text in [
            "0",
            "-0",
            "1.",
            ".5",
            ".",
            "",
            "-",
            "+1",
            "1e5",
            "1.5e-7",
            "15.929999999999999",
            "28155.1",
            "9007199254740993",
            "9007199254740992",
            "99999999999999999999",
            "0.000000000000000001",
            "1..2",
            "1,5",
            "0x10",
            "1_000",
            "inf",
            "-inf",
            "nan",
            "1 ",
            "00012.50",
            "-.",
            "123456789.123456789",
        ] {
            let expected = text.parse::<f64>().ok().map(f64::to_bits);
            assert_eq!(double(text.as_bytes()).map(f64::to_bits), expected, "{text:?}");
        }
    }

    #[test]
    fn whole_numbers() {
        assert_eq!(integer(b"-12.00"), Some(-12));
        assert_eq!(integer(b"+7"), Some(7));
        assert_eq!(integer(b"9999999999999999999"), Some(9_999_999_999_999_999_999));
        assert_eq!(integer(b"18446744073709551616"), Some(18_446_744_073_709_551_616));
        for bad in ["", "-", "1.5", ".0", "1e3", "0x1", "12a", "1 2", "1.0.0"] {
            assert_eq!(integer(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(decimal(b"1.5"), Ok(1_500_000_000));
        assert_eq!(decimal(b"-0.000000001"), Ok(-1));
        assert_eq!(decimal(b"1e-9"), Ok(1));
        assert_eq!(decimal(b"1.25E2"), Ok(125_000_000_000));
        assert_eq!(decimal(b"0.1000000000000"), Ok(100_000_000));
        assert_eq!(decimal(b"0.0000000001"), Err(DecimalFault::TooManyPlaces));
        assert_eq!(decimal(b"1e-10"), Err(DecimalFault::TooManyPlaces));
        assert_eq!(decimal(b"0e9999999"), Ok(0));
        assert_eq!(decimal(b"1e9999999"), Err(DecimalFault::OutOfRange));
        assert_eq!(decimal(b"1e99999999999"), Err(DecimalFault::OutOfRange));
        for bad in ["", ".", "-", "1.2.3", "nan", "1,000", "e5"] {
            assert_eq!(decimal(bad.as_bytes()), Err(DecimalFault::NotANumber), "{bad:?}");
        }
        assert_eq!(rescaled(15, 1), Ok(1_500_000_000));
        assert_eq!(rescaled(1_500, 12), Err(DecimalFault::TooManyPlaces));
        assert_eq!(rescaled(5_000, 12), Ok(5));
        assert_eq!(double_of_decimal(2815510, 2), 28155.1);
        assert_eq!(
            double_of_decimal(123_456_789_012_345_678_901, 9),
            "123456789012.345678901".parse::<f64>().unwrap()
        );
    }

    proptest! {
        #[test]
        fn any_digits_parse_as_the_standard_library_does(text in "-?[0-9]{0,20}(\\.[0-9]{0,20})?(e-?[0-9]{1,2})?") {
            let expected = text.parse::<f64>().ok().map(f64::to_bits);
            prop_assert_eq!(double(text.as_bytes()).map(f64::to_bits), expected);
        }

        #[test]
        fn any_double_comes_back(value in proptest::num::f64::NORMAL) {
            prop_assert_eq!(double(value.to_string().as_bytes()).map(f64::to_bits), Some(value.to_bits()));
        }

        #[test]
        fn a_decimal_is_its_digits(units in -(10_i128.pow(30))..10_i128.pow(30)) {
            let sign = if units < 0 { "-" } else { "" };
            let size = units.unsigned_abs();
            let text = format!("{sign}{}.{:09}", size / 1_000_000_000, size % 1_000_000_000);
            prop_assert_eq!(decimal(text.as_bytes()), Ok(units));
        }
    }
}
