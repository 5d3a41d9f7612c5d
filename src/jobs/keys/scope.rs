//! What a key is for.

use std::fmt;
use std::str::FromStr;

/// A kind of wishes that a key may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Speech, and the jobs of this key.
    Speak,
    /// Adding, renaming and removing voices.
    Voices,
    /// Everything: models, settings, keys, everybody's jobs.
    Admin,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Speak, Self::Voices, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Speak => "speak",
            Self::Voices => "voices",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Not one of the three words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is speak, voices or admin, not {0:?}")]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        known.ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

/// What a key may do: at least one scope, each once.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// `None` for no scope at all: such a key could do nothing.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Option<Self> {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.is_empty() { None } else { Some(Self(scopes)) }
    }

    /// Every scope: what everybody has where keys are off.
    pub fn all() -> Self {
        Self(Scope::ALL.to_vec())
    }

    /// Whether this is allowed; to an administrator, everything is.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::Admin)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|scope| scope.as_str()).collect();
        formatter.pad(&words.join(","))
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scopes = text.split(',').map(|word| word.trim().parse()).collect::<Result<Vec<_>, _>>()?;
        Self::new(scopes).ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_from_their_words_and_admin_is_all_of_them() {
        let scopes: Scopes = "voices, speak,voices".parse().unwrap();
        assert_eq!(scopes.to_string(), "speak,voices");
        assert_eq!(scopes.to_string().parse(), Ok(scopes.clone()));
        assert!(scopes.allow(Scope::Speak) && !scopes.allow(Scope::Admin));
        let admin: Scopes = "admin".parse().unwrap();
        assert!(Scope::ALL.into_iter().all(|scope| admin.allow(scope)));
        for wrong in ["", "speak,", "root", "Admin"] {
            assert!(wrong.parse::<Scopes>().is_err(), "{wrong:?}");
        }
        assert_eq!(Scopes::new([]), None);
    }
}
