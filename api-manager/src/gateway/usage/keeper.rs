//! The task that collects what the threads have counted, and writes it.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntCounter;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::books::{self, Books, ByLine};
use super::till::{Key, Till};
use crate::app::App;
use crate::domain::usage::Count;
use crate::gateway::cores::PerCore;

/// How often the threads are asked whether they have so many lines that these cannot wait.
const LOOK: Duration = Duration::from_millis(500);

/// What the task holds.
pub struct Keeper {
    app: Arc<App>,
    tills: Arc<PerCore<Mutex<Till>>>,
    /// Calls that were counted nowhere.
    lost: IntCounter,
    books: Books<ByLine>,
    /// Given to the threads for theirs.
    empty: Books<Key>,
}

impl Keeper {
    /// Ready to run.
    pub fn new(app: &Arc<App>, tills: Arc<PerCore<Mutex<Till>>>) -> Self {
        let help = "Requests that were not counted.";
        let lost = app.metrics.counter("gateway_usage_dropped_total", help, &[]);
        let lost = lost.with_label_values::<&str>(&[]);
        Self { app: Arc::clone(app), tills, lost, books: Books::default(), empty: Books::default() }
    }

    /// Collects until the last who could ask is gone.
    pub async fn run(mut self, mut asked: mpsc::Receiver<oneshot::Sender<()>>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let soonest = books::pause(0);
        let mut wrote_at = Instant::now();
        let mut due = pin!(sleep(soonest));
        // One at a time, beside the collecting.
        let mut writing: Option<JoinHandle<Vec<Count>>> = None;
        loop {
            tokio::select! {
                done = asked.recv() => {
                    let Some(done) = done else { break };
                    if let Some(writing) = writing.take() {
                        self.settle(writing.await.unwrap_or_default());
                    }
                    self.write_all().await;
                    // Whoever asked may have stopped waiting.
                    let _ = done.send(());
                }
                left = finished(&mut writing) => {
                    writing = None;
                    if !left.is_empty() {
                        due.as_mut().reset(Instant::now() + soonest);
                    }
                    self.settle(left);
                }
                _ = looks.tick() => if self.tills.each().any(|till| lock(till).is_filling()) {
                    self.collect();
                    due.as_mut().reset(wrote_at + soonest);
                },
                () = due.as_mut(), if writing.is_none() => {
                    self.collect();
                    let (app, counts) = (Arc::clone(&self.app), self.books.take());
                    wrote_at = Instant::now();
                    due.as_mut().reset(wrote_at + books::pause(counts.len()));
                    if !counts.is_empty() {
                        writing = Some(tokio::spawn(async move { books::write(&app.database, counts).await }));
                    }
                }
            }
        }
        if let Some(writing) = writing {
            self.settle(writing.await.unwrap_or_default());
        }
        self.write_all().await;
    }

    async fn write_all(&mut self) {
        self.collect();
        let left = books::write(&self.app.database, self.books.take()).await;
        self.settle(left);
    }

    fn collect(&mut self) {
        for till in self.tills.each() {
            let mut lost = lock(till).take(&mut self.empty);
            self.empty.drain(|key, totals| lost += self.books.collect(key.into(), &totals));
            self.lost.inc_by(lost);
        }
    }

    fn settle(&mut self, left: Vec<Count>) {
        self.lost.inc_by(self.books.put_in(left));
    }
}

fn lock(till: &Mutex<Till>) -> MutexGuard<'_, Till> {
    till.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a write under way leaves unwritten, once it ends; never where there is none.
async fn finished(writing: &mut Option<JoinHandle<Vec<Count>>>) -> Vec<Count> {
    match writing {
        Some(writing) => writing.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}
