//! Looks after the connections of one thread: time passes, and the gateway stops. One task for all of them, so that a connection
//! that moves need not ask each time whether anything has happened.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::connection::{Patience, Pulse, Verdict};
use super::listener::Phase;

/// The connections of one thread. Those that have ended are forgotten at the next look.
pub struct Warden {
    connections: Mutex<Vec<Weak<Pulse>>>,
    phase: watch::Receiver<Phase>,
}

impl Warden {
    /// Has a task of `core` look after connections, until the gateway has stopped.
    #[must_use]
    pub fn start(core: &Handle, patience: Patience, phase: watch::Receiver<Phase>) -> Arc<Self> {
        let this = Arc::new(Self { connections: Mutex::default(), phase: phase.clone() });
        core.spawn(Arc::clone(&this).run(patience, phase));
        this
    }

    /// Looks after a connection from now on.
    pub fn watch(&self, pulse: &Arc<Pulse>) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(pulse));
        // What was said to all the others before is not said again.
        pulse.tell(meant(*self.phase.borrow()));
    }

    async fn run(self: Arc<Self>, patience: Patience, mut phase: watch::Receiver<Phase>) {
        let mut looks = interval(patience.look);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => self.each(|pulse| pulse.verdict(&patience)),
                changed = phase.changed() => {
                    // Whoever could tell may be gone.
                    let now = if changed.is_ok() { *phase.borrow_and_update() } else { Phase::Cutting };
                    self.each(|_| meant(now));
                    if now == Phase::Cutting {
                        return;
                    }
                }
            }
        }
    }

    fn each(&self, verdict: impl Fn(&Pulse) -> Verdict) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).retain(|connection| {
            let Some(pulse) = connection.upgrade() else { return false };
            pulse.tell(verdict(&pulse));
            true
        });
    }
}

/// What a phase means for a connection.
fn meant(phase: Phase) -> Verdict {
    match phase {
        Phase::Serving => Verdict::Keep,
        Phase::Draining => Verdict::Retire,
        Phase::Cutting => Verdict::Cut,
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn pulse() -> Arc<Pulse> {
        let address = "127.0.0.1:1".parse().unwrap();
        Pulse::new(address, address, "http", None)
    }

    async fn told(pulse: &Pulse) -> Verdict {
        let told = poll_fn(|cx| pulse.poll_told(cx));
        timeout(Duration::from_secs(5), told).await.unwrap()
    }

    #[tokio::test]
    async fn connections_hear_of_each_phase_and_those_that_come_later_of_the_present_one() {
        let (phase, phases) = watch::channel(Phase::Serving);
        let warden = Warden::start(&Handle::current(), Patience::default(), phases);
        let (early, late) = (pulse(), pulse());
        warden.watch(&early);
        phase.send(Phase::Draining).unwrap();
        assert_eq!(told(&early).await, Verdict::Retire);
        warden.watch(&late);
        assert_eq!(told(&late).await, Verdict::Retire);
        phase.send(Phase::Cutting).unwrap();
        assert_eq!((told(&early).await, told(&late).await), (Verdict::Cut, Verdict::Cut));
    }

    #[tokio::test]
    async fn connections_are_cut_when_nobody_is_left_to_stop_them() {
        let (phase, phases) = watch::channel(Phase::Serving);
        let warden = Warden::start(&Handle::current(), Patience::default(), phases);
        let pulse = pulse();
        warden.watch(&pulse);
        drop(phase);
        assert_eq!(told(&pulse).await, Verdict::Cut);
    }

    #[tokio::test]
    async fn a_client_that_takes_its_time_is_cut_and_one_that_has_ended_is_forgotten() {
        let (_phase, phases) = watch::channel(Phase::Serving);
        let ms = Duration::from_millis;
        let patience = Patience { head: ms(20), look: ms(5), ..Patience::default() };
        let warden = Warden::start(&Handle::current(), patience, phases);
        let slow = pulse();
        warden.watch(&slow);
        warden.watch(&pulse());
        assert_eq!(told(&slow).await, Verdict::Cut);
        assert_eq!(warden.connections.lock().unwrap().len(), 1);
    }
}
