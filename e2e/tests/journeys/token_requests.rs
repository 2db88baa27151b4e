//! Malformed requests at both token endpoints: a clear error in JSON, and nothing lost.

use e2e::actors::JWT_BEARER;
use e2e::client::{Answer, Call};
use e2e::world::World;
use http::Method;
use test_support::on_every_stage;

use super::whole_world;

/// A token endpoint, credentials that it takes, and a form that it answers with 200.
struct Door {
    name: &'static str,
    url: String,
    key: String,
    secret: String,
    form: Vec<(String, String)>,
}

impl Door {
    async fn both(world: &World) -> [Self; 2] {
        let client = world.client().await;
        let alice = client.welcomes("alice").await;
        let idp = world.trusted_idp().await;
        let application = world.subscribed_application("pets").await;
        let form =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        [
            Self {
                name: "identity server",
                url: format!("{}/oauth2/token", world.places().identity),
                key: client.id,
                secret: client.secret,
                form: form(&[
                    ("grant_type", "password"),
                    ("username", &alice.name),
                    ("password", &alice.password),
                ]),
            },
            Self {
                name: "API manager",
                url: format!("{}/oauth2/token", world.places().manager),
                key: application.key,
                secret: application.secret,
                form: form(&[("grant_type", JWT_BEARER), ("assertion", &idp.sign_for("alice"))]),
            },
        ]
    }

    fn body(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.form).finish()
    }

    fn form(&self, body: impl Into<bytes::Bytes>) -> Call {
        Call::post(&self.url).header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    fn with_keys(&self, call: Call) -> Call {
        call.basic(&self.key, &self.secret)
    }

    async fn refuses(&self, world: &World, why: &str, call: Call, statuses: &[u16]) -> Answer {
        let answer = world.http.send(call).await;
        let seen = format!("{}, {why}: {} {}", self.name, answer.status, answer.text());
        assert!(statuses.contains(&answer.status), "{seen}");
        assert_eq!(answer.refusal().1, "invalid_request", "{seen}");
        assert!(answer.header("content-type").starts_with("application/json"), "{seen}");
        assert!(answer.header("cache-control").contains("no-store"), "{seen}");
        answer
    }
}

on_every_stage! {
    async fn a_malformed_form_is_an_invalid_request_and_the_good_one_still_works(stage: Stage) {
        let world = whole_world(stage).await;
        for door in Door::both(&world).await {
            let good = door.body();
            let repeated = format!("{good}&grant_type=password");
            let both = format!("{good}&client_id={}&client_secret={}", door.key, door.secret);
            let first = good.split('&').next().unwrap();

            door.refuses(&world, "a repeated parameter", door.with_keys(door.form(repeated)), &[400]).await;
            door.refuses(&world, "an unknown parameter repeated", door.with_keys(door.form(format!("{good}&x=1&x=1"))), &[400]).await;
            door.refuses(&world, "both credentials", door.with_keys(door.form(both)), &[400]).await;
            door.refuses(&world, "only the grant type", door.with_keys(door.form(first.to_owned())), &[400]).await;
            door.refuses(&world, "an empty body", door.with_keys(door.form("")), &[400]).await;
            door.refuses(&world, "no content type", door.with_keys(Call::post(&door.url).body(good.clone())), &[400, 415]).await;
            let json = Call::post(&door.url).header("content-type", "application/json").body("{}");
            door.refuses(&world, "JSON", door.with_keys(json), &[400, 415]).await;
            let multipart = Call::post(&door.url).header("content-type", "multipart/form-data; boundary=x").body("--x--");
            door.refuses(&world, "multipart", door.with_keys(multipart), &[400, 415]).await;
            door.refuses(&world, "a broken escape", door.with_keys(door.form(format!("{good}&x=%zz"))), &[400]).await;

            let fine = door.form(good).header("accept", "application/xml");
            let answer = world.http.send(door.with_keys(fine)).await;
            assert_eq!(answer.status, 200, "{}: {}", door.name, answer.text());
        }
    }

    async fn secrets_in_the_query_string_are_refused(stage: Stage) {
        let world = whole_world(stage).await;
        for door in Door::both(&world).await {
            for secret in ["client_secret=x", "password=x", "assertion=x", "refresh_token=x"] {
                let url = format!("{}?{secret}", door.url);
                let call = Call::post(url).header("content-type", "application/x-www-form-urlencoded").body(door.body());
                door.refuses(&world, secret, door.with_keys(call), &[400]).await;
            }
            assert_eq!(world.http.send(door.with_keys(door.form(door.body()))).await.status, 200, "{}", door.name);
        }
    }

    async fn a_body_of_a_mebibyte_is_refused_and_the_next_request_is_served(stage: Stage) {
        let world = whole_world(stage).await;
        for door in Door::both(&world).await {
            let endless = format!("{}&x={}", door.body(), "x".repeat(1 << 20));

            let answer = world.http.try_send(door.with_keys(door.form(endless))).await;

            // A server may close the connection before it has read it all; it may not take the body.
            if let Ok(answer) = answer {
                assert!(matches!(answer.status, 400 | 413), "{}: {} {}", door.name, answer.status, answer.text());
            }
            assert_eq!(world.http.send(door.with_keys(door.form(door.body()))).await.status, 200, "{}", door.name);
        }
    }

    async fn only_post_asks_for_tokens(stage: Stage) {
        let world = whole_world(stage).await;
        for door in Door::both(&world).await {
            for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
                let answer = world.http.send(door.with_keys(Call::new(method.clone(), &door.url))).await;

                assert_eq!(answer.status, 405, "{}, {method}: {}", door.name, answer.text());
                assert!(answer.header("allow").contains("POST"), "{}, {method}", door.name);
            }
        }
    }

    async fn the_media_type_may_be_spelt_in_capitals_and_unknown_parameters_are_ignored(stage: Stage) {
        let world = whole_world(stage).await;
        for door in Door::both(&world).await {
            let body = format!("{}&scope=&favourite_colour=red", door.body());
            let call = Call::post(&door.url).header("content-type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8").body(body);

            let answer = world.http.send(door.with_keys(call)).await;

            assert_eq!(answer.status, 200, "{}: {}", door.name, answer.text());
        }
    }

    async fn two_hundred_requests_one_after_the_other_are_all_answered(stage: Stage) {
        let world = whole_world(stage).await;
        let [_, door] = Door::both(&world).await;
        let own = "grant_type=client_credentials";
        for number in 0..200 {
            let (form, status) = if number % 2 == 0 { (own, 200) } else { ("grant_type=surprise", 400) };

            let answer = world.http.send(door.with_keys(door.form(form))).await;

            assert_eq!(answer.status, status, "{number}: {}", answer.text());
        }
    }
}
