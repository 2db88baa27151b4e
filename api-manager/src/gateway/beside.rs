//! What happens to a connection besides what its client does: time passes, the client overdoes it, the gateway stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::connection::Pulse;
use super::listener::Phase;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is time to look at what the client takes its time over.
    Look,
    /// The client gives up most of what it asks for.
    Overrun,
    /// The gateway is in another phase.
    Ends(Phase),
}

/// Waits for what happens to one connection.
pub struct Beside {
    looks: Interval,
    pulse: Arc<Pulse>,
    phase: watch::Receiver<Phase>,
}

impl Beside {
    /// Looks at the connection of `pulse` every `look`.
    pub fn new(look: Duration, pulse: &Arc<Pulse>, phase: watch::Receiver<Phase>) -> Self {
        let mut looks = interval(look);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { looks, pulse: Arc::clone(pulse), phase }
    }

    /// The next event, and what waits for the one after it: a future of its own, so that a connection that moves need not
    /// ask three sources each time whether there is something new.
    pub async fn next(mut self) -> (Self, Event) {
        let event = tokio::select! {
            _ = self.looks.tick() => Event::Look,
            () = self.pulse.is_overrun() => Event::Overrun,
            changed = self.phase.changed() => match changed {
                Ok(()) => Event::Ends(*self.phase.borrow_and_update()),
                // Whoever could tell is gone.
                Err(_) => Event::Ends(Phase::Cutting),
            },
        };
        (self, event)
    }
}
