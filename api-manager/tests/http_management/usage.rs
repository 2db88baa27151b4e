//! Usage over the wire.

use serde_json::json;

use super::actors::Idp;
use super::{As, Manager};

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_read_in_pages_and_names_what_is_wrong_with_a_query() {
    let manager = Manager::start().await;
    manager.published("pets").await;

    let list = manager.get(&As::admin(), "/api/v1/usage?by=minute&group=api,status").await.expect(200);
    assert_eq!(list, json!({"items": [], "next": null}));
    let refused = manager.get(&As::admin(), "/api/v1/usage?by=hour&group=x&from=1&limit=0&user=me").await;
    let mut blamed = refused.blamed();
    blamed.sort_unstable();
    assert_eq!(blamed, ["by", "from", "group", "limit", "user"]);
    manager.get(&As::nobody(), "/api/v1/usage").await.assert_refused(401, "");
    let idp = Idp::trusted(&manager).await;
    manager.get(&idp.person("x", "openid"), "/api/v1/usage").await.assert_refused(403, "apim:api_view");
    manager.get(&idp.person("x", "apim:subscribe"), "/api/v1/usage").await.expect(200);
    manager.stop().await;
}
