//! Results as files, one a scenario, and the page that is made of all of them.

use std::fmt::Write;
use std::path::PathBuf;

use crate::machine::Circumstances;
use crate::outcome::{Outcome, Table, Verdict};
use crate::run::workspace;
use crate::scenarios::NAMES;

/// A scenario's section: its name, its last result, and what people found.
struct Section {
    name: &'static str,
    outcome: Option<Outcome>,
    findings: String,
}

/// Keeps a result in place of the scenario's last one.
///
/// # Panics
/// It cannot be written.
pub fn keep(name: &str, outcome: &Outcome) {
    let text = serde_json::to_string_pretty(outcome).expect("a result is JSON");
    std::fs::write(result_file(name), text + "\n").expect("results can be written");
}

/// Writes `BENCHMARKS.md` from the last result of every scenario, each with the findings that are kept by hand.
///
/// # Panics
/// A result cannot be read, or the page not written.
pub fn write() {
    let sections: Vec<Section> =
        NAMES.iter().map(|name| Section { name, outcome: last(name), findings: findings(name) }).collect();
    std::fs::write(workspace().join("BENCHMARKS.md"), page(&sections)).expect("BENCHMARKS.md can be written");
}

fn result_file(name: &str) -> PathBuf {
    workspace().join(format!("benches/results/{name}.json"))
}

fn last(name: &str) -> Option<Outcome> {
    let text = std::fs::read_to_string(result_file(name)).ok()?;
    let read = serde_json::from_str(&text);
    Some(read.unwrap_or_else(|why| panic!("{}: {why}; run {name} again", result_file(name).display())))
}

fn findings(name: &str) -> String {
    std::fs::read_to_string(workspace().join(format!("benches/findings/{name}.md"))).unwrap_or_default()
}

fn page(sections: &[Section]) -> String {
    let mut page = String::from(
        "# Benchmarks\n\n\
         Written by `cargo compare`; do not edit. Words that are kept by hand are in `benches/findings`, every sample of a\n\
         contender is in `benches/results`. Contenders take turns (A B C, A B C, …) over loopback on one machine, and in short turns where\n\
         it is said (parts of a second, there and back: A B C, C B A, …); a ratio is the median over the\n\
         rounds of ours to the peer's in the same round, with the least and the greatest beside it (of the gateway's p99 at the same\n\
         rate over the pairs of neighbouring turns, for one stop of the machine decides that of a round). CPU is what the kernel\n\
         accounts to the contender's processes, user and system, divided by the answers; load generator and backend are\n\
         processes of their own. Resident memory of nginx is that of master and worker, with\n\
         the pages that both share counted twice. Latencies are those of the load\n\
         generator; on a machine this small it waits for a core too.\n\n",
    );
    page.push_str("## Targets\n\n| scenario | target | measured | met |\n| --- | --- | --- | --- |\n");
    for section in sections {
        let Some(outcome) = &section.outcome else {
            let _ = writeln!(page, "| {} | | not run yet | |", section.name);
            continue;
        };
        for verdict in &outcome.verdicts {
            let Verdict { target, figure, .. } = verdict;
            let _ = writeln!(page, "| {} | {target} | {figure} | {} |", section.name, met(verdict));
        }
    }
    for section in sections {
        if let Some(outcome) = &section.outcome {
            page.push('\n');
            section_of(&mut page, section.name, outcome, &section.findings);
        }
    }
    page
}

fn met(verdict: &Verdict) -> &'static str {
    match verdict.met {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "cannot be told",
    }
}

fn section_of(page: &mut String, name: &str, outcome: &Outcome, findings: &str) {
    let _ = writeln!(page, "## {}\n\n{}\n", outcome.title, outcome.about);
    let _ = writeln!(page, "{}\n", circumstances(name, &outcome.circumstances));
    if !outcome.missing.is_empty() {
        let _ = writeln!(page, "Missing on this machine, so not compared: {}.\n", outcome.missing.join(", "));
    }
    for verdict in &outcome.verdicts {
        let _ = writeln!(
            page,
            "- {}: {} — {}",
            verdict.target,
            verdict.figure,
            match verdict.met {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "cannot be told",
            }
        );
    }
    for table in
        outcome.comparisons.iter().map(crate::sample::Comparison::table).chain(outcome.tables.clone())
    {
        table_of(page, &table);
    }
    if !outcome.commands.is_empty() {
        let _ = writeln!(page, "\n```sh\n{}\n```", outcome.commands.join("\n"));
    }
    if !findings.trim().is_empty() {
        let _ = writeln!(page, "\n{}", findings.trim());
    }
}

fn circumstances(name: &str, of: &Circumstances) -> String {
    let versions: Vec<String> =
        of.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    format!(
        "`cargo compare {name} --rounds {} --seconds {}{}`, {} at commit {}; {}, {} cores, {} GiB, Linux {}, {}, load average {} when \
         it began; {}.",
        of.rounds,
        of.seconds,
        if of.optimised { " --optimised" } else { "" },
        of.taken_at,
        of.commit,
        of.cpu,
        of.cores,
        of.memory,
        of.kernel,
        of.filesystem,
        of.load_before,
        versions.join(", "),
    )
}

fn table_of(page: &mut String, table: &Table) {
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let _ = writeln!(page, "\n**{}**\n\n{}", table.title, line(&table.columns));
    let _ = writeln!(page, "{}", line(&vec!["---".to_owned(); table.columns.len()]));
    for row in &table.rows {
        let _ = writeln!(page, "{}", line(row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Comparison, Sample};

    fn outcome() -> Outcome {
        let mut outcome = Outcome::new("The gateway", "Everything that it does.");
        let mut comparison = Comparison::new("Plain HTTP");
        let sample = |cpu| Sample { requests: 100, failures: 2, seconds: 1.0, cpu, ..Sample::default() };
        comparison.add("Countersign", sample(21.0));
        comparison.add("nginx", sample(20.0));
        outcome.at_most("no more CPU than nginx", comparison.ratio("Countersign", "nginx", |s| s.cpu), 1.0);
        outcome.comparisons.push(comparison);
        outcome.missing.push("Envoy".to_owned());
        outcome.command("wrk -t1 -c64");
        outcome
    }

    #[test]
    fn the_page_names_misses_failures_and_the_missing() {
        let sections = [
            Section {
                name: "gateway",
                outcome: Some(outcome()),
                findings: "The profile says so.\n".to_owned(),
            },
            Section { name: "junk", outcome: None, findings: String::new() },
        ];
        let page = page(&sections);
        for part in [
            "| gateway | no more CPU than nginx | 1.05 (1.05–1.05 in 1 rounds) | **no** |",
            "| junk | | not run yet | |",
            "Missing on this machine, so not compared: Envoy.",
            "- no more CPU than nginx: 1.05 (1.05–1.05 in 1 rounds) — **missed**",
            "| Countersign | 100 | 0.00 | 0.00 | 0.00 | 21.0 | 0.0 | 100 | 2 | — |",
            "wrk -t1 -c64",
            "\nThe profile says so.\n",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
    }

    #[test]
    fn what_is_kept_is_read_back_as_it_was() {
        let kept = serde_json::to_string(&outcome()).unwrap();
        assert_eq!(serde_json::from_str::<Outcome>(&kept).unwrap(), outcome());
    }

    #[test]
    fn every_result_that_is_kept_can_be_rendered() {
        for name in NAMES {
            let outcome = last(name);
            let columns = |table: &Table| table.rows.iter().all(|row| row.len() == table.columns.len());
            assert!(outcome.is_none_or(|outcome| outcome.tables.iter().all(columns)), "{name}");
        }
    }
}
