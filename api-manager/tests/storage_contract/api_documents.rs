//! OpenAPI documents of APIs.

use api_manager::domain::openapi::{Document, Syntax};
use api_manager::storage::{api_documents, apis};
use shared_claims::clock::UnixTime;
use shared_server::database::StorageError;
use test_support::on_every_stage;

use super::{Store, api, twenty};

fn document(title: &str) -> Document {
    let text = format!("{{\"openapi\":\"3.1.0\",\"info\":{{\"title\":\"{title}\",\"x\":[1.5,null,true]}}}}");
    Document::read(text.as_bytes(), Syntax::Json).unwrap()
}

on_every_stage! {
    async fn a_document_survives_storage_is_replaced_and_goes_with_its_api(stage: Stage) {
        let store = Store::on(stage).await;
        let id = store.keeps_api(api("pets", "1.0")).await.id;
        assert_eq!(store.read(move |c| api_documents::find(c, id)).await, None);

        for title in ["Katzen 猫 'quoted'", "Pets"] {
            let kept = document(title);
            let sent = kept.clone();
            store.write(move |c| api_documents::keep(c, id, &sent, UnixTime(1))).await.unwrap();
            assert_eq!(store.read(move |c| api_documents::find(c, id)).await, Some(kept));
        }

        assert_eq!(store.write(move |c| apis::delete(c, id, 1)).await, Ok(true));
        assert_eq!(store.read(move |c| api_documents::find(c, id)).await, None);
        let orphan = store.write(move |c| api_documents::keep(c, id, &document("x"), UnixTime(1))).await;
        assert!(orphan.is_err(), "a document without an API is kept by nobody");
    }

    async fn of_twenty_writers_of_one_document_some_hold_and_none_mixes(stage: Stage) {
        let store = Store::on(stage).await;
        let id = store.keeps_api(api("pets", "1.0")).await.id;

        let ended = twenty(|place| {
            let database = store.database.clone();
            async move { database.write(move |c| api_documents::keep(c, id, &document(&place.to_string()), UnixTime(1))).await }
        })
        .await;

        assert!(ended.iter().all(|ended| matches!(ended, Ok(()) | Err(StorageError::Duplicate))), "{ended:?}");
        let kept = store.read(move |c| api_documents::find(c, id)).await.unwrap();
        assert!((0..20).any(|place| kept == document(&place.to_string())));
    }
}
