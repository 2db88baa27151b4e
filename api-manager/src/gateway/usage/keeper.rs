//! The task that collects what the threads have counted, and writes it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::books::{self, Books, ByLine, FLUSH};
use super::meters::Meters;
use super::till::Till;
use crate::app::App;
use crate::domain::usage::Count;
use crate::gateway::cores::PerCore;

/// How often the threads are asked, so that the metrics are of now.
const COLLECT: Duration = Duration::from_millis(500);

/// What the task holds.
pub struct Keeper {
    app: Arc<App>,
    tills: Arc<PerCore<Mutex<Till>>>,
    meters: Arc<Meters>,
    books: Books<ByLine>,
}

impl Keeper {
    /// Ready to run.
    pub fn new(app: &Arc<App>, tills: Arc<PerCore<Mutex<Till>>>, meters: Arc<Meters>) -> Self {
        Self { app: Arc::clone(app), tills, meters, books: Books::default() }
    }

    /// Collects until the last who could ask is gone.
    pub async fn run(mut self, mut asked: mpsc::Receiver<oneshot::Sender<()>>) {
        let mut collects = interval(COLLECT);
        let mut writes = interval(FLUSH);
        for ticks in [&mut collects, &mut writes] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
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
                    self.settle(left);
                }
                _ = collects.tick() => self.collect(),
                _ = writes.tick(), if writing.is_none() => {
                    let (app, counts) = (Arc::clone(&self.app), self.books.take());
                    if !counts.is_empty() {
                        writing = Some(tokio::spawn(async move { books::write(&app.database, counts).await }));
                    }
                }
            }
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
            let (counts, lost) = till.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.meters.lost.inc_by(lost);
            let lost = self.books.put_in(counts);
            self.meters.lost.inc_by(lost);
        }
    }

    fn settle(&mut self, left: Vec<Count>) {
        let lost = self.books.put_in(left);
        self.meters.lost.inc_by(lost);
    }
}

/// What a write under way leaves unwritten, once it ends; never where there is none.
async fn finished(writing: &mut Option<JoinHandle<Vec<Count>>>) -> Vec<Count> {
    match writing {
        Some(writing) => writing.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}
