//! The one place that reads the environment and config files: defaults, then a TOML file, then the
//! environment.
//!
//! A server asks for its keys one by one and then calls [`Loader::finish`], which reports every problem at
//! once and refuses the keys that nobody asked for: a misspelt setting that is silently ignored costs more
//! than a failed start.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use shared_claims::secret::Secret;
use toml::{Table, Value};

/// Hands out settings by key, and remembers what was asked and what was wrong.
pub struct Loader {
    prefix: &'static str,
    file: Table,
    env: BTreeMap<String, String>,
    asked: BTreeSet<String>,
    problems: Vec<Problem>,
}

/// Everything that is wrong with the settings; each problem stands on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
pub struct SettingsError(pub Vec<Problem>);

/// One thing that is wrong: the setting's name, and what is wrong with it and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key with its spelling as an environment variable; the file's path where the whole file is at
    /// fault.
    pub key: String,
    /// What is wrong; what to do. Never holds the value of a secret.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

impl Loader {
    /// Reads `config`, and keeps those variables of `env` that begin with `prefix` (such as `API_MANAGER_`).
    ///
    /// # Errors
    /// The config file cannot be read, or is not TOML.
    pub fn new(
        prefix: &'static str,
        config: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let file = config.map_or_else(|| Ok(Table::new()), read_table)?;
        // An empty value counts as unset: `docker compose` passes a variable it was not given as an empty
        // one.
        let env = env
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value)))
            .collect();
        Ok(Self { prefix, file, env, asked: BTreeSet::new(), problems: Vec::new() })
    }

    /// The same with the environment of this process.
    ///
    /// # Errors
    /// As [`Loader::new`]; also where a variable of ours is not Unicode.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn from_system(prefix: &'static str, config: Option<&Path>) -> Result<Self, SettingsError> {
        let (mut env, mut problems) = (Vec::new(), Vec::new());
        // Not `vars`, which panics on somebody else's variable that is not Unicode.
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with(prefix)) else { continue };
            match value.into_string() {
                Ok(value) => env.push((name.to_owned(), value)),
                Err(_) => problems.push(Problem {
                    key: name.to_owned(),
                    text: "is not Unicode; write it in UTF-8".to_owned(),
                }),
            }
        }
        if problems.is_empty() { Self::new(prefix, config, env) } else { Err(SettingsError(problems)) }
    }

    /// A text; a number or a truth value of the file reads as its text.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.asked.insert(key.to_owned());
        if let Some(value) = self.env.get(&key.to_uppercase()) {
            return Some(value.clone());
        }
        match self.file.get(key)? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Boolean(flag) => Some(flag.to_string()),
            Value::Array(_) | Value::Table(_) | Value::Datetime(_) => {
                self.problem(key, "is not a single value; write it as \"…\" in the file");
                None
            }
        }
    }

    /// A value of any type that reads from text; `expects` completes the sentence "set …".
    pub fn parsed<T: FromStr>(&mut self, key: &'static str, default: T, expects: &str) -> T
    where
        T::Err: fmt::Display,
    {
        let Some(text) = self.text(key) else { return default };
        match text.trim().parse() {
            Ok(value) => value,
            Err(why) => {
                self.problem(key, format!("{text:?} is not understood ({why}); set {expects}"));
                default
            }
        }
    }

    /// A truth value: true, yes, on, 1 or false, no, off, 0.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some(text) = self.text(key) else { return default };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => {
                self.problem(key, format!("{text:?} is neither true nor false; set true or false"));
                default
            }
        }
    }

    /// A list: an array of strings in the file, or one text with commas.
    pub fn list(&mut self, key: &'static str) -> Vec<String> {
        let in_env = self.env.contains_key(&key.to_uppercase());
        if let (false, Some(Value::Array(items))) = (in_env, self.file.get(key)) {
            let texts: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            self.asked.insert(key.to_owned());
            if texts.is_none() {
                self.problem(key, "holds something else than text; write [\"…\", \"…\"]");
            }
            return texts.unwrap_or_default();
        }
        let text = self.text(key).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// A secret: the value itself, or the path of a file that holds it under the key with `_file`.
    pub fn secret(&mut self, key: &'static str) -> Option<Secret> {
        let file_key = format!("{key}_file");
        self.asked.extend([key.to_owned(), file_key.clone()]);

        let mut plain = self.env.get(&key.to_uppercase()).cloned();
        let mut path = self.env.get(&file_key.to_uppercase()).cloned();
        if plain.is_none() && path.is_none() {
            plain = self.secret_text(key, key);
            path = self.secret_text(key, &file_key);
        }
        match (plain, path) {
            (None, None) => None,
            (Some(plain), None) => Some(Secret::new(plain)),
            (None, Some(path)) => self.secret_file(key, &path),
            (Some(_), Some(_)) => {
                self.problem(key, "is given twice, by value and as a file; remove one of the two");
                None
            }
        }
    }

    /// Only text will do: a password of digits written without quotes would lose its leading zeros.
    fn secret_text(&mut self, key: &'static str, in_file: &str) -> Option<String> {
        let value = self.file.get(in_file)?;
        let text = value.as_str().map(str::to_owned);
        if text.is_none() {
            self.problem(key, "is not text; put it in quotes in the file");
        }
        text.filter(|text| !text.is_empty())
    }

    fn secret_file(&mut self, key: &'static str, path: &str) -> Option<Secret> {
        let content = match std::fs::read_to_string(path) {
            Ok(content) => Secret::new(content),
            Err(why) => {
                self.problem(
                    key,
                    format!("cannot read its file {path} ({why}); correct the path or its permissions"),
                );
                return None;
            }
        };
        let plain = content.expose();
        let plain = plain.strip_suffix('\n').unwrap_or(plain);
        let plain = plain.strip_suffix('\r').unwrap_or(plain);
        if plain.is_empty() {
            self.problem(key, format!("its file {path} is empty; write the secret into it"));
            return None;
        }
        Some(Secret::new(plain))
    }

    /// Records a problem that the caller found: "what is wrong; what to do".
    pub fn problem(&mut self, key: &'static str, text: impl Into<String>) {
        let key = format!("{key} ({}{})", self.prefix, key.to_uppercase());
        self.problems.push(Problem { key, text: text.into() });
    }

    /// Ends the reading; call it when every key was asked for.
    ///
    /// # Errors
    /// Every problem found so far, and every key of the file or the environment that nobody asked for.
    pub fn finish(mut self) -> Result<(), SettingsError> {
        for key in self.file.keys().filter(|key| !self.asked.contains(*key)) {
            self.problems
                .push(Problem { key: key.clone(), text: self.unknown(&key.to_lowercase(), str::to_owned) });
        }
        let in_env = |key: &str| format!("{}{}", self.prefix, key.to_uppercase());
        for name in self.env.keys() {
            let key = name.to_lowercase();
            let asked = self.asked.contains(&key) && *name == name.to_uppercase();
            if !asked && !is_service_link(name) {
                let text = self.unknown(&key, in_env);
                self.problems.push(Problem { key: format!("{}{name}", self.prefix), text });
            }
        }
        if self.problems.is_empty() { Ok(()) } else { Err(SettingsError(self.problems)) }
    }

    fn unknown(&self, key: &str, spelling: impl Fn(&str) -> String) -> String {
        let nearest = self.asked.iter().map(|asked| (distance(key, asked), asked)).min();
        match nearest {
            Some((distance, asked)) if distance <= 1 + key.len() / 4 => {
                format!("is not a setting; did you mean {}?", spelling(asked))
            }
            _ => "is not a setting; remove it".to_owned(),
        }
    }
}

/// Whether Kubernetes made this variable: for a Service called `api-manager` it puts
/// `API_MANAGER_SERVICE_HOST`, `API_MANAGER_PORT_9444_TCP` and their like into every pod, which must not keep
/// the server from starting.
fn is_service_link(name: &str) -> bool {
    name == "PORT"
        || name == "SERVICE_HOST"
        || name == "SERVICE_PORT"
        || name.starts_with("SERVICE_PORT_")
        || name.strip_prefix("PORT_").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn read_table(path: &Path) -> Result<Table, SettingsError> {
    let fault = |text| SettingsError(vec![Problem { key: path.display().to_string(), text }]);
    let text = std::fs::read_to_string(path)
        .map_err(|why| fault(format!("cannot be read ({why}); correct the path or its permissions")))?;
    text.parse().map_err(|why: toml::de::Error| {
        // The message alone: the error's own rendering quotes the line, and the line may hold a secret.
        let before = why.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        fault(format!("is not TOML at line {line} ({}); correct that line", why.message()))
    })
}

/// The edit distance of Levenshtein.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for ((to, &diagonal), &above) in b.chars().zip(&row).zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(from != to)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loader(file: &str, env: &[(&str, &str)]) -> Loader {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.toml");
        std::fs::write(&path, file).unwrap();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Loader::new("API_MANAGER_", Some(&path), env).unwrap()
    }

    fn problems(loader: Loader) -> String {
        loader.finish().unwrap_err().to_string()
    }

    #[test]
    fn the_environment_beats_the_file_and_the_file_beats_the_default() {
        let env = [("API_MANAGER_LISTEN", "c"), ("API_MANAGER_LOG", ""), ("OTHER_LOG", "x")];
        let mut loader = loader("listen = 'a'\nlog = 'b'\nworkers = 3", &env);
        assert_eq!(loader.text("listen").as_deref(), Some("c"));
        assert_eq!(loader.text("log").as_deref(), Some("b"));
        assert_eq!(loader.parsed("workers", 1_u16, "a number"), 3);
        assert_eq!(loader.parsed("page", 7_u16, "a number"), 7);
        loader.finish().unwrap();
    }

    #[test]
    fn lists_and_flags_read_from_both_places() {
        let env = [("API_MANAGER_SIGNUP", "Off"), ("API_MANAGER_HOSTS", "a, b,,")];
        let mut loader = loader("audiences = ['x', 'y']\nprivate = true", &env);
        assert_eq!(loader.list("audiences"), ["x", "y"]);
        assert_eq!(loader.list("hosts"), ["a", "b"]);
        assert!(!loader.flag("signup", true));
        assert!(loader.flag("private", false));
        loader.finish().unwrap();
    }

    #[test]
    fn all_problems_are_reported_at_once_each_with_its_key() {
        let mut loader =
            loader("lisen = 'a'", &[("API_MANAGER_WORKERS", "many"), ("API_MANAGER_COLOUR", "red")]);
        loader.text("listen");
        loader.parsed("workers", 1_u16, "a number of threads");
        let text = problems(loader);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "workers (API_MANAGER_WORKERS): \"many\" is not understood (invalid digit found in string); \
                 set a number of threads",
                "lisen: is not a setting; did you mean listen?",
                "API_MANAGER_COLOUR: is not a setting; remove it",
            ]
        );
    }

    #[test]
    fn a_secret_comes_by_value_or_by_file_but_not_by_both() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "hunter2\n").unwrap();
        let path = path.to_str().unwrap();

        let mut by_file = loader("admin_password = 'other'", &[("API_MANAGER_ADMIN_PASSWORD_FILE", path)]);
        assert_eq!(by_file.secret("admin_password").unwrap().expose(), "hunter2");
        by_file.finish().unwrap();

        let env = [("API_MANAGER_ADMIN_PASSWORD_FILE", path), ("API_MANAGER_ADMIN_PASSWORD", "hunter3")];
        let mut twice = loader("", &env);
        assert!(twice.secret("admin_password").is_none());
        let text = problems(twice);
        assert!(text.starts_with("admin_password (API_MANAGER_ADMIN_PASSWORD): is given twice"));
        assert!(!text.contains("hunter"));
    }

    #[test]
    fn a_broken_file_is_named_by_line_and_never_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.toml");
        std::fs::write(&path, "log = 'a'\nadmin_password = 'hunter2\n").unwrap();
        let text = Loader::new("X_", Some(&path), []).err().unwrap().to_string();
        assert!(text.contains("line 2") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn the_variables_kubernetes_adds_for_a_service_are_let_be() {
        let env = [("API_MANAGER_SERVICE_HOST", "10.0.0.1"), ("API_MANAGER_PORT_9444_TCP_ADDR", "10.0.0.1")];
        loader("", &env).finish().unwrap();
    }
}
