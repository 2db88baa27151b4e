//! The stages that storage and journeys are tested on: SQLite, and PostgreSQL in a container.
//!
//! For tests only. A test written inside [`on_every_stage!`] runs once on each.

mod migrations;
mod postgres;

use std::io::Write;

pub use migrations::turn_back;

/// A database system to run a test on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A file in the data directory of the server under test.
    Sqlite,
    /// A database of its own in the container that this test process shares.
    Postgres,
}

impl Stage {
    /// The stage that every machine has.
    #[must_use]
    pub fn sqlite() -> Self {
        Self::Sqlite
    }

    /// The stage that needs Docker; [`Stage::postgres_or_leave_out`] is the one that may be missing.
    #[must_use]
    pub fn postgres() -> Self {
        Self::Postgres
    }

    /// PostgreSQL, or nothing where the machine has no Docker: then `test` is named on standard error, so that
    /// nobody takes a test that did not run for one that passed.
    ///
    /// # Panics
    /// With `CI` set in the environment, where nothing may be left out.
    pub async fn postgres_or_leave_out(test: &str) -> Option<Self> {
        match tokio::task::spawn_blocking(|| postgres::server().map(drop)).await {
            Ok(Ok(())) => Some(Self::Postgres),
            Ok(Err(why)) => {
                leave_out(test, &why);
                None
            }
            Err(why) => std::panic::resume_unwind(why.into_panic()),
        }
    }

    /// A database that nobody has used: `sqlite://test.db`, which is relative to the data directory, or a new
    /// PostgreSQL database at every call.
    ///
    /// # Panics
    /// PostgreSQL does not start or refuses to make a database.
    pub async fn database_url(&self) -> String {
        match self {
            Self::Sqlite => "sqlite://test.db".to_owned(),
            Self::Postgres => match tokio::task::spawn_blocking(postgres::new_database).await {
                Ok(Ok(url)) => url,
                Ok(Err(why)) => unavailable(&why),
                Err(why) => std::panic::resume_unwind(why.into_panic()),
            },
        }
    }
}

/// Says on standard error that `test` was left out, and why.
///
/// # Panics
/// With `CI` set in the environment, where nothing may be left out.
pub fn leave_out(test: &str, why: &str) {
    if in_ci() {
        unavailable(&format!("{test} may not be left out in CI: {why}"));
    }
    // Straight to the stream: libtest swallows what the print macros of a passing test write.
    let _ = writeln!(std::io::stderr(), "LEFT OUT  {test}: {why}");
}

/// The tag of the `postgres` image that the tests use: `POSTGRES_VERSION` where it is set; else 17, or 15 on a
/// machine that has no image of 17 but one of 15.
#[must_use]
pub fn postgres_tag() -> String {
    postgres::tag()
}

/// Whether the environment says `CI=true` (or anything but `false`), as the hosted runners and `.ci/run` do.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a test's own switch, no setting of a server")]
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false")
}

#[expect(clippy::panic, reason = "a test has no other way to fail")]
fn unavailable(why: &str) -> ! {
    panic!("{why}");
}

/// Makes of each `async fn name(stage: Stage) { … }` a module of that name with the tests `sqlite` and `postgres`.
///
/// Attributes and doc comments go to the module. The caller's crate needs `tokio` with its macros.
#[macro_export]
macro_rules! on_every_stage {
    ($($(#[$attribute:meta])* async fn $name:ident($stage:ident: $type:ty) $body:block)*) => {$(
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn scenario($stage: $crate::Stage) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                scenario($crate::Stage::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let test = concat!(module_path!(), "::postgres");
                if let Some(stage) = $crate::Stage::postgres_or_leave_out(test).await {
                    scenario(stage).await;
                }
            }
        }
    )*};
}
