//! What a caller asks the catalogue for.

use super::{Api, Visibility};
use crate::domain::actor::Actor;
use crate::domain::lifecycle::State;

/// A question to the catalogue; what is not asked does not narrow the answer.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// One of its tags, in any case.
    pub tag: Option<String>,
    /// A part of its name, its context or one of its tags, in any case.
    pub query: Option<String>,
    /// Where it is in its life.
    pub state: Option<State>,
}

impl Search {
    /// Whether the API answers the question.
    #[must_use]
    pub fn matches(&self, api: &Api) -> bool {
        let tags = || api.definition.tags.iter().map(|tag| tag.to_lowercase());
        let has_tag = |wanted: &String| tags().any(|tag| tag == wanted.to_lowercase());
        let is_named = |part: &String| {
            let part = part.to_lowercase();
            api.name.to_lowercase().contains(&part)
                || api.context.to_lowercase().contains(&part)
                || tags().any(|tag| tag.contains(&part))
        };
        self.tag.as_ref().is_none_or(has_tag)
            && self.query.as_ref().is_none_or(is_named)
            && self.state.is_none_or(|state| state == api.state)
    }
}

impl Api {
    /// Whether `actor` sees the API: its owner always does, others see public ones.
    #[must_use]
    pub fn is_visible_to(&self, actor: &Actor) -> bool {
        self.definition.visibility == Visibility::Public || actor.owns(&self.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api::tests::api_at;

    #[test]
    fn a_search_narrows_by_tag_part_of_a_name_and_state() {
        let mut api = api_at("pets", "1");
        api.definition.tags = vec!["Animals".to_owned()];
        let tag = |tag: &str| Search { tag: Some(tag.to_owned()), ..Search::default() }.matches(&api);
        let query = |query: &str| Search { query: Some(query.to_owned()), ..Search::default() }.matches(&api);
        let state = |state| Search { state: Some(state), ..Search::default() }.matches(&api);

        assert!(Search::default().matches(&api));
        assert_eq!((tag("animals"), tag("anim")), (true, false));
        assert_eq!((query("NIMA"), query("PET"), query("x")), (true, true, false));
        assert_eq!((state(State::Created), state(State::Published)), (true, false));
    }

    #[test]
    fn a_private_api_is_seen_by_its_owner_and_by_administrators() {
        let mut api = api_at("pets", "1");
        api.definition.visibility = Visibility::Private;
        let actor = |name: &str, scopes: Option<&str>| Actor {
            name: name.to_owned(),
            scopes: scopes.map(|s| shared_claims::scope::ScopeSet::parse(s).unwrap()),
        };

        assert!(api.is_visible_to(&actor("owner", Some("apim:api_view"))));
        assert!(!api.is_visible_to(&actor("other", Some("apim:api_view"))));
        assert!(api.is_visible_to(&actor("other", Some("apim:admin"))));
        assert!(api.is_visible_to(&actor("admin", None)));
    }
}
