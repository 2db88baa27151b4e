//! What publishers name is not reached where the operator has not allowed it.

use e2e::actors::{Publisher, draft};
use e2e::backend::Backend;
use e2e::client::Http;

use super::{Outside, read_and_write};

const PRIVATE: [&str; 7] =
    ["127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "2130706433", "localhost"];

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_out_of_reach_unless_the_operator_allows_them() {
    let backend = Backend::start().await.unwrap();
    let mut outside = Outside::with_api("inner", &backend.url(), &read_and_write()).await;
    assert_eq!(outside.application.calls("/inner/1.0/cats", &outside.token).await.status, 200);
    assert_eq!(backend.reached(), 1);

    outside.manager.is_killed();
    outside.manager.starts_again_with("API_MANAGER_ALLOW_PRIVATE_BACKENDS", "false").await;

    // What is stored already is judged again, at the moment of connecting.
    let refused = outside.application.calls("/inner/1.0/cats", &outside.token).await;
    assert_eq!((refused.status, backend.reached()), (502, 1));
    assert!(!refused.text().contains("127.0.0.1"), "{}", refused.text());
    let publisher = Publisher::new(&Http::new(), &outside.manager.places());
    for address in PRIVATE {
        let refused = publisher.drafts(&draft("other", &format!("http://{address}:80"))).await.expect(422);
        assert!(refused.text().contains("backends.production[0]"), "{address}: {}", refused.text());
    }
}
