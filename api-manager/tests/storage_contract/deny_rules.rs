//! Deny rules.

use api_manager::domain::deny::{AddressRange, Conditions, DenyRule, Draft, Subject};
use api_manager::storage::{apis, applications, deny_rules};
use shared_claims::clock::UnixTime;
use shared_server::database::StorageError;
use test_support::on_every_stage;

use super::{Store, api};

fn rule(conditions: Conditions) -> DenyRule {
    let draft = Draft { conditions, enabled: true, reason: String::new(), expires_at: None };
    draft.into_rule(UnixTime(7))
}

on_every_stage! {
    async fn a_deny_rule_survives_storage_and_loses_what_it_is_told_to(stage: Stage) {
        let store = Store::on(stage).await;
        let application = store.keeps_application("alice", "app").await;
        let pets = store.keeps_api(api("pets", "1.0")).await;
        let mut kept = rule(Conditions {
            addresses: AddressRange::parse("2001:db8::/32").ok(),
            application: Some(application.id),
            subject: Some(Subject { name: "alice".to_owned(), issuer: Some("https://idp".to_owned()) }),
            api: Some(pets.id),
        });
        kept.reason = "two\nlines".to_owned();
        kept.expires_at = Some(UnixTime(9));
        let made = kept.clone();
        store.write(move |c| deny_rules::insert(c, &made)).await.unwrap();
        let id = kept.id;
        assert_eq!(store.read(move |c| deny_rules::find(c, id)).await, Some(kept.clone()));

        kept.conditions = Conditions { addresses: AddressRange::parse("10.0.0.1").ok(), ..Conditions::default() };
        kept.expires_at = None;
        kept.enabled = false;
        kept.revision = 2;
        let changed = kept.clone();
        assert_eq!(store.write(move |c| deny_rules::update(c, &changed, 1)).await, Ok(true));
        assert_eq!(store.read(deny_rules::list_all).await, [kept.clone()]);
        let again = kept.clone();
        assert_eq!(store.write(move |c| deny_rules::update(c, &again, 1)).await, Ok(false));
        assert_eq!(store.write(move |c| deny_rules::delete(c, id, 1)).await, Ok(false));
        assert_eq!(store.write(move |c| deny_rules::delete(c, id, 2)).await, Ok(true));
        assert_eq!(store.read(deny_rules::count).await, 0);
    }

    async fn a_page_of_deny_rules_begins_after_the_last(stage: Stage) {
        let store = Store::on(stage).await;
        let rules: Vec<DenyRule> = (0..3)
            .map(|n| rule(Conditions { addresses: AddressRange::parse(&format!("10.0.0.{n}")).ok(), ..Conditions::default() }))
            .collect();
        let made = rules.clone();
        store.write(move |c| made.iter().try_for_each(|rule| deny_rules::insert(c, rule))).await.unwrap();
        let first = rules[0].id.to_string();
        assert_eq!(store.read(move |c| deny_rules::list(c, &first, 1)).await, rules[1..2]);
        assert_eq!(store.read(|c| deny_rules::list(c, "", 10)).await, rules);
    }

    async fn a_deny_rule_goes_with_what_it_names_and_cannot_name_what_is_not_there(stage: Stage) {
        let store = Store::on(stage).await;
        let application = store.keeps_application("alice", "app").await;
        let pets = store.keeps_api(api("pets", "1.0")).await;
        let by_application = rule(Conditions { application: Some(application.id), ..Conditions::default() });
        let by_api = rule(Conditions { api: Some(pets.id), ..Conditions::default() });
        let both = [by_application.clone(), by_api];
        store.write(move |c| both.iter().try_for_each(|rule| deny_rules::insert(c, rule))).await.unwrap();

        store.write(move |c| applications::delete(c, application.id, application.revision)).await.unwrap();
        store.write(move |c| apis::delete(c, pets.id, pets.revision)).await.unwrap();

        assert_eq!(store.read(deny_rules::count).await, 0);
        let refused = store.write(move |c| deny_rules::insert(c, &by_application)).await;
        assert_eq!(refused, Err(StorageError::InUse));
    }
}
