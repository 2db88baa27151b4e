//! What puts load on a server: `wrk` as fast as it answers, or our own generator, also at a fixed rate.

mod connection;
mod generator;
mod lanes;
mod message;
mod once;
mod wrk;

#[cfg(test)]
pub(crate) use generator::tests::{HELLO, server};
pub use generator::{Flow, Opened, Pace};
pub use message::{get, pick, post_form};
pub use once::each_once;
pub use wrk::{Tokens, Wrk};

use crate::sample::Sample;

/// A load that is ready to be put on somebody.
#[derive(Clone, Debug)]
pub enum Load {
    /// The tool `wrk`: closed loop, cheap for the machine, `GET` only.
    Wrk(Wrk),
    /// Our own: any requests, each different if need be, closed loop or at a fixed rate.
    Flow(Flow),
}

impl Load {
    /// The same for that long.
    #[must_use]
    pub fn seconds(self, seconds: u64) -> Self {
        match self {
            Self::Wrk(wrk) => Self::Wrk(wrk.seconds(seconds)),
            Self::Flow(flow) => Self::Flow(flow.seconds(seconds)),
        }
    }

    /// Opens what connections are ours to open.
    pub async fn open(self) -> Ready {
        match self {
            Self::Wrk(wrk) => Ready::Wrk(wrk),
            Self::Flow(flow) => Ready::Flow(flow.open().await),
        }
    }

    /// Opens it and puts it on.
    pub async fn run(self) -> Sample {
        self.open().await.run().await
    }
}

/// A load that only has to be let go.
pub enum Ready {
    /// `wrk` connects by itself.
    Wrk(Wrk),
    /// Our own, connected.
    Flow(Opened),
}

impl Ready {
    /// Puts it on; CPU and memory of the sample are for others to fill in.
    pub async fn run(self) -> Sample {
        match self {
            Self::Wrk(wrk) => wrk.run().await,
            Self::Flow(flow) => flow.run().await,
        }
    }
}
