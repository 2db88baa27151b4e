//! `wrk`: keep-alive connections that each ask again as soon as they are answered.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use crate::run::Run;
use crate::sample::Sample;

/// A call of `wrk`, one thread of it.
#[derive(Clone, Debug)]
pub struct Wrk {
    /// Scheme, host and port.
    pub origin: String,
    /// How many connections.
    pub connections: usize,
    /// For how long.
    pub seconds: u64,
    /// The words after the script's name.
    arguments: Vec<String>,
    script: PathBuf,
}

/// What the requests of a load carry as Bearer tokens.
#[derive(Clone, Copy, Debug)]
pub enum Tokens<'a> {
    /// A UUID that nobody issued, another one each time.
    Random,
    /// Any of these.
    Of(&'a [String]),
}

impl Wrk {
    /// `GET` requests to any of the paths with any of the tokens, by 64 connections. The lists are written to files of the
    /// run; `name` tells those of several loads apart.
    #[must_use]
    pub fn new(run: &Run, name: &str, paths: &[String], tokens: Tokens<'_>) -> Self {
        let script = run.file("wrk.lua", include_str!("wrk.lua"));
        let paths = run.file(&format!("{name}-paths"), paths.join("\n"));
        let tokens = match tokens {
            Tokens::Random => "random".to_owned(),
            Tokens::Of(tokens) => {
                run.file(&format!("{name}-tokens"), tokens.join("\n")).to_string_lossy().into_owned()
            }
        };
        let arguments = vec![tokens, paths.to_string_lossy().into_owned()];
        Self { origin: String::new(), connections: 64, seconds: 1, arguments, script }
    }

    /// The same load on somebody.
    #[must_use]
    pub fn on(&self, origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..self.clone() }
    }

    /// The same load for that long.
    #[must_use]
    pub fn seconds(self, seconds: u64) -> Self {
        Self { seconds, ..self }
    }

    /// The command line.
    #[must_use]
    pub fn command(&self) -> String {
        format!("wrk {}", self.words().join(" "))
    }

    fn words(&self) -> Vec<String> {
        let mut words = vec![
            "-t1".to_owned(),
            format!("-c{}", self.connections),
            format!("-d{}s", self.seconds),
            "-s".to_owned(),
            self.script.to_string_lossy().into_owned(),
            self.origin.clone(),
            "--".to_owned(),
        ];
        words.extend(self.arguments.clone());
        words
    }

    /// Runs it.
    ///
    /// # Panics
    /// `wrk` cannot be run, or says nothing that can be read.
    pub async fn run(self) -> Sample {
        let output = Command::new("wrk")
            .args(self.words())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("wrk can be run: apt-get install wrk");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        parse(&said).unwrap_or_else(|| panic!("wrk: {said}{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Reads the line that our script writes at the end; `wrk` counts times in microseconds.
fn parse(said: &str) -> Option<Sample> {
    let line = said.lines().find_map(|line| line.strip_prefix("FIGURES "))?;
    let figure = |name: &str| -> Option<u64> {
        let word = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
        word.parse().ok()
    };
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a run are far below 2^52")]
    let milliseconds = |name: &str| figure(name).map(|micros| micros as f64 / 1e3);
    let broken = ["status", "connect", "read", "write", "timeout"].map(figure);
    Some(Sample {
        requests: figure("requests")?,
        failures: broken.into_iter().sum::<Option<u64>>()?,
        seconds: milliseconds("duration")? / 1e3,
        p50: milliseconds("p50")?,
        p99: milliseconds("p99")?,
        p999: milliseconds("p999")?,
        ..Sample::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_wrk_are_read_from_among_its_words() {
        let said = "Running 5s test @ http://127.0.0.1:1\n  1 threads and 64 connections\nRequests/sec: 9\n\
                    FIGURES requests=50000 duration=5001000 p50=1250 p99=4100 p999=9000 status=3 connect=1 read=2 \
                    write=0 timeout=4\n";
        let sample = parse(said).unwrap();
        assert_eq!((sample.requests, sample.failures), (50_000, 10));
        assert_eq!((sample.p50, sample.p99, sample.p999, sample.seconds), (1.25, 4.1, 9.0, 5.001));
    }

    #[test]
    fn an_answer_without_figures_is_none() {
        assert_eq!(parse("unable to connect to 127.0.0.1:1 Connection refused\n"), None);
        assert_eq!(parse("FIGURES requests=1 duration=1\n"), None);
    }
}
