//! What a running server tells about itself: log lines and metrics.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use env_logger::fmt::Formatter;
use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record, error};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use serde_json::{Map, Value as Json};
use shared_claims::clock::Clock;

/// How a log line reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, target, message, `key=value`.
    #[default]
    Text,
    /// For machines: one JSON object per line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("no such log format"),
        }
    }
}

/// Sends the program's log to the standard error stream; `filter` is that of `env_logger`. A second call
/// changes nothing.
pub fn init_logging(filter: &str, format: LogFormat) {
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(filter);
    match format {
        LogFormat::Text => builder.format(write_text),
        LogFormat::Json => builder.format(write_json),
    };
    // Fails only where a logger is set already: a test of the same process did it.
    let _already_set = builder.try_init();
}

fn write_text(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let (time, level) = (out.timestamp_millis(), record.level());
    let style = out.default_level_style(level);
    writeln!(out, "{time} {style}{level:<5}{style:#} {}", text_line(record))
}

fn write_json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let time = out.timestamp_millis().to_string();
    writeln!(out, "{}", json_line(record, time))
}

fn text_line(record: &Record<'_>) -> String {
    let mut pairs = TextPairs(format!("{}: {}", record.target(), one_line(&record.args().to_string())));
    // Cannot fail: writing to a text does not.
    let _written = record.key_values().visit(&mut pairs);
    pairs.0
}

/// Escapes control characters: what a caller sent must not be able to forge a second log line.
fn one_line(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().collect() } else { String::from(c) };
    text.chars().map(escaped).collect()
}

struct TextPairs(String);

impl<'kvs> VisitSource<'kvs> for TextPairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let text = value.to_string();
        let bare = !text.is_empty()
            && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "\"=".contains(c));
        let shown = if bare { text } else { format!("{text:?}") };
        self.0.push_str(&format!(" {}={shown}", one_line(key.as_str())));
        Ok(())
    }
}

fn json_line(record: &Record<'_>, time: String) -> Json {
    let mut pairs = JsonPairs(Map::new());
    let _written = record.key_values().visit(&mut pairs);
    let JsonPairs(mut line) = pairs;
    // Last, so that no pair takes the place of what every line has.
    line.insert("ts".to_owned(), time.into());
    line.insert("level".to_owned(), level_name(record.level()).into());
    line.insert("target".to_owned(), record.target().into());
    line.insert("message".to_owned(), record.args().to_string().into());
    Json::Object(line)
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

struct JsonPairs(Map<String, Json>);

impl<'kvs> VisitSource<'kvs> for JsonPairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let json = if let Some(flag) = value.to_bool() {
            flag.into()
        } else if let Some(number) = value.to_i64() {
            number.into()
        } else if let Some(number) = value.to_u64() {
            number.into()
        } else if let Some(number) = value.to_f64() {
            number.into()
        } else {
            value.to_string().into()
        };
        self.0.insert(key.as_str().to_owned(), json);
        Ok(())
    }
}

/// The server's metrics; a clone counts into the same ones.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    resident: IntGauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// An empty registry with the two standard gauges of the process; the process counts as started now.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let resident = gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
        let started =
            gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.");
        started.set(Clock::System.now().0);
        let metrics = Self { registry, resident };
        metrics.register("process_resident_memory_bytes", &metrics.resident);
        metrics.register("process_start_time_seconds", &started);
        metrics
    }

    /// A counter with the given labels.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        let made = well_formed(name, labels, |name, labels| {
            IntCounterVec::new(Opts::new(name, help_text(help)), labels)
        });
        self.register(name, &made);
        made
    }

    /// A gauge without labels.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        let made = gauge(name, help);
        self.register(name, &made);
        made
    }

    /// A counter that somebody else keeps: it is read whenever the metrics are.
    pub fn counted(&self, name: &str, help: &str, count: impl Fn() -> u64 + Send + Sync + 'static) {
        self.register(name, &Counted { shown: counter(name, help), count: Arc::new(count) });
    }

    /// Whatever `collector` has at the moment when the metrics are read.
    pub fn collected<C: Collector + Clone + 'static>(&self, name: &str, collector: &C) {
        self.register(name, collector);
    }

    /// Everything counted so far, in the text exposition format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_else(|why| {
            error!("metrics cannot be rendered: {why}");
            String::new()
        })
    }

    /// A clash of names is a mistake of ours; it costs the metric, not the server.
    fn register<C: Collector + Clone + 'static>(&self, name: &str, collector: &C) {
        if let Err(why) = self.registry.register(Box::new(collector.clone())) {
            error!("metric {name} counts, but is not shown: {why}");
        }
    }
}

/// See [`Metrics::counted`].
#[derive(Clone)]
struct Counted {
    shown: IntCounter,
    count: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Collector for Counted {
    fn desc(&self) -> Vec<&Desc> {
        self.shown.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Made anew: two who read at once would both add what the shown one is behind.
        let Some(Desc { fq_name, help, .. }) = self.desc().into_iter().next() else { return Vec::new() };
        let now = counter(fq_name, help);
        now.inc_by((self.count)());
        now.collect()
    }
}

fn counter(name: &str, help: &str) -> IntCounter {
    well_formed(name, &[], |name, _| IntCounter::new(name, help_text(help)))
}

fn gauge(name: &str, help: &str) -> IntGauge {
    well_formed(name, &[], |name, _| IntGauge::new(name, help_text(help)))
}

/// Prometheus refuses a metric without a help text.
fn help_text(help: &str) -> &str {
    if help.is_empty() { "No description." } else { help }
}

/// Makes a metric; where the name or a label is misspelt, one under a name and labels that are always valid,
/// with as many labels, so that the callers' label values still fit.
#[expect(clippy::expect_used, reason = "a literal name, numbered labels and a help text are always valid")]
fn well_formed<M>(name: &str, labels: &[&str], make: impl Fn(&str, &[&str]) -> prometheus::Result<M>) -> M {
    make(name, labels).unwrap_or_else(|why| {
        error!("metric {name} is misspelt: {why}");
        let numbered: Vec<String> = (0..labels.len()).map(|n| format!("label_{n}")).collect();
        let numbered: Vec<&str> = numbered.iter().map(String::as_str).collect();
        make("misspelt_metric", &numbered).expect("valid by construction")
    })
}

/// Resident memory as Linux tells it: the second number of `statm`, in pages. Pages are taken to be of 4096
/// bytes, which holds on x86-64 and on nearly every arm64 kernel; asking needs a call that is unsafe.
pub(crate) fn resident_bytes() -> Option<i64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn with_record<T>(message: &str, check: impl Fn(&Record<'_>) -> T) -> T {
        let pairs: &[(&str, Value<'_>)] =
            &[("user", "a b".into()), ("count", 3.into()), ("ok", true.into()), ("level", "x".into())];
        check(
            &Record::builder()
                .level(Level::Warn)
                .target("server")
                .args(format_args!("{message}"))
                .key_values(&pairs)
                .build(),
        )
    }

    #[test]
    fn a_text_line_carries_the_pairs_and_stays_one_line() {
        let line = with_record("hello\nforged", text_line);
        assert_eq!(line, "server: hello\\nforged user=\"a b\" count=3 ok=true level=x");
    }

    #[test]
    fn a_json_line_keeps_types_and_its_own_fields() {
        let line = with_record("hello", |record| json_line(record, "now".to_owned()));
        assert_eq!(
            line,
            serde_json::json!({
                "ts": "now", "level": "warn", "target": "server", "message": "hello",
                "user": "a b", "count": 3, "ok": true,
            })
        );
    }

    #[test]
    fn logging_can_be_started_twice() {
        init_logging("info", LogFormat::Json);
        init_logging("info", "text".parse().unwrap());
        assert!("xml".parse::<LogFormat>().is_err());
    }

    #[test]
    fn metrics_render_with_the_gauges_of_the_process() {
        let metrics = Metrics::new();
        metrics.counter("tokens_total", "Tokens.", &["grant"]).with_label_values(&["password"]).inc();
        metrics.gauge("open", "Open.").set(2);
        let kept = Arc::new(AtomicU64::new(3));
        let read = Arc::clone(&kept);
        metrics.counted("asked_total", "Asked.", move || read.load(Ordering::Relaxed));
        assert!(metrics.render().contains("asked_total 3"));
        kept.store(4, Ordering::Relaxed);
        let text = metrics.render();
        for line in ["tokens_total{grant=\"password\"} 1", "open 2", "asked_total 4"] {
            assert!(text.contains(line), "{text}");
        }
        assert!(
            text.contains("process_start_time_seconds ") && text.contains("process_resident_memory_bytes ")
        );
    }

    #[test]
    fn a_clash_or_a_misspelt_name_still_gives_a_usable_metric() {
        let metrics = Metrics::new();
        metrics.counter("twice", "First.", &[]).with_label_values::<&str>(&[]).inc();
        metrics.counter("twice", "Second.", &["a"]).with_label_values(&["x"]).inc();
        metrics.counter("not a name", "", &["a b", "c"]).with_label_values(&["x", "y"]).inc();
        assert!(metrics.render().contains("twice 1"));
    }
}
