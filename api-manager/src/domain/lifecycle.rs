//! The life of an API: which moves there are, and what each means at the gateway.

/// Where an API is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Made, not callable.
    Created,
    /// Callable.
    Published,
    /// Not callable for now: the gateway answers 503, code 700700.
    Blocked,
    /// Callable by those who have subscribed; no new subscriptions.
    Deprecated,
    /// Gone for good: the gateway answers 404.
    Retired,
}

/// A move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes it callable.
    Publish,
    /// Takes it back to `Created`.
    Demote,
    /// Stops its traffic for now.
    Block,
    /// Lets traffic pass again.
    Republish,
    /// Closes it to new subscriptions.
    Deprecate,
    /// Ends it.
    Retire,
}

impl State {
    /// The wire spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Published => "published",
            Self::Blocked => "blocked",
            Self::Deprecated => "deprecated",
            Self::Retired => "retired",
        }
    }

    /// Reads the wire spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Created, Self::Published, Self::Blocked, Self::Deprecated, Self::Retired]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}
