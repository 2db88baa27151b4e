//! The mechanical invariants of ARCHITECTURE.md: who may mention whom, and what must not be there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const CRATES: [&str; 7] =
    ["shared-claims", "shared-server", "identity-server", "api-manager", "e2e", "test-support", "benches"];
const SERVERS: [&str; 2] = ["identity-server", "api-manager"];
const MOST_LINES: usize = 400;

/// A Rust file with its path from the workspace's root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines that are code: no comments, and nothing from the first test module on.
    fn code(&self) -> impl Iterator<Item = &str> {
        let end = self.text.find("#[cfg(test)]\nmod ").unwrap_or(self.text.len());
        self.text.get(..end).unwrap_or_default().lines().filter(|line| !line.trim_start().starts_with("//"))
    }

    fn is_under(&self, folder: &str) -> bool {
        self.path.starts_with(&format!("{folder}/")) || self.path == format!("{folder}.rs")
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources() -> Vec<Source> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let (root, mut found) = (root(), Vec::new());
    for name in CRATES {
        collect(&root.join(name).join("src"), &mut found);
        collect(&root.join(name).join("tests"), &mut found);
        collect(&root.join(name).join("benches"), &mut found);
    }
    assert!(found.len() > 50, "the sources are not where they are looked for");
    let source = |path: PathBuf| Source {
        text: std::fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(&root).unwrap().to_string_lossy().into_owned(),
    };
    found.into_iter().map(source).collect()
}

/// Every line of code in `folder` that mentions one of the words, except in the files of `exceptions`.
fn mentions(folder: &str, words: &[&str], exceptions: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.is_under(folder)) {
        if exceptions.iter().any(|exception| source.is_under(exception))
            || source.path.contains("/tests")
            || source.path.ends_with("_tests.rs")
        {
            continue;
        }
        for line in source.code() {
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                found.push(format!("{} mentions {word}: {}", source.path, line.trim()));
            }
        }
    }
    found
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_domain_knows_no_framework_and_no_clock() {
    for server in SERVERS {
        let words = [
            "actix",
            "diesel",
            "tokio",
            "hyper",
            "std::env",
            "SystemTime",
            "Instant::now",
            "async fn",
            ".await",
        ];
        assert_none(&mentions(&format!("{server}/src/domain"), &words, &[]));
        let inner = [
            "crate::http",
            "crate::flows",
            "crate::storage",
            "crate::gateway",
            "crate::issuers",
            "crate::keys",
        ];
        assert_none(&mentions(&format!("{server}/src/domain"), &inner, &[]));
    }
}

#[test]
fn http_and_gateway_know_no_diesel_and_storage_knows_no_actix() {
    for server in SERVERS {
        assert_none(&mentions(&format!("{server}/src/http"), &["diesel"], &[]));
        assert_none(&mentions(&format!("{server}/src/gateway"), &["diesel"], &[]));
        assert_none(&mentions(
            &format!("{server}/src/storage"),
            &["actix", "crate::http", "crate::flows", "crate::gateway"],
            &[],
        ));
        assert_none(&mentions(&format!("{server}/src/flows"), &["actix", "crate::http"], &[]));
    }
}

#[test]
fn keys_and_issuers_know_the_domain_and_nothing_above() {
    for folder in ["identity-server/src/keys", "api-manager/src/issuers"] {
        assert_none(&mentions(
            folder,
            &["actix", "diesel", "crate::http", "crate::flows", "crate::gateway"],
            &[],
        ));
    }
}

#[test]
fn the_wire_vocabulary_knows_no_network_no_files_and_no_framework() {
    assert_none(&mentions(
        "shared-claims/src",
        &["actix", "diesel", "tokio", "hyper", "std::fs", "std::net::Tcp"],
        &[],
    ));
}

#[test]
fn the_environment_is_read_in_settings_only() {
    for name in ["shared-claims", "shared-server", "identity-server", "api-manager"] {
        let settings = format!("{name}/src/settings");
        let main = format!("{name}/src/main");
        // The arguments of a command line are the business of main.
        let words = ["env::var(", "env::var_os(", "env::vars(", "env::vars_os("];
        assert_none(&mentions(&format!("{name}/src"), &words, &[&settings]));
        assert_none(&mentions(&format!("{name}/src"), &["env::args"], &[&main]));
    }
}

#[test]
fn the_time_is_asked_in_clock_only() {
    for name in CRATES {
        assert_none(&mentions(
            &format!("{name}/src"),
            &["SystemTime::now", "OffsetDateTime::now"],
            &["shared-claims/src/clock"],
        ));
    }
}

#[test]
fn no_domain_type_is_a_wire_type() {
    for server in SERVERS {
        let words = ["Serialize", "Deserialize", "ToSchema", "Queryable", "Insertable"];
        assert_none(&mentions(
            &format!("{server}/src/domain"),
            &words,
            &[&format!("{server}/src/domain/ids")],
        ));
    }
}

#[test]
fn the_tests_and_the_demo_use_the_servers_from_outside() {
    let mut found = Vec::new();
    for source in
        sources().iter().filter(|source| source.is_under("e2e") && !source.path.ends_with("tidy.rs"))
    {
        for line in source.code() {
            for server in ["identity_server::", "api_manager::"] {
                let inside = line.match_indices(server).any(|(at, _)| {
                    let rest = line.get(at + server.len()..).unwrap_or_default();
                    !["Settings", "run", "Running", "StartError"]
                        .iter()
                        .any(|public| rest.starts_with(public))
                });
                if inside {
                    found.push(format!("{}: {}", source.path, line.trim()));
                }
            }
        }
    }
    assert_none(&found);
}

#[test]
fn the_comparison_measures_the_servers_from_outside() {
    // Millions of rows go into a stopped server's database by its own storage, and the durable insert that an exchange is
    // compared with is the same; nothing else is touched.
    for server in SERVERS {
        let inside = format!("{}::", server.replace('-', "_"));
        assert_none(&mentions(
            "benches/src",
            &[&inside],
            &["benches/src/stock", "benches/src/limits/inserts"],
        ));
    }
}

#[test]
fn a_file_is_a_page() {
    let long = sources().into_iter().filter_map(|source| {
        let lines = source.text.lines().count();
        (lines > MOST_LINES).then(|| format!("{} has {lines} lines; {MOST_LINES} are allowed", source.path))
    });
    assert_none(&long.collect::<Vec<_>>());
}

#[test]
fn every_file_says_what_belongs_in_it() {
    // The tests of a file that were moved out of it are its own.
    let is_apart = |path: &str| path.ends_with("/tests.rs") || path.ends_with("_tests.rs");
    let silent =
        sources().into_iter().filter(|source| !source.text.starts_with("//!") && !is_apart(&source.path));
    assert_none(&silent.map(|source| format!("{} does not begin with //!", source.path)).collect::<Vec<_>>());
}

#[test]
fn no_module_is_named_after_nothing() {
    let empty = ["utils", "util", "helpers", "helper", "common", "manager", "misc"];
    let named = sources().into_iter().filter(|source| {
        let path = Path::new(&source.path);
        let parts = path.with_extension("");
        parts.components().any(|part| empty.iter().any(|word| part.as_os_str() == *word))
    });
    assert_none(&named.map(|source| source.path).collect::<Vec<_>>());
}

#[test]
fn both_databases_have_the_same_migrations() {
    for server in SERVERS {
        let names = |database: &str| -> BTreeSet<String> {
            let folder = root().join(server).join("migrations").join(database);
            let entries =
                std::fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        let (sqlite, postgres) = (names("sqlite"), names("postgres"));
        assert!(!sqlite.is_empty(), "{server} has no migrations");
        assert_eq!(sqlite, postgres, "{server}");
    }
}
