//! Short turns, for those who stand so close together that the ups and downs of a machine would hide what is between them: these
//! last a second or so. In a round each has many turns of a part of it, there and back (A B C, C B A, …), over connections that
//! stay open.

use std::time::Duration;

use crate::load::{Flow, Opened};
use crate::run::Contender;
use crate::sample::{Comparison, Sample};

/// How long a turn lasts, mostly. What is under way at its end is answered before it ends, so that it has to be long beside that.
pub const TURN: Duration = Duration::from_millis(100);
/// How long where the answers to all connections take ten milliseconds and more, or much has left the caches between two turns.
pub const LONG_TURN: Duration = Duration::from_millis(500);

/// Contenders with their connections.
pub struct Turns<'a> {
    title: String,
    /// How long each is.
    lasts: Duration,
    /// In the order of the turns to come.
    sides: Vec<Side<'a>>,
}

struct Side<'a> {
    /// Which one it was at first.
    place: usize,
    contender: Contender<'a>,
    opened: Opened,
    /// What its turns since the last sample took of the CPU.
    spent: Duration,
}

impl<'a> Turns<'a> {
    /// Turns of that length. Connects to every contender and lets it have a turn of two seconds that does not count.
    pub async fn open(
        (title, lasts): (&str, Duration),
        contenders: &[Contender<'a>],
        load: impl Fn(&Contender<'a>) -> Flow,
    ) -> Self {
        let mut sides = Vec::new();
        for (place, contender) in contenders.iter().enumerate() {
            eprintln!("{title}: {} warms up", contender.name);
            let mut opened = load(contender).open().await.turn(Duration::from_secs(2)).await;
            let _ = opened.sample();
            sides.push(Side { place, contender: *contender, opened, spent: Duration::ZERO });
        }
        Self { title: title.to_owned(), lasts, sides }
    }

    /// Lets everybody have a turn; the next time in the other order.
    pub async fn next(&mut self) {
        for side in std::mem::take(&mut self.sides) {
            self.sides.push(side.turn(self.lasts).await);
        }
        self.sides.reverse();
    }

    /// Adds to a comparison what the turns since the last time came to, one sample each.
    pub fn samples(&mut self, round: usize, comparison: &mut Comparison) {
        self.sides.sort_by_key(|side| side.place);
        for side in &mut self.sides {
            let sample = side.sample();
            sample.shows(&self.title, round, side.contender.name);
            comparison.add(side.contender.name, sample);
        }
    }
}

impl Side<'_> {
    async fn turn(mut self, lasts: Duration) -> Self {
        let before = self.contender.process.cpu();
        self.opened = self.opened.turn(lasts).await;
        self.spent += self.contender.process.cpu().saturating_sub(before);
        self
    }

    fn sample(&mut self) -> Sample {
        let mut sample = self.opened.sample();
        let spent = std::mem::take(&mut self.spent);
        (sample.cpu, sample.resident) = (sample.each(spent), self.contender.process.resident_mib());
        sample
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::load::{HELLO, Pace, get, server};
    use crate::process::Process;

    #[tokio::test]
    async fn turns_are_there_and_back_and_samples_in_the_order_of_the_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let idle = || Process::start("sleep", Command::new("sleep").arg("60"), folder.path());
        let (first, second) = (idle(), idle());
        let origins = [(); 2].map(|()| server(HELLO, Duration::ZERO));
        let [one, two] = &origins;
        let contenders = [
            Contender { name: "a", process: &first, origin: one },
            Contender { name: "b", process: &second, origin: two },
        ];
        let asked = Arc::new(Mutex::new(Vec::new()));
        let load = |one: &Contender<'_>| {
            let (asked, name) = (Arc::clone(&asked), one.name.to_owned());
            // The second asking of each turn ends it.
            let turn = move |_| {
                let mut asked = asked.lock().unwrap();
                asked.push(name.clone());
                let times = asked.iter().filter(|other| **other == name).count();
                (times % 2 == 1).then(|| get("/", "x", "t"))
            };
            Flow::new(Pace::FlatOut, turn).on(one.origin).connections(1)
        };
        let mut turns = Turns::open(("test", Duration::from_secs(10)), &contenders, load).await;
        turns.next().await;
        turns.next().await;
        turns.next().await;
        let mut comparison = Comparison::new("test");
        turns.samples(1, &mut comparison);

        // Those that do not count, then three.
        assert_eq!(asked.lock().unwrap().concat(), "aabb aabb bbaa aabb".replace(' ', ""));
        let answers: Vec<(&str, u64)> = comparison
            .contenders
            .iter()
            .map(|(name, samples)| (name.as_str(), samples.iter().map(|sample| sample.requests).sum()))
            .collect();
        assert_eq!(answers, [("a", 3), ("b", 3)]);
    }
}
