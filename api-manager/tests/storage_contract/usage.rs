//! Usage counts.

use api_manager::domain::ids::{ApiId, ApplicationId};
use api_manager::domain::usage::{Count, Grouping, Line, Period, Query, Totals};
use api_manager::storage::usage_counts;
use shared_claims::clock::UnixTime;
use test_support::on_every_stage;

use super::{Store, api, twenty};

const DAY: UnixTime = UnixTime(86_400 * 20_000);

fn count(minute: i64, line: Line, calls: i64) -> Count {
    let totals = Totals { calls, errors: 1, backend_us: 20, gateway_us: 3, bytes_in: 4, bytes_out: 5 };
    Count { minute: DAY.plus(minute * 60), line, totals }
}

fn line(api: Option<ApiId>, application: Option<ApplicationId>, operation: &str, status: u16) -> Line {
    Line { api, application, operation: operation.to_owned(), status }
}

fn all(period: Period) -> Query {
    let grouping = Grouping { api: true, application: true, operation: true, status: true };
    let (from, to) = (DAY, DAY.plus(86_400));
    Query { period, from, to, grouping, api: None, application: None, owner: None, skip: 0, rows: 100 }
}

on_every_stage! {
    async fn counts_of_several_nodes_add_up_exactly(stage: Stage) {
        let store = Store::on(stage).await;
        let (pets, cats) = (ApiId::generate(), ApiId::generate());

        twenty(|_| {
            let database = store.database.clone();
            let counts = vec![
                count(0, line(Some(pets), None, "GET /a", 200), 3),
                count(0, line(Some(cats), None, "", 404), 1),
                count(1, line(Some(pets), None, "GET /a", 200), 2),
            ];
            async move { database.write(move |c| usage_counts::add(c, &counts)).await.unwrap() }
        })
        .await;

        let minutes = store.read(|c| usage_counts::sum(c, &all(Period::Minute))).await;
        assert_eq!(minutes.iter().map(|group| group.totals.calls).collect::<Vec<_>>(), [60, 20, 40]);
        let days = store.read(|c| usage_counts::sum(c, &all(Period::Day))).await;
        let mut found: Vec<_> = days.iter().map(|g| (g.api.clone(), g.operation.clone(), g.status, g.totals.calls)).collect();
        found.sort_by_key(|(_, _, status, _)| *status);
        assert_eq!(found, [(pets.to_string(), "GET /a".to_owned(), 200, 100), (cats.to_string(), String::new(), 404, 20)]);
        let whole = Query { grouping: Grouping::default(), ..all(Period::Day) };
        let whole = store.read(move |c| usage_counts::sum(c, &whole)).await;
        let totals = Totals { calls: 120, errors: 60, backend_us: 1_200, gateway_us: 180, bytes_in: 240, bytes_out: 300 };
        assert_eq!((whole.len(), whole[0].totals), (1, totals));
        assert_eq!((&*whole[0].api, &*whole[0].operation, whole[0].status), ("", "", 0));
    }

    async fn nodes_that_write_the_same_day_in_several_minutes_never_wait_for_each_other_in_a_ring(stage: Stage) {
        let store = Store::on(stage).await;
        let apis: Vec<ApiId> = (0..8).map(|_| ApiId::generate()).collect();

        // Each has minutes of its own, and by minute the APIs come in another order.
        twenty(|node| {
            let database = store.database.clone();
            let by_minute = |n: usize| {
                let api = apis[(n * (2 * (node % 4) + 1) + node) % apis.len()];
                count(i64::try_from(8 * node + n).unwrap(), line(Some(api), None, "", 200), 1)
            };
            let counts: Vec<Count> = (0..8).map(by_minute).collect();
            async move {
                for _ in 0..5 {
                    let counts = counts.clone();
                    database.write(move |c| usage_counts::add(c, &counts)).await.unwrap();
                }
            }
        })
        .await;

        let days = store.read(|c| usage_counts::sum(c, &all(Period::Day))).await;
        assert_eq!(days.iter().map(|group| group.totals.calls).collect::<Vec<_>>(), [100; 8]);
    }

    async fn usage_is_narrowed_paged_and_of_its_owner(stage: Stage) {
        let store = Store::on(stage).await;
        let pets = store.keeps_api(api("pets", "1.0")).await;
        let application = store.keeps_application("alice", "app").await;
        let (pets, application) = (pets.id, application.id);
        let counts = [
            count(0, line(Some(pets), None, "GET /a", 200), 1),
            count(0, line(Some(ApiId::generate()), Some(application), "GET /b", 200), 2),
            count(0, line(None, None, "", 404), 4),
            count(1, line(Some(pets), Some(application), "GET /c", 500), 8),
        ];
        store.write(move |c| usage_counts::add(c, &counts)).await.unwrap();
        let calls = async |query: Query| -> i64 {
            store.read(move |c| usage_counts::sum(c, &query)).await.iter().map(|group| group.totals.calls).sum()
        };

        let minutes = || all(Period::Minute);
        assert_eq!(calls(minutes()).await, 15);
        assert_eq!(calls(Query { api: Some(pets), ..minutes() }).await, 9);
        assert_eq!(calls(Query { application: Some(application), ..minutes() }).await, 10);
        assert_eq!(calls(Query { owner: Some("owner".to_owned()), ..minutes() }).await, 9);
        assert_eq!(calls(Query { owner: Some("alice".to_owned()), ..minutes() }).await, 10);
        assert_eq!(calls(Query { owner: Some("mallory".to_owned()), ..minutes() }).await, 0);
        assert_eq!(calls(Query { from: DAY.plus(60), ..minutes() }).await, 8);
        assert_eq!(calls(Query { to: DAY.plus(60), ..minutes() }).await, 7);
        let by_status = Grouping { status: true, ..Grouping::default() };
        let page = Query { grouping: by_status, skip: 1, rows: 1, ..minutes() };
        assert_eq!(calls(page).await, 4);
    }

    async fn old_counts_go_a_few_at_a_time_the_oldest_first(stage: Stage) {
        let store = Store::on(stage).await;
        let counts = [count(0, line(None, None, "", 200), 1), count(0, line(None, None, "", 404), 1), count(5, line(None, None, "", 200), 1)];
        store.write(move |c| usage_counts::add(c, &counts)).await.unwrap();
        let before = DAY.plus(600);

        let removed = async |period| store.write(move |c| usage_counts::remove_before(c, period, before, 2)).await;

        assert_eq!(removed(Period::Minute).await, Ok(2));
        assert_eq!(removed(Period::Minute).await, Ok(1));
        assert_eq!(removed(Period::Minute).await, Ok(0));
        assert_eq!(store.read(|c| usage_counts::sum(c, &all(Period::Day))).await.len(), 2);
        assert_eq!(removed(Period::Day).await, Ok(2));
    }
}
