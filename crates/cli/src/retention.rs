//! How much a database keeps, as the user writes it: `trades=90d,quotes=30d/200GiB,*=1y`.

use std::time::Duration;

use tapebook::{RetentionOptions, RetentionPolicy};

const DAY_SECONDS: u64 = 24 * 60 * 60;
/// Units of an age, in seconds.
const AGES: [(&str, u64); 6] = [
    ("s", 1),
    ("min", 60),
    ("h", 60 * 60),
    ("d", DAY_SECONDS),
    ("w", 7 * DAY_SECONDS),
    ("y", 365 * DAY_SECONDS),
];
/// Units of a size, in bytes.
const SIZES: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Tables with an age, a size or both; `*` is every other table, and `all` keeps everything. Nothing sets no bounds.
/// Whether there is such a table, the database says.
pub(crate) fn parse(text: &str) -> Result<RetentionOptions, String> {
    let mut options = RetentionOptions::default();
    let mut default = None;
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((table, limits)) = part.split_once('=') else {
            return Err(format!("{part}: write TABLE=AGE, TABLE=SIZE or TABLE=AGE/SIZE, as in trades=90d"));
        };
        let policy = policy(limits.trim()).map_err(|reason| format!("{part}: {reason}"))?;
        let before = match table.trim() {
            "*" => default.replace(policy),
            table => options.tables.insert(table.to_owned(), policy),
        };
        if before.is_some() {
            return Err(format!("{part}: {} is there twice", table.trim()));
        }
    }
    options.default = default.unwrap_or_default();
    Ok(options)
}

/// The same as text, which is parsed as the same options.
pub(crate) fn show(options: &RetentionOptions) -> String {
    let mut parts: Vec<String> =
        options.tables.iter().map(|(table, policy)| format!("{table}={}", show_policy(policy))).collect();
    if options.default != RetentionPolicy::default() {
        parts.push(format!("*={}", show_policy(&options.default)));
    }
    parts.join(",")
}

fn show_policy(policy: &RetentionPolicy) -> String {
    let in_units = |number: u64, units: &[(&str, u64)]| {
        let fits = units.iter().rev().find(|(_, scale)| number.is_multiple_of(*scale));
        fits.map_or_else(|| number.to_string(), |(unit, scale)| format!("{}{unit}", number / scale))
    };
    let age = policy.age_max.map(|age| in_units(age.as_secs(), &AGES));
    let bytes = policy.bytes_max.map(|bytes| in_units(bytes, &SIZES));
    let limits: Vec<String> = age.into_iter().chain(bytes).collect();
    if limits.is_empty() { "all".to_owned() } else { limits.join("/") }
}

fn policy(limits: &str) -> Result<RetentionPolicy, String> {
    let mut policy = RetentionPolicy::default();
    if limits == "all" {
        return Ok(policy);
    }
    for limit in limits.split('/').map(str::trim) {
        let digits = limit.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = limit.split_at(digits);
        let scaled = |scale: u64| {
            let number = number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale));
            number
                .filter(|number| *number > 0)
                .ok_or_else(|| format!("{limit}: not a number that can be kept"))
        };
        let of =
            |units: &[(&str, u64)]| units.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
        let twice = match (of(&AGES), of(&SIZES)) {
            (Some(scale), _) => policy.age_max.replace(Duration::from_secs(scaled(scale)?)).is_some(),
            (_, Some(scale)) => policy.bytes_max.replace(scaled(scale)?).is_some(),
            (None, None) => {
                let names = AGES.iter().chain(&SIZES).map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                return Err(format!("{limit:?}: a number and one of {names}, or `all`"));
            }
        };
        if twice {
            return Err(format!("{limit}: a second bound of its kind"));
        }
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(days: Option<u64>, bytes_max: Option<u64>) -> RetentionPolicy {
        RetentionPolicy { age_max: days.map(|days| Duration::from_secs(days * DAY_SECONDS)), bytes_max }
    }

    #[test]
    fn tables_have_an_age_a_size_or_both() {
        let parsed = parse("trades=90d, quotes=30d/200GiB,bars=64KiB,orders=all,*=1y").unwrap();
        let expected = [
            ("trades", policy(Some(90), None)),
            ("quotes", policy(Some(30), Some(200 << 30))),
            ("bars", policy(None, Some(64 << 10))),
            ("orders", policy(None, None)),
        ];
        let expected = expected.map(|(name, policy)| (name.to_owned(), policy)).into();
        assert_eq!(parsed, RetentionOptions { tables: expected, default: policy(Some(365), None) });
        assert_eq!(parse(&show(&parsed)), Ok(parsed));
        assert_eq!(show(&RetentionOptions::default()), "");
        assert_eq!(parse("*=36h"), parse("*=2160min"));
        assert_eq!(parse("*=2w"), parse("*=1209600s"));
        assert_eq!(parse(" "), Ok(RetentionOptions::default()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_part_that_is_wrong() {
        for (text, part) in [
            ("90d", "90d: write TABLE=AGE"),
            ("trades=", "a number and one of s, min, h"),
            ("trades=90", "\"90\""),
            ("trades=90m", "\"90m\""),
            ("trades=5GB", "\"5GB\""),
            ("trades=-1d", "\"-1d\""),
            ("trades=0d", "0d: not a number that can be kept"),
            ("trades=99999999999999999999d", "not a number"),
            ("trades=1TiB/2TiB", "2TiB: a second bound"),
            ("trades=1d,trades=2d", "trades=2d: trades is there twice"),
            ("*=1d,*=2d", "* is there twice"),
            ("*=all,*=2d", "* is there twice"),
        ] {
            let reason = parse(text).unwrap_err();
            assert!(reason.contains(part), "{text}: {reason}");
        }
    }
}
