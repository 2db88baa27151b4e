//! W3C Trace Context (Recommendation of 23 November 2021): whose trace a request belongs to, and what the backend hears of it.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use shared_claims::random;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The longest `tracestate` that is passed on; section 3.3.1.5 asks for at least this much.
const LONGEST_STATE: usize = 512;
const MOST_MEMBERS: usize = 32;
/// The caller may have recorded; without it, backends that follow their caller's choice would record nothing.
const SAMPLED: u8 = 1;

/// Whether a header speaks of traces.
#[must_use]
pub fn is_part(name: &HeaderName) -> bool {
    *name == TRACEPARENT || *name == TRACESTATE
}

/// The trace of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    flags: u8,
    state: Option<HeaderValue>,
}

impl Trace {
    /// The caller's, or a new one where the caller has none, or none that is valid (section 3.2.3).
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let parent = match (parents.next(), parents.next()) {
            (Some(only), None) => parse(only.as_bytes()),
            _ => None,
        };
        match parent {
            Some((id, flags)) => Self { id, flags, state: state(headers) },
            None => Self { id: random::id().as_u128(), flags: SAMPLED, state: None },
        }
    }

    /// Tells the backend: the same trace, with this passage as its parent.
    pub fn say(&self, mut line: impl FnMut(&HeaderName, &[u8])) {
        // The variant bits keep this half from being zero.
        let (_, span) = random::id().as_u64_pair();
        line(&TRACEPARENT, &self.parent(span));
        if let Some(state) = &self.state {
            line(&TRACESTATE, state.as_bytes());
        }
    }

    /// Has it stand in the headers of a request to the backend, and no other.
    pub fn pass_on(&self, headers: &mut HeaderMap) {
        headers.remove(TRACEPARENT);
        headers.remove(TRACESTATE);
        self.say(|name, value| {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.insert(name, value);
            }
        });
    }

    /// `00-{trace}-{span}-{flags}`, written digit by digit: it is written for every request.
    fn parent(&self, span: u64) -> [u8; 55] {
        let mut text = [b'-'; 55];
        let (trace, span, flags) = (self.id.to_be_bytes(), span.to_be_bytes(), [self.flags]);
        for (place, bytes) in [(0, &[0][..]), (3, &trace), (36, &span), (53, &flags)] {
            let (pairs, _) = text.split_at_mut(place).1.as_chunks_mut::<2>();
            for (pair, byte) in pairs.iter_mut().zip(bytes) {
                *pair = [byte >> 4, byte & 15]
                    .map(|digit| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
            }
        }
        text
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.id)
    }
}

/// The trace id and those flags that we know (section 3.2).
fn parse(text: &[u8]) -> Option<(u128, u8)> {
    let version = u8::try_from(hex(text.get(..2)?)?).ok()?;
    let rest = text.get(55..)?;
    let is_whole = match version {
        0 => rest.is_empty(),
        0xff => false,
        // What a later version adds comes after a dash (section 4.3).
        _ => rest.is_empty() || rest.first() == Some(&b'-'),
    };
    let dashes = [2, 35, 52].into_iter().all(|place| text.get(place) == Some(&b'-'));
    let id = hex(text.get(3..35)?)?;
    let parent = hex(text.get(36..52)?)?;
    let flags = u8::try_from(hex(text.get(53..55)?)?).ok()?;
    (is_whole && dashes && id != 0 && parent != 0).then_some((id, flags & SAMPLED))
}

/// Lower-case hexadecimal, at most 32 digits.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// The lines of `tracestate` as one; `None` where there is nothing, too much, or something malformed (section 3.3).
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let lines: Vec<&[u8]> = headers.get_all(TRACESTATE).iter().map(HeaderValue::as_bytes).collect();
    if lines.is_empty() || lines.iter().map(|line| line.len() + 1).sum::<usize>() > LONGEST_STATE + 1 {
        return None;
    }
    let joined = lines.join(&b","[..]);
    let mut keys = Vec::new();
    for member in joined.split(|byte| *byte == b',') {
        let member = member.trim_ascii();
        if member.is_empty() {
            continue;
        }
        let (key, value) = member.split_at_checked(member.iter().position(|byte| *byte == b'=')?)?;
        if !is_key(key) || !is_value(value.get(1..)?) || keys.contains(&key) {
            return None;
        }
        keys.push(key);
    }
    (1..=MOST_MEMBERS).contains(&keys.len()).then(|| HeaderValue::from_bytes(&joined).ok())?
}

fn is_key(key: &[u8]) -> bool {
    let first = key.first().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let rest = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(byte);
    first && key.len() <= 256 && key.iter().all(rest)
}

fn is_value(value: &[u8]) -> bool {
    (1..=256).contains(&value.len()) && value.iter().all(|byte| (b' '..=b'~').contains(byte) && *byte != b'=')
}

#[cfg(test)]
mod tests;
