//! The life of an API: which moves there are, and what each means at the gateway.

use shared_claims::clock::UnixTime;

use super::ids::{ApiId, LifecycleEventId};

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

/// A move that the state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IllegalMove {
    /// Where the API is.
    pub state: State,
    /// The moves that it allows.
    pub legal: &'static [Action],
}

/// A move that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id; they sort by time.
    pub id: LifecycleEventId,
    /// Of which API.
    pub api_id: ApiId,
    /// What was done.
    pub action: Action,
    /// Where the API was.
    pub from: State,
    /// Where it came to.
    pub to: State,
    /// By whom.
    pub actor: String,
    /// When.
    pub at: UnixTime,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Created, Self::Published, Self::Blocked, Self::Deprecated, Self::Retired];

    /// The moves that this state allows.
    #[must_use]
    pub fn legal_actions(self) -> &'static [Action] {
        match self {
            Self::Created => &[Action::Publish],
            // Publishing again changes nothing but the history, so that a repeated script does not fail.
            Self::Published => &[Action::Publish, Action::Block, Action::Deprecate, Action::Demote],
            Self::Blocked => &[Action::Republish, Action::Deprecate],
            Self::Deprecated => &[Action::Retire],
            Self::Retired => &[],
        }
    }

    /// Where `action` leads.
    ///
    /// # Errors
    /// [`IllegalMove`], with the moves that would do.
    pub fn apply(self, action: Action) -> Result<Self, IllegalMove> {
        let legal = self.legal_actions();
        if !legal.contains(&action) {
            return Err(IllegalMove { state: self, legal });
        }
        Ok(match action {
            Action::Publish | Action::Republish => Self::Published,
            Action::Demote => Self::Created,
            Action::Block => Self::Blocked,
            Action::Deprecate => Self::Deprecated,
            Action::Retire => Self::Retired,
        })
    }

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
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Publish, Self::Demote, Self::Block, Self::Republish, Self::Deprecate, Self::Retire];

    /// The wire spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Demote => "demote",
            Self::Block => "block",
            Self::Republish => "republish",
            Self::Deprecate => "deprecate",
            Self::Retire => "retire",
        }
    }

    /// Reads the wire spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

impl std::fmt::Display for IllegalMove {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let legal: Vec<&str> = self.legal.iter().map(|action| action.as_str()).collect();
        write!(f, "the API is {}, which allows ", self.state.as_str())?;
        if legal.is_empty() { f.write_str("no action any more") } else { f.write_str(&legal.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_moves_is_this_one_and_no_other() {
        use {Action::*, State::*};
        let table = [
            (Created, Publish, Published),
            (Published, Publish, Published),
            (Published, Block, Blocked),
            (Published, Deprecate, Deprecated),
            (Published, Demote, Created),
            (Blocked, Republish, Published),
            (Blocked, Deprecate, Deprecated),
            (Deprecated, Retire, Retired),
        ];

        for state in State::ALL {
            for action in Action::ALL {
                let listed = table.iter().find(|(from, by, _)| (*from, *by) == (state, action));
                assert_eq!(state.apply(action).ok(), listed.map(|(_, _, to)| *to), "{state:?} {action:?}");
            }
        }
    }

    #[test]
    fn a_refusal_names_the_state_and_the_legal_moves() {
        let refused = State::Blocked.apply(Action::Publish).unwrap_err();
        assert_eq!(refused.to_string(), "the API is blocked, which allows republish, deprecate");
        let ended = State::Retired.apply(Action::Publish).unwrap_err();
        assert_eq!(ended.to_string(), "the API is retired, which allows no action any more");
    }

    #[test]
    fn every_word_reads_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(action));
        }
        assert_eq!(Action::parse("Publish"), None);
    }
}
