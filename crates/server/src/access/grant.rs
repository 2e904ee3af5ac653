//! What a caller may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What a caller may do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// How much.
    pub role: Role,
    /// Only with these tables; `None`: with all.
    pub tables: Option<BTreeSet<String>>,
}

/// Roles; a later one may do what an earlier one may, but for [`Role::Node`], which stands apart.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Another node of the cluster: consensus, and nothing else.
    Node,
    /// Reads and subscribes.
    Read,
    /// Appends.
    Write,
    /// Flushes, backs up, makes tokens, reads `sys`.
    Admin,
}

/// What a call needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Right {
    /// To read.
    Read,
    /// To append.
    Write,
    /// To administer.
    Admin,
    /// To be another node.
    Node,
}

/// Why a grant makes no sense.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GrantError {
    /// No such role.
    #[error("there is no role {found:?}; there are read, write, admin and node")]
    UnknownRole {
        /// What was found.
        found: String,
    },
    /// An administrator or a node of some tables only.
    #[error("the role {role} is for all tables; only read and write can be held to some")]
    TablesOfRole {
        /// The role.
        role: Role,
    },
}

impl Grant {
    /// Everything but to be a node.
    pub fn everything() -> Self {
        Self { role: Role::Admin, tables: None }
    }

    /// A role with some tables, or with all where none is named.
    pub fn new(role: Role, tables: impl IntoIterator<Item = String>) -> Result<Self, GrantError> {
        let tables: BTreeSet<String> = tables.into_iter().collect();
        match (role, tables.is_empty()) {
            (_, true) => Ok(Self { role, tables: None }),
            (Role::Read | Role::Write, false) => Ok(Self { role, tables: Some(tables) }),
            (role, false) => Err(GrantError::TablesOfRole { role }),
        }
    }

    /// True where a right is among what is granted.
    pub fn allows(&self, right: Right, table: Option<&str>) -> bool {
        let enough = match right {
            Right::Read => self.role >= Role::Read,
            Right::Write => self.role >= Role::Write,
            Right::Admin => self.role == Role::Admin,
            Right::Node => self.role == Role::Node,
        };
        let within = match (&self.tables, table) {
            (Some(tables), Some(table)) => tables.contains(table),
            (Some(_), None) | (None, _) => true,
        };
        enough && within
    }
}

impl Role {
    /// Its name, in certificates, tokens and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let named =
            [Self::Node, Self::Read, Self::Write, Self::Admin].into_iter().find(|role| role.name() == text);
        named.ok_or_else(|| GrantError::UnknownRole { found: text.chars().take(32).collect() })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.role)?;
        let Some(tables) = &self.tables else { return Ok(()) };
        for (place, table) in tables.iter().enumerate() {
            write!(f, "{}{table}", if place == 0 { " of " } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "administer",
            Self::Node => "take part as a node",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_what_smaller_ones_may_and_a_node_nothing_else() {
        let rights = [Right::Read, Right::Write, Right::Admin, Right::Node];
        for (role, expected) in [
            (Role::Read, [true, false, false, false]),
            (Role::Write, [true, true, false, false]),
            (Role::Admin, [true, true, true, false]),
            (Role::Node, [false, false, false, true]),
        ] {
            let grant = Grant::new(role, []).unwrap();
            assert_eq!(rights.map(|right| grant.allows(right, Some("trades"))), expected, "{role}");
        }
    }

    #[test]
    fn tables_bound_what_is_about_a_table() {
        let grant = Grant::new(Role::Write, ["trades".to_owned()]).unwrap();
        assert!(grant.allows(Right::Write, Some("trades")) && grant.allows(Right::Read, None));
        assert!(!grant.allows(Right::Write, Some("quotes")) && !grant.allows(Right::Read, Some("quotes")));
        let refused = Grant::new(Role::Admin, ["trades".to_owned()]);
        assert_eq!(refused, Err(GrantError::TablesOfRole { role: Role::Admin }));
    }
}
