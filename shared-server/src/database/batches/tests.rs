//! Callers that meet, and what one of them does to the others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::super::DatabaseUrl;
use super::*;

enum Job {
    /// Says that it has begun, and ends when it is told to.
    Waits(mpsc::Sender<()>, mpsc::Receiver<()>),
    /// Counts how often it was done.
    Counts(Arc<AtomicUsize>),
    Fails(StorageError),
    Panics,
}

/// Each hears how many were done with it.
fn work(_: &mut AnyConnection, jobs: &[Job]) -> Result<Vec<usize>, StorageError> {
    for job in jobs {
        match job {
            Job::Waits(begun, go_on) => {
                begun.send(()).unwrap();
                go_on.recv().unwrap();
            }
            Job::Counts(times) => {
                times.fetch_add(1, Ordering::SeqCst);
            }
            Job::Fails(error) => return Err(error.clone()),
            Job::Panics => panic!("as told"),
        }
    }
    Ok(jobs.iter().map(|_| jobs.len()).collect())
}

/// Batches that nobody has asked anything, for as long as their folder is held.
fn at_rest() -> (tempfile::TempDir, Batches<Job, usize>) {
    let directory = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::parse("sqlite://test.db", directory.path()).unwrap();
    let batches = Batches::new(Database::open(&url, 4).unwrap(), work);
    (directory, batches)
}

/// Batches of which every lane is busy until it is let go.
struct Busy {
    batches: Batches<Job, usize>,
    lanes: Vec<mpsc::Sender<()>>,
    _directory: tempfile::TempDir,
}

impl Busy {
    async fn begin() -> Self {
        let (directory, batches) = at_rest();
        let mut lanes = Vec::new();
        for _ in 0..LANES {
            let ((begun, has_begun), (let_go, go_on)) = (mpsc::channel(), mpsc::channel());
            let batches = batches.clone();
            tokio::spawn(async move { batches.join(Job::Waits(begun, go_on)).await.unwrap() });
            tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
            lanes.push(let_go);
        }
        Self { batches, lanes, _directory: directory }
    }

    /// Lets them all come while nobody is served, and then go: what each hears.
    async fn serve_together(self, jobs: Vec<Job>) -> Vec<Result<usize, StorageError>> {
        let mut waiting = Vec::new();
        for job in jobs {
            let (batches, before) = (self.batches.clone(), self.waiting());
            waiting.push(tokio::spawn(async move { batches.join(job).await }));
            while self.waiting() == before {
                tokio::task::yield_now().await;
            }
        }
        for lane in self.lanes {
            lane.send(()).unwrap();
        }
        let mut heard = Vec::new();
        for one in waiting {
            heard.push(one.await.unwrap());
        }
        heard
    }

    fn waiting(&self) -> usize {
        self.batches.0.waiting().entries.len()
    }
}

fn counter() -> (Arc<AtomicUsize>, Job) {
    let times = Arc::new(AtomicUsize::new(0));
    (Arc::clone(&times), Job::Counts(times))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_while_others_are_served_is_served_with_all_who_came_meanwhile() {
    let busy = Busy::begin().await;
    let heard = busy.serve_together((0..10).map(|_| counter().1).collect()).await;
    assert_eq!(heard, vec![Ok(10); 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_or_panics_takes_no_other_with_it() {
    for (unfit, why) in
        [(Job::Fails(StorageError::Duplicate), StorageError::Duplicate), (Job::Panics, panicked())]
    {
        let heard = Busy::begin().await.serve_together(vec![counter().1, unfit, counter().1]).await;
        assert_eq!(heard, [Ok(1), Err(why), Ok(1)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_committed_is_not_done_twice() {
    for error in [StorageError::Unavailable("gone".to_owned()), StorageError::Busy] {
        let (times, job) = counter();
        let heard = Busy::begin().await.serve_together(vec![job, Job::Fails(error.clone())]).await;
        assert_eq!(heard, [Err(error.clone()), Err(error)]);
        assert_eq!(times.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_are_told_to_come_back_and_the_others_are_served() {
    let busy = Busy::begin().await;
    let comes = || {
        let batches = busy.batches.clone();
        tokio::spawn(async move { batches.join(counter().1).await })
    };
    let waiting: Vec<_> = (0..MOST_WAITING).map(|_| comes()).collect();
    while busy.waiting() < MOST_WAITING {
        tokio::task::yield_now().await;
    }
    assert_eq!(comes().await.unwrap(), Err(StorageError::Busy));

    let heard = busy.serve_together(Vec::new()).await;
    assert!(heard.is_empty());
    for one in waiting {
        assert!(one.await.unwrap().is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_connection_is_to_be_had_everybody_hears_it_and_the_next_is_served_again() {
    let url = DatabaseUrl::parse("postgres://nobody@127.0.0.1:1/none", std::path::Path::new("")).unwrap();
    let batches = Batches::new(Database::open(&url, 4).unwrap(), work);
    for _ in 0..2 {
        let asked = tokio::time::timeout(Duration::from_secs(30), batches.join(counter().1)).await.unwrap();
        assert!(matches!(asked, Err(StorageError::Unavailable(_))), "{asked:?}");
    }
    while batches.0.waiting().lanes > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_ends_with_its_thread_leaves_nobody_waiting() {
    let (_directory, batches) = at_rest();
    let mut lanes = Vec::new();
    for _ in 0..LANES {
        let ((begun, has_begun), (let_go, go_on)) = (mpsc::channel(), mpsc::channel());
        let batches = batches.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                tokio::spawn(async move { batches.join(Job::Waits(begun, go_on)).await });
                tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
            });
            runtime.shutdown_background();
        });
        tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
        lanes.push(let_go);
    }
    assert_eq!(batches.0.waiting().lanes, 0);

    let heard = tokio::time::timeout(Duration::from_secs(30), batches.join(counter().1)).await;
    assert_eq!(heard.unwrap(), Ok(1));
}
