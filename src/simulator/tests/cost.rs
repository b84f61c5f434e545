//! Ensures that a large platform stays fast, so that tests measure the controller and not the simulator.

use super::*;

/// A hundred times what a debug build takes on two idle cores. It catches a cost that grows with the square of the
/// number of tenants, and ignores a loaded machine.
const LIMIT: Duration = Duration::from_mins(5);

#[tokio::test]
async fn ten_thousand_tenants_answer_hundreds_of_calls_a_second() {
    let caller = Caller::new().await;
    let ids = caller.simulator.add_customers(10_000, "shop");
    let start = std::time::Instant::now();
    for batch in ids.chunks(100) {
        assert_eq!(caller.ids(&format!("uuids={}", batch.join(","))).await.len(), 100);
    }
    for id in &ids[..500] {
        assert_eq!(caller.get(&format!("/tenants/{id}/pricing")).await.status, 200);
    }
    let root = caller.simulator.root_tenant();
    for number in 0..100 {
        let path = format!("/search?tenant={root}&text=shop-{number:05}");
        assert_eq!(caller.get(&path).await.status, 200);
    }
    let took = start.elapsed();
    assert!(took < LIMIT, "700 calls took {took:?}");
}
