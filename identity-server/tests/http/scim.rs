//! `/scim/v2`

use serde_json::{Value, json};

use crate::actors::{As, Reply, Server, password_of};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Status and scimType of a refusal.
fn refusal(reply: &Reply) -> (u16, String) {
    assert_eq!(reply.header("content-type"), "application/scim+json", "{reply:?}");
    let body = reply.json();
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    assert_eq!(body["status"], reply.status.to_string());
    (reply.status, body["scimType"].as_str().unwrap_or_default().to_owned())
}

async fn patch(server: &Server, id: &str, operations: Value) -> Reply {
    server.scim("PATCH", &format!("/Users/{id}"), json!({"schemas": [PATCH], "Operations": operations})).await
}

#[tokio::test]
async fn a_user_is_made_read_replaced_and_deleted_and_the_name_stays_reserved() {
    let server = Server::start().await;
    let body = json!({"userName": "Alice", "password": "password-of-Alice", "name": {"givenName": "Al"}, "externalId": "7"});
    let made = server.scim("POST", "/Users", body).await;
    assert_eq!(
        (made.status, made.header("etag"), made.header("content-type")),
        (201, "\"1\"", "application/scim+json")
    );
    assert!(!made.text.contains("password"));
    let path = format!("/Users/{}", made.str("id"));
    assert!(made.header("location").ends_with(&path));
    assert_eq!(
        (&made.json()["meta"]["resourceType"], &made.json()["externalId"]),
        (&json!("User"), &json!("7"))
    );

    let read = server.scim("GET", &path, json!({})).await;
    assert_eq!((read.status, read.json()), (200, made.json()));
    let mut body = read.json();
    body["displayName"] = json!("Alice A.");
    let replaced = server.scim("PUT", &path, body).await;
    assert_eq!(
        (replaced.status, replaced.header("etag"), replaced.str("displayName").as_str()),
        (200, "\"2\"", "Alice A.")
    );
    let renamed = server.scim("PUT", &path, json!({"userName": "bob"})).await;
    assert_eq!(refusal(&renamed), (400, "mutability".into()));

    assert_eq!(server.scim("DELETE", &path, json!({})).await.status, 204);
    assert_eq!(refusal(&server.scim("GET", &path, json!({})).await).0, 404);
    let again =
        server.scim("POST", "/Users", json!({"userName": "aLICE", "password": password_of("x")})).await;
    assert_eq!(refusal(&again), (409, "uniqueness".into()));
}

#[tokio::test]
async fn users_are_found_by_name_and_listed_by_pages() {
    let server = Server::start().await;
    for name in ["alice", "bob", "carol"] {
        server.enrols(name, json!({})).await;
    }
    let list = async |query: &str| server.scim("GET", &format!("/Users{query}"), json!({})).await.json();
    let found = list("?filter=userName%20eq%20%22ALICE%22").await;
    assert_eq!((&found["totalResults"], &found["Resources"][0]["userName"]), (&json!(1), &json!("alice")));
    let missing = list("?filter=userName+eq+%22nobody%22").await;
    assert_eq!((&missing["totalResults"], &missing["Resources"]), (&json!(0), &json!([])));
    let page = list("?startIndex=2&count=1").await;
    assert_eq!(
        (&page["totalResults"], &page["itemsPerPage"], &page["Resources"][0]["userName"]),
        (&json!(3), &json!(1), &json!("bob"))
    );
    assert_eq!(list("?count=0").await["Resources"], json!([]));
}

#[tokio::test]
async fn filters_that_are_not_understood_are_refused() {
    let server = Server::start().await;
    for filter in
        ["userName", "userName%20co%20%22a%22", "title%20eq%20%22x%22", "userName%20eq%205", "(", "%22"]
    {
        let reply = server.scim("GET", &format!("/Users?filter={filter}"), json!({})).await;
        assert_eq!(refusal(&reply), (400, "invalidFilter".into()), "{filter}");
    }
    assert_eq!(refusal(&server.scim("GET", "/Users?count=x", json!({})).await), (400, "invalidValue".into()));
}

#[tokio::test]
async fn a_patch_changes_parts_and_a_new_password_signs_in() {
    let server = Server::start().await;
    let client = server.registers(json!({})).await;
    let id = server.enrols("alice", json!({"emails": [{"value": "a@example.com", "type": "work"}]})).await;
    let changed = patch(
        &server,
        &id,
        json!([
            {"op": "replace", "path": "name.familyName", "value": "Liddell"},
            {"op": "add", "path": "emails", "value": [{"value": "b@example.com", "primary": true}]},
            {"op": "replace", "path": "password", "value": "another-password"},
        ]),
    )
    .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(
        (&changed.json()["name"]["familyName"], changed.json()["emails"].as_array().unwrap().len()),
        (&json!("Liddell"), 2)
    );
    assert!(!changed.text.contains("another-password"));
    let form = [("grant_type", "password"), ("username", "alice"), ("password", "another-password")];
    assert_eq!(server.token(&client, &form).await.status, 200);
    assert_eq!(server.signs_in(&client, "alice").await.status, 400);

    assert_eq!(
        patch(&server, &id, json!([{"op": "Replace", "value": {"active": "False"}}])).await.json()["active"],
        false
    );
    assert_eq!(server.token(&client, &form).await.status, 400);
}

#[tokio::test]
async fn patches_that_cannot_be_done_change_nothing() {
    let server = Server::start().await;
    let id = server.enrols("alice", json!({"title": "Dr"})).await;
    for (operations, kind) in [
        (json!([]), "invalidSyntax"),
        (json!([{"op": "move", "path": "title"}]), "invalidSyntax"),
        (json!([{"op": "replace", "path": "id", "value": "x"}]), "mutability"),
        (json!([{"op": "replace", "path": "userName", "value": "bob"}]), "mutability"),
        (json!([{"op": "remove", "path": "userName"}]), "mutability"),
        (json!([{"op": "remove"}]), "noTarget"),
        (json!([{"op": "replace", "path": "emails[", "value": "x"}]), "invalidPath"),
        (json!([{"op": "replace", "path": "emails[type co \"x\"].value", "value": "x"}]), "invalidFilter"),
        (
            json!([{"op": "remove", "path": "title"}, {"op": "replace", "path": "active", "value": "perhaps"}]),
            "invalidValue",
        ),
        (json!([{"op": "replace", "path": "password", "value": "short"}]), "invalidValue"),
    ] {
        assert_eq!(
            refusal(&patch(&server, &id, operations.clone()).await),
            (400, kind.to_owned()),
            "{operations}"
        );
    }
    let user = server.scim("GET", &format!("/Users/{id}"), json!({})).await;
    assert_eq!((user.header("etag"), user.str("title").as_str()), ("\"1\"", "Dr"));
}

#[tokio::test]
async fn bad_users_and_bad_bodies_are_refused_in_scims_form() {
    let server = Server::start().await;
    for bad in [
        json!({}),
        json!({"userName": ""}),
        json!({"userName": 5}),
        json!({"userName": "a\u{200b}b"}),
        json!({"userName": "x".repeat(129)}),
        json!({"userName": "bob", "password": "short"}),
        json!({"userName": "bob", "emails": "a@example.com"}),
        json!({"userName": "bob", "title": "x".repeat(256)}),
        json!({"userName": "bob", "schemas": 5}),
        json!({"userName": "bob", "schemas": ["urn:example:other"]}),
    ] {
        assert_eq!(refusal(&server.scim("POST", "/Users", bad).await), (400, "invalidValue".into()));
    }
    let post = async |kind: &str, body: &str| {
        server.send("POST", "/scim/v2/Users", As::Admin, &[("content-type", kind)], body.to_owned()).await
    };
    assert_eq!(refusal(&post("application/scim+json", "[]").await), (400, "invalidSyntax".into()));
    assert_eq!(refusal(&post("text/plain", "{}").await).0, 415);
    assert_eq!(refusal(&server.get("/scim/v2/Users", As::Nobody).await).0, 401);
    assert_eq!(refusal(&server.scim("GET", "/Users/nothing", json!({})).await).0, 404);
    assert_eq!(refusal(&server.scim("GET", "/Bulk", json!({})).await).0, 404);
    assert_eq!(refusal(&server.scim("PATCH", "/Users", json!({})).await).0, 405);
}

#[tokio::test]
async fn a_version_that_is_not_the_present_one_is_refused() {
    let server = Server::start().await;
    let id = server.enrols("alice", json!({})).await;
    let path = format!("/scim/v2/Users/{id}");
    let headers = [("content-type", "application/scim+json"), ("if-match", "\"9\"")];
    let body = json!({"userName": "alice"}).to_string();
    assert_eq!(server.send("PUT", &path, As::Admin, &headers, body).await.status, 412);
    assert_eq!(server.send("DELETE", &path, As::Admin, &headers, "").await.status, 412);
}

#[tokio::test]
async fn the_server_says_what_it_can_do() {
    let server = Server::start().await;
    for path in ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"] {
        assert_eq!(server.scim("GET", path, json!({})).await.status, 200);
    }
    let config = server.scim("GET", "/ServiceProviderConfig", json!({})).await.json();
    assert_eq!((&config["patch"]["supported"], &config["bulk"]["supported"]), (&json!(true), &json!(false)));
}
