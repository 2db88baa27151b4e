//! YAML as far as it says what JSON can: one document, the core schema, no merge keys, and aliases within a budget.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value};

use super::DEEPEST;

/// What all values may weigh together, copies of anchored ones included: a few lines of aliases of aliases would
/// otherwise fill any memory.
const MOST_WEIGHT: usize = 16 * 1024 * 1024;
/// What a value weighs besides its text.
const NODE_WEIGHT: usize = 32;

/// A list or an object that has not ended yet.
struct Open {
    anchor: usize,
    /// Its weight so far.
    weight: usize,
    holds: Holds,
}

enum Holds {
    Items(Vec<Value>),
    /// The members, and the name whose value is to come.
    Members(Map<String, Value>, Option<String>),
}

#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    anchored: BTreeMap<usize, (Value, usize)>,
    weight: usize,
    document: Option<Value>,
}

/// Reads a document.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| format!("is no YAML: {}, {}", at(error.marker()), error.info()))?;
        reader.take(event).map_err(|fault| format!("{fault} ({})", at(&span.start)))?;
    }
    Ok(reader.document.unwrap_or(Value::Null))
}

fn at(marker: &saphyr_parser::Marker) -> String {
    format!("line {}, column {}", marker.line(), marker.col() + 1)
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.document.is_some() => {
                Err("holds a second document; send one".to_owned())
            }
            Event::DocumentStart(_) => Ok(()),
            Event::Alias(anchor) => {
                // An alias inside of what it names is not there yet.
                let found = self.anchored.get(&anchor).cloned();
                let (value, weight) = found.ok_or("holds an alias of something that has not ended")?;
                self.place(value, weight, 0)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let weight = NODE_WEIGHT + text.len();
                if self.expects_name() {
                    return self.name(&text);
                }
                let value = scalar(&text, style, tag.as_deref())?;
                self.place(value, weight, anchor)
            }
            Event::SequenceStart(anchor, tag) => self.begin(anchor, tag.as_deref(), Holds::Items(Vec::new())),
            Event::MappingStart(anchor, tag) => {
                self.begin(anchor, tag.as_deref(), Holds::Members(Map::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn expects_name(&self) -> bool {
        matches!(self.open.last(), Some(Open { holds: Holds::Members(_, None), .. }))
    }

    fn begin(&mut self, anchor: usize, tag: Option<&Tag>, holds: Holds) -> Result<(), String> {
        if self.expects_name() {
            return Err("names a member by a list or an object; JSON has texts only".to_owned());
        }
        if let Some(tag) = tag.filter(|tag| !is_known(tag)) {
            return Err(unknown_tag(tag));
        }
        if self.open.len() >= DEEPEST {
            return Err(format!("nests deeper than {DEEPEST} levels"));
        }
        self.open.push(Open { anchor, weight: NODE_WEIGHT, holds });
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.holds {
            Holds::Items(items) => Value::Array(items),
            Holds::Members(members, _) => Value::Object(members),
        };
        // Its parts have been weighed one by one.
        self.weight = self.weight.saturating_sub(open.weight - NODE_WEIGHT);
        self.place(value, open.weight, open.anchor)
    }

    fn name(&mut self, text: &str) -> Result<(), String> {
        if text == "<<" {
            return Err(
                "holds a merge key (<<), which YAML 1.2 does not have; write the members out".to_owned()
            );
        }
        if let Some(Open { holds: Holds::Members(members, name), weight, .. }) = self.open.last_mut() {
            if members.contains_key(text) {
                return Err("names a member twice".to_owned());
            }
            *weight += text.len();
            self.weight += text.len();
            *name = Some(text.to_owned());
        }
        Ok(())
    }

    fn place(&mut self, value: Value, weight: usize, anchor: usize) -> Result<(), String> {
        let copies = if anchor > 0 { 2 } else { 1 };
        self.weight = self.weight.saturating_add(weight.saturating_mul(copies));
        if self.weight > MOST_WEIGHT {
            return Err("grows too large by its aliases; write $ref instead of anchors".to_owned());
        }
        if anchor > 0 {
            self.anchored.insert(anchor, (value.clone(), weight));
        }
        let Some(open) = self.open.last_mut() else {
            self.document = Some(value);
            return Ok(());
        };
        open.weight += weight;
        match &mut open.holds {
            Holds::Items(items) => items.push(value),
            Holds::Members(members, name) => {
                let name = name.take().ok_or("names a member by an alias; write the name out")?;
                members.insert(name, value);
            }
        }
        Ok(())
    }
}

fn is_known(tag: &Tag) -> bool {
    const KNOWN: [&str; 7] = ["str", "int", "float", "bool", "null", "seq", "map"];
    tag.is_yaml_core_schema() && KNOWN.contains(&tag.suffix.as_str())
}

fn unknown_tag(tag: &Tag) -> String {
    format!(
        "holds the tag {}, which JSON has no word for; remove it",
        shared_claims::oauth::printable(&tag.suffix)
    )
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    match tag {
        Some(tag) if !is_known(tag) => return Err(unknown_tag(tag)),
        Some(tag) if tag.suffix == "str" => return Ok(text.into()),
        _ if style != ScalarStyle::Plain => return Ok(text.into()),
        _ => {}
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => match number(text) {
            Some(value) => value,
            None if is_endless(text) => {
                return Err("holds a number that JSON cannot: .inf or .nan".to_owned());
            }
            None => text.into(),
        },
    })
}

fn is_endless(text: &str) -> bool {
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(bare, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN")
}

/// The numbers of YAML's core schema (YAML 1.2.2, section 10.3.2).
fn number(text: &str) -> Option<Value> {
    if let Some(octal) = text.strip_prefix("0o") {
        return is_digits(octal, 8).then(|| u64::from_str_radix(octal, 8).ok().map(Value::from))?;
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return is_digits(hex, 16).then(|| u64::from_str_radix(hex, 16).ok().map(Value::from))?;
    }
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if is_digits(bare, 10) {
        let whole = unsigned.parse::<i64>().map(Value::from).ok();
        return whole.or_else(|| unsigned.parse::<u64>().map(Value::from).ok()).or_else(|| float(unsigned));
    }
    let (mantissa, exponent) = bare.split_once(['e', 'E']).map_or((bare, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = (is_digits(whole, 10) || (whole.is_empty() && !fraction.is_empty()))
        && (fraction.is_empty() || is_digits(fraction, 10))
        && exponent.is_none_or(|e| is_digits(e.strip_prefix(['-', '+']).unwrap_or(e), 10));
    if is_number { float(unsigned) } else { None }
}

fn is_digits(text: &str, radix: u32) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_digit(radix))
}

fn float(text: &str) -> Option<Value> {
    Number::from_f64(text.parse().ok()?).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_json_can_say_is_read() {
        let text = "a: 1\nb: [x, 'true', true, ~, -2.5, 0x1f, 1e3, 2024-01-01, 1.0.0, '']\n200:\n  c: |\n    two\n    lines\n? d\n: &k {e: f}\ng: *k\nh: !!str 5\n";
        let expected = json!({
            "a": 1, "b": ["x", "true", true, null, -2.5, 31, 1000.0, "2024-01-01", "1.0.0", ""],
            "200": {"c": "two\nlines\n"}, "d": {"e": "f"}, "g": {"e": "f"}, "h": "5",
        });
        assert_eq!(read(text), Ok(expected));
    }

    #[test]
    fn what_json_cannot_say_is_refused_with_its_line() {
        let bad = [
            ("a: 1\na: 2", "twice"),
            ("a: 1\n---\nb: 2", "second document"),
            ("[a]: 1", "by a list"),
            ("a: &x 1\n*x : 2", "alias"),
            ("a: .inf", ".inf"),
            ("a: !!binary aGk=", "binary"),
            ("a: !own x", "tag"),
            ("a: &x {b: 1}\nc:\n  <<: *x", "merge key"),
            ("a: *nothing", "is no YAML"),
            ("a: &x [*x]", "not ended"),
            ("a: [", "is no YAML"),
        ];
        for (text, words) in bad {
            let fault = read(text).expect_err(text);
            assert!(fault.contains(words) && fault.contains("line"), "{text}: {fault}");
        }
    }

    #[test]
    fn aliases_of_aliases_do_not_fill_the_memory() {
        let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for n in 1..30 {
            let names = vec![format!("*a{}", n - 1); 9].join(", ");
            bomb.push_str(&format!("a{n}: &a{n} [{names}]\n"));
        }
        assert!(read(&bomb).unwrap_err().contains("aliases"));
        let long = format!("a: &a {}\nb: [{}]", "x".repeat(100_000), vec!["*a"; 10_000].join(","));
        assert!(read(&long).unwrap_err().contains("aliases"));
        let nested = format!("{}1", "&a [".repeat(60));
        assert!(read(&nested).is_err());
    }

    #[test]
    fn deep_nesting_is_refused_in_both_styles() {
        assert!(read(&"[".repeat(100_000)).is_err());
        assert!(read(&format!("{}1{}", "[".repeat(65), "]".repeat(65))).unwrap_err().contains("deeper"));
        assert!(read(&"- ".repeat(100_000)).is_err());
        assert!(read(&"{a: ".repeat(100_000)).is_err());
        assert!(read(&"? ".repeat(100_000)).is_err());
        let block: String = (0..100).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        assert!(read(&block).unwrap_err().contains("deeper"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([ \\n\\[\\]{}:,&*!|>'\"#%@?-]|[a-c0-9.]|\\PC){0,80}") {
            let _ = read(&text);
        }

        #[test]
        fn json_is_yaml(name in "[a-z]{1,8}", text in "[ -~]{0,20}", number in any::<i32>()) {
            let value = json!({ name: [text, number, null, true] });
            prop_assert_eq!(read(&value.to_string()), Ok(value));
        }
    }
}
