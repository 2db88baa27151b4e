//! Deny rules, compiled: looked up without locks, whatever their number.
//!
//! Rules with the same kinds of conditions (and the same length of prefix) have one shape. For each shape in use there is
//! one look-up, with a key made of the call; ten thousand addresses and ranges of three lengths cost three.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use shared_claims::clock::UnixTime;

use super::grant_cache::Entry;
use crate::domain::deny::address::Family;
use crate::domain::deny::{AddressRange, DenyRule};
use crate::domain::ids::{ApiId, ApplicationId, DenyRuleId};

/// Every rule that counts.
#[derive(Default)]
pub struct DenyTable {
    /// Rules that need no caller to be known.
    of_places: Rules,
    /// Those that name an application or a subject.
    of_callers: Rules,
    names: HashMap<Box<str>, Name>,
}

/// The number of a subject or issuer that a rule names.
type Name = u32;

/// Whose credentials come with a call.
#[derive(Clone, Debug)]
pub struct Caller<'c> {
    /// The application.
    pub application: ApplicationId,
    /// Whom the credentials stand for.
    pub subject: Cow<'c, str>,
    /// Who vouched for them, where somebody did.
    pub issuer: Option<&'c str>,
}

impl<'c> Caller<'c> {
    /// Behind credentials that are known.
    #[must_use]
    pub fn of(entry: &'c Entry) -> Self {
        let caller = &entry.principal;
        let issuer = caller.origin().map(|origin| origin.issuer);
        Self { application: caller.application_id(), subject: caller.subject(), issuer }
    }
}

#[derive(Default)]
struct Rules {
    shapes: Vec<Shape>,
    by_key: HashMap<Key, Vec<Denial>>,
}

/// Which conditions a rule has.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    addresses: Option<(Family, u8)>,
    api: bool,
    application: bool,
    subject: bool,
    issuer: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    addresses: Option<AddressRange>,
    api: Option<ApiId>,
    application: Option<ApplicationId>,
    subject: Option<Name>,
    issuer: Option<Name>,
}

struct Denial {
    rule: DenyRuleId,
    expires_at: Option<UnixTime>,
}

impl DenyTable {
    /// Compiles the rules that are enabled.
    #[must_use]
    pub fn compile(rules: &[DenyRule]) -> Self {
        let mut table = Self::default();
        for rule in rules.iter().filter(|rule| rule.enabled && !rule.conditions.is_empty()) {
            let conditions = &rule.conditions;
            let subject = conditions.subject.as_ref().map(|subject| table.name(&subject.name));
            let issuer = conditions.subject.as_ref().and_then(|subject| subject.issuer.as_deref());
            let key = Key {
                addresses: conditions.addresses,
                api: conditions.api,
                application: conditions.application,
                subject,
                issuer: issuer.map(|issuer| table.name(issuer)),
            };
            let names_caller = key.application.is_some() || key.subject.is_some();
            let rules = if names_caller { &mut table.of_callers } else { &mut table.of_places };
            rules.add(key, Denial { rule: rule.id, expires_at: rule.expires_at });
        }
        table
    }

    /// The rule that keeps everybody at this address away from this API, if there is one.
    #[must_use]
    pub fn denies_place(&self, peer: IpAddr, api: ApiId, now: UnixTime) -> Option<DenyRuleId> {
        self.of_places.find(peer, api, None, now)
    }

    /// Whether any rule asks who calls.
    #[must_use]
    pub fn names_callers(&self) -> bool {
        !self.of_callers.shapes.is_empty()
    }

    /// The rule that keeps this caller at this address away from this API, if there is one.
    #[must_use]
    pub fn denies_caller(
        &self,
        peer: IpAddr,
        api: ApiId,
        caller: &Caller<'_>,
        now: UnixTime,
    ) -> Option<DenyRuleId> {
        let number = |name: &str| self.names.get(name).copied();
        let numbers = Numbers {
            application: caller.application,
            subject: number(&caller.subject),
            issuer: caller.issuer.and_then(number),
        };
        self.of_callers.find(peer, api, Some(numbers), now)
    }

    fn name(&mut self, text: &str) -> Name {
        let next = Name::try_from(self.names.len()).unwrap_or(Name::MAX);
        *self.names.entry(text.into()).or_insert(next)
    }
}

/// A caller, as the keys know it.
#[derive(Clone, Copy)]
struct Numbers {
    application: ApplicationId,
    subject: Option<Name>,
    issuer: Option<Name>,
}

impl Rules {
    fn add(&mut self, key: Key, denial: Denial) {
        let shape = Shape {
            addresses: key.addresses.map(AddressRange::shape),
            api: key.api.is_some(),
            application: key.application.is_some(),
            subject: key.subject.is_some(),
            issuer: key.issuer.is_some(),
        };
        if !self.shapes.contains(&shape) {
            self.shapes.push(shape);
        }
        self.by_key.entry(key).or_default().push(denial);
    }

    fn find(&self, peer: IpAddr, api: ApiId, caller: Option<Numbers>, now: UnixTime) -> Option<DenyRuleId> {
        let keys = self.shapes.iter().filter_map(|shape| shape.key(peer, api, caller));
        let denials = keys.filter_map(|key| self.by_key.get(&key)).flatten();
        let mut counting = denials.filter(|denial| denial.expires_at.is_none_or(|end| now < end));
        counting.next().map(|denial| denial.rule)
    }
}

impl Shape {
    /// What a rule of this shape would be kept under if it applied; `None` where none can apply.
    fn key(self, peer: IpAddr, api: ApiId, caller: Option<Numbers>) -> Option<Key> {
        let addresses = match self.addresses {
            None => None,
            Some((family, length)) => {
                let range = AddressRange::around(peer, length)?;
                if range.shape().0 != family {
                    return None;
                }
                Some(range)
            }
        };
        let needed = |is_asked: bool, value: Option<Name>| match (is_asked, value) {
            (false, _) => Some(None),
            (true, None) => None,
            (true, known) => Some(known),
        };
        Some(Key {
            addresses,
            api: self.api.then_some(api),
            application: match caller {
                _ if !self.application => None,
                caller => Some(caller?.application),
            },
            subject: needed(self.subject, caller.and_then(|caller| caller.subject))?,
            issuer: needed(self.issuer, caller.and_then(|caller| caller.issuer))?,
        })
    }
}

#[cfg(test)]
mod tests;
