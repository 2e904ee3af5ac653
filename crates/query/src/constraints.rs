//! What a WHERE clause says about symbol, time and sequence.

use std::collections::BTreeSet;

use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator, expr::InList};
use datafusion::scalar::ScalarValue;
use tapebook::TimeRange;

/// The part of a filter that a scan applies itself, exactly.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Constraints {
    /// The symbols that can match; `None` for all.
    pub symbols: Option<BTreeSet<String>>,
    /// The event times that can match.
    pub times: TimeRange,
    /// The first and last sequence number that can match.
    pub seqs: (u64, u64),
}

impl Constraints {
    pub(crate) const NONE: Self = Self { symbols: None, times: TimeRange::ALL, seqs: (0, u64::MAX) };

    /// What `expr` says, where it says it completely; `None` where somebody else must evaluate it.
    pub(crate) fn of(expr: &Expr) -> Option<Self> {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                Some(Self::of(left)?.and(Self::of(right)?))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
                (Expr::Column(column), Expr::Literal(value, _)) => Self::compare(&column.name, *op, value),
                (Expr::Literal(value, _), Expr::Column(column)) => {
                    Self::compare(&column.name, op.swap()?, value)
                }
                _ => None,
            },
            Expr::Between(Between { expr, negated: false, low, high }) => {
                let (Expr::Column(column), Expr::Literal(low, _), Expr::Literal(high, _)) =
                    (&**expr, &**low, &**high)
                else {
                    return None;
                };
                let low = Self::compare(&column.name, Operator::GtEq, low)?;
                Some(low.and(Self::compare(&column.name, Operator::LtEq, high)?))
            }
            Expr::InList(InList { expr, list, negated: false }) => {
                let Expr::Column(column) = &**expr else { return None };
                if column.name != "symbol" {
                    return None;
                }
                let names = list.iter().map(|item| match item {
                    Expr::Literal(value, _) => text(value).map(str::to_owned),
                    _ => None,
                });
                Some(Self { symbols: Some(names.collect::<Option<_>>()?), ..Self::NONE })
            }
            _ => None,
        }
    }

    /// What holds where both hold.
    pub(crate) fn and(self, other: Self) -> Self {
        let symbols = match (self.symbols, other.symbols) {
            (Some(a), Some(b)) => Some(a.intersection(&b).cloned().collect()),
            (a, b) => a.or(b),
        };
        let times = TimeRange {
            first: self.times.first.max(other.times.first),
            last: self.times.last.min(other.times.last),
        };
        let seqs = (self.seqs.0.max(other.seqs.0), self.seqs.1.min(other.seqs.1));
        Self { symbols, times, seqs }
    }

    fn compare(column: &str, op: Operator, value: &ScalarValue) -> Option<Self> {
        match column {
            "symbol" if op == Operator::Eq => {
                Some(Self { symbols: Some(BTreeSet::from([text(value)?.to_owned()])), ..Self::NONE })
            }
            "ts" => {
                let ScalarValue::TimestampNanosecond(Some(ts), _) = value else { return None };
                let times = match op {
                    Operator::Eq => TimeRange { first: *ts, last: *ts },
                    Operator::GtEq => TimeRange { first: *ts, ..TimeRange::ALL },
                    Operator::LtEq => TimeRange { last: *ts, ..TimeRange::ALL },
                    Operator::Gt => ts
                        .checked_add(1)
                        .map_or(TimeRange::EMPTY, |first| TimeRange { first, ..TimeRange::ALL }),
                    Operator::Lt => ts
                        .checked_sub(1)
                        .map_or(TimeRange::EMPTY, |last| TimeRange { last, ..TimeRange::ALL }),
                    _ => return None,
                };
                Some(Self { times, ..Self::NONE })
            }
            "seq" => {
                let ScalarValue::UInt64(Some(seq)) = value else { return None };
                let seqs = match op {
                    Operator::Eq => (*seq, *seq),
                    Operator::GtEq => (*seq, u64::MAX),
                    Operator::LtEq => (0, *seq),
                    Operator::Gt => seq.checked_add(1).map_or((1, 0), |first| (first, u64::MAX)),
                    Operator::Lt => seq.checked_sub(1).map_or((1, 0), |last| (0, last)),
                    _ => return None,
                };
                Some(Self { seqs, ..Self::NONE })
            }
            _ => None,
        }
    }
}

fn text(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
        | ScalarValue::LargeUtf8(Some(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit};

    fn at(nanos: i64) -> Expr {
        Expr::Literal(ScalarValue::TimestampNanosecond(Some(nanos), Some("UTC".into())), None)
    }

    #[test]
    fn comparisons_become_ranges_from_either_side() {
        let expr = col("ts").gt_eq(at(5)).and(at(9).gt(col("ts"))).and(lit("A").eq(col("symbol")));
        let found = Constraints::of(&expr).unwrap();
        assert_eq!(found.times, TimeRange { first: 5, last: 8 });
        assert_eq!(found.symbols, Some(BTreeSet::from(["A".to_owned()])));
        let found = Constraints::of(&col("seq").between(lit(3_u64), lit(4_u64))).unwrap();
        assert_eq!(found.seqs, (3, 4));
    }

    #[test]
    fn what_a_scan_cannot_decide_is_left_to_others() {
        for expr in [
            col("price").gt(lit(1.0)),
            col("symbol").not_eq(lit("A")),
            col("ts").gt(at(1)).or(col("ts").lt(at(0))),
            col("ts").gt(lit("2024-01-01")),
            Expr::InList(InList { expr: Box::new(col("symbol")), list: vec![lit("A")], negated: true }),
        ] {
            assert_eq!(Constraints::of(&expr), None, "{expr}");
        }
    }

    #[test]
    fn the_ends_of_the_ranges_do_not_wrap() {
        assert!(Constraints::of(&col("ts").gt(at(i64::MAX))).unwrap().times.is_empty());
        let seqs = Constraints::of(&col("seq").lt(lit(0_u64))).unwrap().seqs;
        assert!(seqs.0 > seqs.1);
    }
}
