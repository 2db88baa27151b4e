//! What is over goes, whatever there is of it, and what counts stays.

use api_manager::domain::revocation::Revocation;
use api_manager::flows::housekeeping;
use api_manager::storage::{grants, revocations, used_assertions};
use shared_claims::secret::Digest;
use shared_server::database::StorageError;
use test_support::on_every_stage;

use super::{NOW, World};

const HOUR: i64 = 3_600;

on_every_stage! {
    async fn what_is_over_is_removed_to_the_last_row_and_what_counts_stays(stage: Stage) {
        let world = World::on(stage).await;
        let write = world.app.database.write(|connection| {
            // More than a few batches, all of which ended in the same second.
            for n in 0..1_200_u32 {
                used_assertions::claim(connection, "idp", &Digest::of(&n.to_be_bytes()), NOW.minus(1), NOW)?;
            }
            used_assertions::claim(connection, "idp", &Digest::of(b"later"), NOW.plus(HOUR), NOW)?;
            for n in 0..600_u32 {
                revocations::append(connection, &Revocation::Token(Digest::of(&n.to_be_bytes())), NOW)?;
            }
            Ok::<_, StorageError>(())
        });
        write.await.unwrap();
        let (idp, key) = (world.trusted_idp().await, world.key().await);
        let token = world.exchange(&key, &idp.sign_for("alice")).await.member("access_token");
        let claimed = async |name: Digest| {
            world.app.database.read(move |c| used_assertions::is_claimed(c, "idp", &name, NOW)).await.unwrap()
        };
        let revoked = async || world.app.database.read(|c| revocations::list_after(c, 0, 10_000)).await.unwrap().len();

        housekeeping::sweep(&world.app, NOW.plus(HOUR)).await;
        assert!(!claimed(Digest::of(&7_u32.to_be_bytes())).await && !claimed(Digest::of(&1_199_u32.to_be_bytes())).await);
        assert!(claimed(Digest::of(b"later")).await);
        assert_eq!(revoked().await, 600);
        let digest = Digest::of(token.as_bytes());
        let found = async || world.app.database.read(move |c| grants::find_by_access_digest(c, &digest, NOW)).await.unwrap();
        assert!(found().await.is_some(), "it lives for an hour, and its row for one more");

        housekeeping::sweep(&world.app, NOW.plus(40 * 24 * HOUR)).await;
        assert!(found().await.is_none() && !claimed(Digest::of(b"later")).await);
        assert_eq!(revoked().await, 1, "the newest stays, so that the numbers never go back");
    }
}
