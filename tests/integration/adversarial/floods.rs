//! Answers without an end are cut off, and cost no memory.

use super::{
    servers::{Habit, Server},
    the_rest_goes_on, wrong_ones,
};
use crate::harness::{PATIENCE, Test, until_connection};

/// What the process may have grown by at its peak. Each of the answers would be a gibibyte.
const GROWTH: u64 = 64 << 20;

/// What may have been taken of one answer: a mebibyte is read, and the rest stands in the buffers of two sockets.
const TAKEN: u64 = 32 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_gibibyte_is_cut_off_and_costs_no_memory() {
    let test = Test::new("flood").await;
    let cases = [
        ("token-announced", Habit::Flood { announced: true }, true),
        ("token-in-chunks", Habit::Flood { announced: false }, true),
        ("token-head", Habit::FloodHead, true),
        ("announced", Habit::Flood { announced: true }, false),
        ("in-chunks", Habit::Flood { announced: false }, false),
        ("head", Habit::FloodHead, false),
    ];
    let (mut servers, mut wrong) = (Vec::new(), Vec::new());
    let mut options = test.controller_options();
    for (name, habit, token_too) in &cases {
        let server = Server::start(habit.clone(), *token_too).await;
        options.allowed_hosts.push(server.url("http"));
        wrong.push((*name, server.url("http")));
        servers.push(server);
    }
    // First what it takes without any of them.
    test.connection("right", serde_json::json!({})).await;
    let controller = test.controller_with(&options).await;
    the_rest_goes_on(&test, "before").await;
    let before = controller.peak_memory().await;
    wrong_ones(&test, &wrong).await;
    for ((name, ..), server) in cases.iter().zip(&servers) {
        let said = until_connection(&test, name, "PlatformUnavailable").await;
        assert!(said.contains("more than 1 MiB") || said.contains("broke before"), "{name}: {said}");
        // More than once: nothing adds up.
        test.wait_for("it is asked again", 4 * PATIENCE, async || (server.requests() >= 2).then_some(()))
            .await;
        let each = server.bytes() / server.requests() as u64;
        assert!(each < TAKEN, "{name}: {each} bytes of each answer");
    }
    the_rest_goes_on(&test, "after").await;
    let grown = controller.peak_memory().await.saturating_sub(before);
    assert!(grown < GROWTH, "the process grew by {grown} bytes over {before}");
    test.finish().await;
}
