//! Client certificates of applications.

use api_manager::domain::application::KeyType;
use api_manager::domain::client_certificate::ClientCertificate;
use api_manager::domain::ids::{ApplicationId, ClientCertificateId};
use api_manager::storage::{application_certificates as table, applications};
use shared_claims::clock::UnixTime;
use shared_claims::secret::Digest;
use shared_server::database::StorageError;
use test_support::on_every_stage;

use super::Store;

fn certificate(application_id: ApplicationId, der: &[u8]) -> ClientCertificate {
    ClientCertificate {
        id: ClientCertificateId::generate(),
        application_id,
        digest: Digest::of(der),
        subject: "CN=machine".to_owned(),
        key_type: KeyType::Sandbox,
        not_before: UnixTime(1),
        not_after: UnixTime(9),
        created_at: UnixTime(5),
    }
}

on_every_stage! {
    async fn a_certificate_is_found_by_its_digest_stands_for_one_application_and_goes_with_it(stage: Stage) {
        let store = Store::on(stage).await;
        let (app, other) = (store.keeps_application("alice", "app").await.id, store.keeps_application("bob", "app").await.id);
        let (first, second) = (certificate(app, b"1"), certificate(app, b"2"));
        for made in [first.clone(), second.clone()] {
            store.write(move |c| table::insert(c, &made)).await.unwrap();
        }

        let digest = first.digest;
        assert_eq!(store.read(move |c| table::find_by_digest(c, &digest)).await, Some(first.clone()));
        assert_eq!(store.read(move |c| table::find_of(c, app, second.id)).await, Some(second.clone()));
        assert_eq!(store.read(move |c| table::find_of(c, other, second.id)).await, None);
        assert_eq!(store.read(move |c| table::list_of(c, app)).await.len(), 2);
        let again = certificate(other, b"1");
        assert_eq!(store.write(move |c| table::insert(c, &again)).await, Err(StorageError::Duplicate));
        assert_eq!(store.write(move |c| table::delete(c, first.id)).await, Ok(true));
        assert_eq!(store.write(move |c| table::delete(c, first.id)).await, Ok(false));
        assert_eq!(store.write(move |c| applications::delete(c, app, 1)).await, Ok(true));
        assert_eq!(store.read(move |c| table::find_by_digest(c, &second.digest)).await, None);
    }
}
