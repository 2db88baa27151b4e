//! One step of a decision that is explained to people.

/// How one step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// It holds.
    Passed,
    /// It does not; the decision ends here.
    Failed,
    /// A step before it failed.
    NotReached,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name; that of the claim where it is about one.
    pub name: &'static str,
    /// How it went.
    pub state: CheckState,
    /// What it asks for.
    pub expected: String,
    /// What it saw, where it was reached.
    pub seen: Option<String>,
    /// What to do, where it failed.
    pub remedy: Option<&'static str>,
}
