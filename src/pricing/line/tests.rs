//! Who stands where in the line, and who gets a ticket.

use std::time::Duration;

use futures::FutureExt;

use super::*;
use crate::pricing::{budget::Budget, schedule::Clocks};

fn key(name: &str) -> Key {
    Key::new("team", name)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn line(entries: &[(&str, i64)]) -> Line {
    let line = Line::default();
    for (name, due) in entries {
        line.enter(&key(name), at(*due));
    }
    line
}

fn always(_: &Key, _: u32) -> Standing {
    Standing::Room
}

/// The names of those that get a ticket, one after the other, and their tickets.
fn drained(line: &Line, most: usize) -> (Vec<String>, Vec<Ticket>) {
    let grants = std::iter::from_fn(|| line.grant(most, always).ticket);
    grants.map(|(key, ticket)| (key.name().to_owned(), ticket)).unzip()
}

fn is_told(line: &Line) -> bool {
    line.moved().now_or_never().is_some()
}

#[test]
fn what_became_due_first_goes_first_and_of_those_the_first_by_name() {
    let line = line(&[("c", 20), ("b", 10), ("d", 20), ("a", 30), ("e", 10)]);
    let positions = ["b", "e", "c", "d", "a"].map(|name| line.position(&key(name)));
    assert_eq!(positions, [0, 1, 2, 3, 4].map(Some));
    assert_eq!(line.position(&key("x")), None);
    assert_eq!(drained(&line, 9).0, ["b", "e", "c", "d", "a"]);
    assert!(line.is_empty());
}

#[test]
fn entering_again_keeps_the_earlier_place() {
    let line = line(&[("a", 20), ("b", 10)]);
    line.enter(&key("b"), at(30));
    line.enter(&key("b"), at(10));
    assert_eq!((line.position(&key("b")), line.len()), (Some(0), 2));
    line.enter(&key("a"), at(5));
    assert_eq!((line.position(&key("a")), line.len()), (Some(0), 2));
    assert_eq!(drained(&line, 9).0, ["a", "b"]);
    // What has left comes back at its own time.
    line.enter(&key("b"), at(30));
    line.enter(&key("a"), at(40));
    assert_eq!(line.position(&key("b")), Some(0));
}

#[test]
fn who_leaves_is_gone_and_the_others_move_up() {
    let line = line(&[("a", 1), ("b", 2), ("c", 3)]);
    line.leave(&key("b"));
    line.leave(&key("x"));
    assert_eq!(["a", "b", "c"].map(|name| line.position(&key(name))), [Some(0), None, Some(1)]);
}

#[test]
fn no_more_tickets_are_out_than_allowed_and_each_is_given_back_once() {
    let line = line(&[("a", 1), ("b", 2), ("c", 3), ("d", 4)]);
    let (names, mut tickets) = drained(&line, 2);
    assert_eq!(names, ["a", "b"]);
    assert!(line.grant(2, always).ticket.is_none());
    tickets[0].spent();
    assert!(line.grant(2, always).ticket.is_none(), "its request is still under way");
    tickets.pop();
    let (names, third) = drained(&line, 2);
    assert_eq!(names, ["c"]);
    drop((tickets, third));
    assert_eq!(drained(&line, 1).0, ["d"], "all are given back");
}

#[test]
fn the_head_alone_is_asked_for_and_waits_for_the_budget() {
    let line = line(&[("a", 1), ("b", 2)]);
    let budget = Budget { count: 1, window: Duration::from_hours(1) };
    let clocks = Clocks { controller: at(0), platform: at(0) };
    let exhausted = budget.account(Vec::new(), 1, clocks).standing();
    assert_ne!(exhausted, Standing::Room);
    let granted = line.grant(9, |head, reserved| {
        assert_eq!((head, reserved), (&key("a"), 0));
        exhausted.clone()
    });
    assert!(granted.ticket.is_none());
    assert_eq!((granted.standing, line.position(&key("a"))), (exhausted.clone(), Some(0)));
    // How the budget stands is said even if no ticket is left.
    assert_eq!(line.grant(0, |_, _| exhausted.clone()).standing, exhausted);
    let nobody = Line::default().grant(9, |_, _| panic!("nobody waits"));
    assert!(nobody.ticket.is_none() && nobody.standing == Standing::Room);
}

#[test]
fn what_is_under_way_is_reserved_until_it_is_announced_or_given_up() {
    let line = line(&[("a", 1), ("b", 2), ("c", 3)]);
    let reserved = || {
        let mut seen = None;
        _ = line.grant(0, |_, reserved| {
            seen = Some(reserved);
            Standing::Room
        });
        seen.unwrap()
    };
    let mut tickets = drained(&line, 2).1;
    assert_eq!(reserved(), 2);
    tickets[0].spent();
    tickets[0].spent();
    assert_eq!(reserved(), 1);
    drop(tickets.remove(0));
    assert_eq!(reserved(), 1, "it was announced, and is counted elsewhere");
    drop(tickets);
    assert_eq!(reserved(), 0);
}

#[test]
fn a_change_is_told_to_the_one_who_waits() {
    let line = Line::default();
    assert!(!is_told(&line));
    line.enter(&key("a"), at(1));
    assert!(is_told(&line) && !is_told(&line));
    line.enter(&key("a"), at(1));
    assert!(!is_told(&line), "nothing moved");
    line.leave(&key("x"));
    assert!(!is_told(&line), "nothing moved");
    let ticket = line.grant(1, always).ticket;
    assert!(!is_told(&line), "the one who waits has it");
    drop(ticket);
    assert!(is_told(&line));
    line.enter(&key("b"), at(1));
    line.leave(&key("b"));
    assert!(is_told(&line));
}

#[test]
fn ten_thousand_that_are_due_at_once_keep_their_order() {
    let line = Line::default();
    // In an order of no kind: 7919 is a prime.
    for number in 0..10_000_u32 {
        line.enter(&key(&format!("{:05}", number * 7919 % 10_000)), at(1));
    }
    assert_eq!(line.position(&key("07777")), Some(7777));
    let (names, _tickets) = drained(&line, usize::MAX);
    assert!(names.len() == 10_000 && names.is_sorted());
}

#[test]
fn a_ticket_counts_the_attempts_that_others_are_about_to_announce_and_not_its_own() {
    let line = line(&[("a", 1), ("b", 2), ("c", 3)]);
    assert!(!line.is_empty());
    let (_, mut tickets) = drained(&line, 9);
    let others = |tickets: &[Ticket]| tickets.iter().map(Ticket::others).collect::<Vec<_>>();
    assert_eq!(others(&tickets), [2, 2, 2]);
    tickets[0].spent();
    assert_eq!(others(&tickets), [2, 1, 1], "what is announced is counted elsewhere");
    tickets.truncate(1);
    assert_eq!(others(&tickets), [0]);
}
