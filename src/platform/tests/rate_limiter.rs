//! The rate limit: how many requests leave per second, and in which order.

use tokio::time::Instant;

use super::*;

/// A client with this rate limit.
fn limited(server: &Server, requests_per_second: u32) -> SwitchClient {
    let rate = NonZeroU32::new(requests_per_second).unwrap();
    let options = ClientOptions { requests_per_second: rate, ..options(&server.url()) };
    SwitchClient::new(options, Arc::new(Source::new())).unwrap()
}

/// A server that knows every tenant.
async fn tenants() -> Server {
    Server::start(|request, _| {
        let id = request.path().strip_prefix("/api/2/tenants/")?;
        Some(answer(200, &tenant_json(id.trim_end_matches("/pricing"), "x")))
    })
    .await
}

/// The tenant of this number.
fn numbered(number: usize) -> TenantId {
    format!("{number:08x}-0000-4000-8000-000000000000").parse().unwrap()
}

/// Requests the tenant of this number.
fn ask(client: &PlatformClient, number: usize) -> tokio::task::JoinHandle<Result<(), PlatformError>> {
    let client = client.clone();
    tokio::spawn(async move { client.tenant(&numbered(number)).await.map(drop) })
}

/// The numbers of the requested tenants, in the order of arrival.
fn arrived(server: &Server) -> Vec<usize> {
    let number = |target: String| usize::from_str_radix(&target["/api/2/tenants/".len()..][..8], 16).unwrap();
    server.targets().into_iter().map(number).collect()
}

/// The most requests in any `seconds`.
fn most_in(server: &Server, seconds: u64) -> usize {
    let times: Vec<Instant> = server.requests().iter().map(|request| request.at).collect();
    let in_window = |from: Instant| {
        let window = from..from + Duration::from_secs(seconds);
        times.iter().filter(|at| window.contains(at)).count()
    };
    times.iter().map(|from| in_window(*from)).max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_rate_limit_covers_every_request_with_a_burst_of_a_second() {
    let server = tenants().await;
    let client = limited(&server, 10);
    let reads: Vec<_> = (0..60).map(|number| ask(&client, number)).collect();
    let (results, took) = timed(futures::future::join_all(reads)).await;
    assert!(results.into_iter().all(|result| result.unwrap().is_ok()));
    assert_eq!(server.requests().len(), 61, "the token counts as well");
    for seconds in 1..=5 {
        let most = most_in(&server, seconds);
        assert!(most <= 10 * (usize::try_from(seconds).unwrap() + 1), "{most} in {seconds} s");
    }
    // 61 requests less the burst of 10, at 10 in a second; the clock moves in steps of a quarter.
    assert!((5.0..6.0).contains(&took.as_secs_f64()), "{took:?}");
    assert_eq!(arrived(&server), (0..60).collect::<Vec<_>>(), "first come, first served");
}

#[tokio::test(start_paused = true)]
async fn an_urgent_request_goes_before_all_bulk_requests_that_wait() {
    let server = tenants().await;
    let client = limited(&server, 1);
    let bulk = client.with_priority(Priority::Background);
    let reads: Vec<_> = (0..20).map(|number| ask(&bulk, number)).collect();
    advance(4).await;
    let before = arrived(&server).len();
    assert!((2..15).contains(&before), "{before} of 20 bulk requests have left");
    let urgent = ask(&client, 1000);
    timed(urgent).await.0.unwrap().unwrap();
    let position = arrived(&server).iter().position(|number| *number == 1000).unwrap();
    assert_eq!(position, before, "{:?}", arrived(&server));
    timed(futures::future::join_all(reads)).await;
    assert_eq!(arrived(&server).len(), 21);
}

#[tokio::test(start_paused = true)]
async fn while_urgent_requests_wait_every_tenth_is_a_bulk_one() {
    let server = tenants().await;
    let client = limited(&server, 1);
    timed(client.ready_to_put()).await.0.map(drop).unwrap();
    let bulk: Vec<_> =
        (1000..1010).map(|number| ask(&client.with_priority(Priority::Background), number)).collect();
    let urgent: Vec<_> = (0..40).map(|number| ask(&client, number)).collect();
    pause().await;
    timed(futures::future::join_all(urgent)).await;
    let arrived: Vec<_> =
        server.targets().into_iter().filter(|target| target.contains("/tenants/")).collect();
    let is_bulk: Vec<bool> = arrived.iter().map(|target| target.contains("/000003")).collect();
    assert!(is_bulk.iter().filter(|bulk| **bulk).count() >= 3, "{arrived:?}");
    // The first request may have been queued before any interactive one.
    let in_the_crowd = &is_bulk[1..40];
    assert!(in_the_crowd.windows(10).all(|ten| ten.iter().filter(|bulk| **bulk).count() <= 1), "{is_bulk:?}");
    timed(futures::future::join_all(bulk)).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_up_its_permit() {
    let server = tenants().await;
    let client = limited(&server, 1);
    timed(ask(&client, 0)).await.0.unwrap().unwrap();
    let given_up: Vec<_> = (1..50).map(|number| ask(&client, number)).collect();
    let last = ask(&client, 50);
    pause().await;
    given_up.iter().for_each(tokio::task::JoinHandle::abort);
    let (result, took) = timed(last).await;
    result.unwrap().unwrap();
    assert!(took <= Duration::from_secs(3), "{took:?}");
    assert_eq!(arrived(&server).last(), Some(&50));
    assert!(arrived(&server).len() <= 4, "{:?}", arrived(&server));
}

#[tokio::test(start_paused = true)]
async fn a_new_pause_ends_the_wait_for_the_rate_limit() {
    let server = Server::start(|request, _| {
        (!request.is_token()).then(|| server::text(429, "Retry-After: 100\r\n", ""))
    })
    .await;
    let client = limited(&server, 2);
    let reads: Vec<_> = (0..500).map(|number| ask(&client, number)).collect();
    let (results, took) = timed(futures::future::join_all(reads)).await;
    assert!(results.into_iter().all(|result| class(result.unwrap()) == ErrorClass::Throttled));
    assert!(took <= Duration::from_secs(2), "{took:?}");
    assert!(server.calls().len() <= 2, "{}", server.calls().len());
}

#[tokio::test(start_paused = true)]
async fn a_change_of_rate_keeps_the_token_and_gives_no_burst() {
    let server = tenants().await;
    let client = limited(&server, 10);
    timed(futures::future::join_all((0..9).map(|number| ask(&client, number)))).await;
    assert_eq!(server.requests().len(), 10);
    client.clone().set_rate(NonZeroU32::new(20).unwrap());
    // The same rate again changes nothing.
    client.set_rate(NonZeroU32::new(20).unwrap());
    let reads: Vec<_> = (9..49).map(|number| ask(&client, number)).collect();
    let (_, took) = timed(futures::future::join_all(reads)).await;
    assert!((1.75..=2.5).contains(&took.as_secs_f64()), "40 requests at 20 in a second: {took:?}");
    assert_eq!(server.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn prewrite_read_and_put_have_permits_and_do_not_wait() {
    let server = Server::start(|request, _| match request.path().rsplit('/').next()? {
        "pricing" => Some(answer(200, &json!({"mode": "trial", "version": 1}))),
        id if id.len() == 36 => Some(answer(200, &tenant_json(id, "x"))),
        _ => None,
    })
    .await;
    let client = limited(&server, 1);
    let (permit, _) = timed(client.ready_to_put()).await;
    // Other calls use up the rest, and wait.
    let others: Vec<_> = (0..10).map(|number| ask(&client, number)).collect();
    pause().await;
    let started = Instant::now();
    let (permit, id) = (permit.unwrap(), tenant_id());
    let prewrite = permit.for_prewrite_read();
    let (tenant, pricing) = tokio::join!(prewrite.tenant(&id), prewrite.pricing(&id));
    let version = pricing.unwrap().value.version;
    tenant.unwrap();
    let outcome = client.switch_to_production(&id, version, permit, now()).await;
    assert_eq!((outcome, started.elapsed()), (PutOutcome::Accepted, Duration::ZERO));
    // A permit is used up after its reads.
    let (result, took) = timed(prewrite.tenant(&id)).await;
    result.unwrap();
    assert!(took >= Duration::from_secs(10), "after the others: {took:?}");
    timed(futures::future::join_all(others)).await;
    let taken = server.requests().iter().filter(|request| request.at < started).count();
    assert_eq!((taken, server.requests().len()), (1, 1 + 3 + 10 + 1));
    // The permits came from the same rate limit: token and switch took four seconds before.
    assert!(most_in(&server, 5) <= 6 + 3, "{}", most_in(&server, 5));
}

#[tokio::test(start_paused = true)]
async fn the_token_goes_before_all_who_wait() {
    // The first token is revoked while a hundred requests wait.
    let server = Server::start(|request, _| {
        if request.is_token() {
            return None;
        }
        let good = request.headers["authorization"] != "Bearer token-0";
        let id = request.path().strip_prefix("/api/2/tenants/")?;
        Some(if good { answer(200, &tenant_json(id, "x")) } else { refusal(401) })
    })
    .await;
    let client = limited(&server, 1);
    let reads: Vec<_> = (0..100).map(|number| ask(&client, number)).collect();
    let renewal = async {
        while server.token_requests().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    timed(renewal).await;
    assert_eq!(server.calls().len(), 1, "only the one whose answer set off the renewal");
    reads.iter().for_each(tokio::task::JoinHandle::abort);
}
