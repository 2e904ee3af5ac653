//! What schedules came across, added up.

use std::collections::BTreeMap;
use std::fmt;

/// Counters by name, so that a new kind of operation or fault needs no field of its own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    counts: BTreeMap<(Group, String), u64>,
}

/// What a counter belongs to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Group {
    /// What was asked of the database.
    Operation,
    /// How lives ended.
    End,
    /// Faults that came to pass.
    Fault,
    /// Damage at rest, by what and where.
    Damage,
    /// What came of it.
    Outcome,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operation => "operations",
            Self::End => "ends of a process",
            Self::Fault => "faults",
            Self::Damage => "damage at rest",
            Self::Outcome => "outcomes",
        })
    }
}

impl Totals {
    pub(crate) fn count(&mut self, group: Group, name: impl fmt::Display) {
        *self.counts.entry((group, name.to_string())).or_default() += 1;
    }

    /// Adds the counters of another schedule.
    pub fn add(&mut self, other: &Self) {
        for (key, count) in &other.counts {
            *self.counts.entry(key.clone()).or_default() += count;
        }
    }

    /// A counter; 0 where nothing was counted.
    pub fn of(&self, group: Group, name: &str) -> u64 {
        self.counts.get(&(group, name.to_owned())).copied().unwrap_or(0)
    }

    /// All counters of a group together.
    pub fn sum(&self, group: Group) -> u64 {
        self.counts.iter().filter(|((of, _), _)| *of == group).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in [Group::Operation, Group::End, Group::Fault, Group::Damage, Group::Outcome] {
            writeln!(f, "{group}: {}", self.sum(group))?;
            for ((_, name), count) in self.counts.iter().filter(|((of, _), _)| *of == group) {
                writeln!(f, "  {count:>9} {name}")?;
            }
        }
        Ok(())
    }
}
