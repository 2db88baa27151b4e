//! Tells the steps: what happens, the curl line, the live answer, and whether it is the expected one.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Instant;

use e2e::client::{Answer, Http};
use http::StatusCode;

use crate::curl::Curl;
use crate::scenario::{Keys, PATH, PERSON, Places};

/// Why the demo ends early, in words for a person.
#[derive(Debug)]
pub struct Failure(pub String);

impl Failure {
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// Sends requests, and tells about them.
pub struct Guide {
    http: Http,
    step: Cell<u32>,
    colours: bool,
    tells: bool,
    /// Where a server is for us, and where it is for a reader on this machine.
    shown: Vec<(String, String)>,
}

impl Guide {
    /// Tells everything.
    pub fn new() -> Self {
        let colours = std::io::stdout().is_terminal();
        Self { http: Http::new(), step: Cell::new(0), colours, tells: true, shown: Vec::new() }
    }

    /// Tells only what is left to do. The servers are told about as if they were on this machine, which is where
    /// docker-compose.yml publishes their ports.
    pub fn quiet(places: &Places) -> Self {
        let shown = [&places.identity, &places.manager, &places.gateway].map(|url| {
            let port = url.rsplit(':').next().unwrap_or_default();
            (url.clone(), format!("https://localhost:{port}"))
        });
        Self { tells: false, shown: shown.into(), ..Self::new() }
    }

    /// Begins a group of steps.
    pub fn chapter(&self, title: &str) {
        if self.tells {
            println!(
                "\n{}",
                self.bold(&format!("━━ {title} {}", "━".repeat(70_usize.saturating_sub(title.len()))))
            );
        }
    }

    /// Makes a request whose answer has to have the status.
    pub async fn step(&self, title: &str, request: &Curl, status: u16) -> Result<Answer, Failure> {
        self.step.set(self.step.get() + 1);
        if self.tells {
            println!("\n{} {}\n", self.bold(&format!("{:>2}.", self.step.get())), self.bold(title));
            println!("{}\n", self.command(request));
        }
        let begin = Instant::now();
        let answer = self.send(request).await?;
        if self.tells {
            self.answer(&answer, begin.elapsed().as_millis());
        }
        if answer.status == status {
            return Ok(answer);
        }
        Err(Failure::new(format!(
            "Step {}, {title}: expected {status}, and this came: {}",
            self.step.get(),
            describe(&answer)
        )))
    }

    /// Makes a request without a word.
    pub async fn send(&self, request: &Curl) -> Result<Answer, Failure> {
        self.http.try_send(request.call()).await.map_err(Failure)
    }

    /// A fact about the last answer that has to hold.
    pub fn check(&self, holds: bool, fact: &str, answer: &Answer) -> Result<(), Failure> {
        if !holds {
            return Err(Failure::new(format!("Not so: {fact}. The answer was {}", describe(answer))));
        }
        if self.tells {
            println!("    {} {fact}", self.paint("32", "✓"));
        }
        Ok(())
    }

    /// What this is, before the first step.
    pub fn opening(&self, places: &Places) {
        println!("\n{}\n", self.bold("Countersign: from a user's JWT to an opaque token to a guarded API"));
        println!("  identity server   {}   signs people in, issues JWTs", places.identity);
        println!("  API manager       {}   exchanges them for opaque tokens", places.manager);
        println!("  gateway           {}   guards the API with those tokens", places.gateway);
        println!("  backend           {}   says hello", places.backend);
        println!(
            "\n  Data directory: a throw-away one. The administrator is admin with the password admin, in this demo only."
        );
    }

    /// What to do next, after the last step.
    pub fn closing(&self, places: &Places) {
        self.chapter("Where to look next");
        println!("\n  REST, browsable   {}/docs   {}/docs", places.identity, places.manager);
        println!("  metadata          {}/.well-known/openid-configuration", places.identity);
        println!("  metrics           {}/metrics   {}/metrics", places.identity, places.manager);
        println!(
            "  README.md         the scenario in prose, and how to trust Keycloak or any other identity provider"
        );
        println!("  ARCHITECTURE.md   the house, for who wants to change it\n");
    }

    /// The scenario's three lines with variables, good for any number of times: an assertion is good for one.
    pub fn your_turn(&self, places: &Places, keys: &Keys) {
        println!("\n{}\n", self.bold("Your turn: paste these three lines"));
        for line in your_turn(places, keys) {
            println!("{}", self.local(&line));
        }
    }

    fn command(&self, request: &Curl) -> String {
        let mut lines = request.lines();
        let first = lines.first().cloned().unwrap_or_default();
        lines.drain(..lines.len().min(1));
        let mut command = format!("    {} curl -k {first}", self.paint("36", "$"));
        for line in lines {
            command.push_str(&format!(" \\\n        {line}"));
        }
        self.local(&command)
    }

    fn answer(&self, answer: &Answer, milliseconds: u128) {
        let reason = StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason());
        let line = format!("{} {}", answer.status, reason.unwrap_or_default());
        let colour = if answer.status < 400 { "32" } else { "33" };
        println!("    {}   {}", self.paint(colour, &line), self.paint("2", &format!("{milliseconds} ms")));
        if !answer.challenge().is_empty() {
            println!("    {}", self.paint("2", &format!("www-authenticate: {}", answer.challenge())));
        }
        for line in pretty(answer).lines() {
            println!("    {}", self.paint("2", line));
        }
    }

    fn local(&self, text: &str) -> String {
        self.shown.iter().fold(text.to_owned(), |text, (url, local)| text.replace(url, local))
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The three lines of [`Guide::your_turn`].
pub fn your_turn(places: &Places, keys: &Keys) -> [String; 3] {
    const TOKEN: &str = r#"sed 's/.*"access_token":"\([^"]*\)".*/\1/'"#;
    let Keys { client, application } = keys;
    let grant = e2e::actors::JWT_BEARER;
    let (person, password) = PERSON;
    [
        format!(
            "JWT=$(curl -s -k -u {}:{} -d \"grant_type=password&username={person}&password={password}\" {}/oauth2/token | {TOKEN})",
            client.0, client.1, places.identity
        ),
        format!(
            "TOKEN=$(curl -s -k -u {}:{} -d \"grant_type={grant}&assertion=$JWT\" {}/oauth2/token | {TOKEN})",
            application.0, application.1, places.manager
        ),
        format!("curl -s -k -H \"Authorization: Bearer $TOKEN\" {}{PATH}", places.gateway),
    ]
}

fn pretty(answer: &Answer) -> String {
    match answer.json() {
        serde_json::Value::Null => answer.text(),
        json => serde_json::to_string_pretty(&json).unwrap_or_default(),
    }
}

fn describe(answer: &Answer) -> String {
    let mut text = format!("{} {}", answer.status, answer.text());
    if let Some((cut, _)) = text.char_indices().nth(1_000) {
        text.truncate(cut);
    }
    text
}
