//! After any sequence of events, the state of the queue is consistent and equals that of a simple list.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Enter { name: u8, since: i64, said: Option<i64> },
    Leave { name: u8 },
    Admit { most: usize, has_room: bool },
    Report { has_room: bool, after: u64, clock: i64 },
    Commit { permit: usize },
    GiveBack { permit: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..6_u8;
    prop_oneof![
        4 => (name(), 0..20_i64, proptest::option::of(0..40_i64))
            .prop_map(|(name, since, said)| Step::Enter { name, since, said }),
        1 => name().prop_map(|name| Step::Leave { name }),
        3 => (0..4_usize, any::<bool>()).prop_map(|(most, has_room)| Step::Admit { most, has_room }),
        3 => (any::<bool>(), 0..3_u64, 0..40_i64)
            .prop_map(|(has_room, after, clock)| Step::Report { has_room, after, clock }),
        1 => (0..4_usize).prop_map(|permit| Step::Commit { permit }),
        2 => (0..4_usize).prop_map(|permit| Step::GiveBack { permit }),
    ]
}

/// Checks that the state is consistent.
fn check(queue: &SwitchQueue) {
    let state = queue.shared.state.lock();
    assert!(state.waiting.iter().is_sorted());
    let waiting: BTreeSet<_> = state.waiting.iter().map(|(_, key)| key).collect();
    assert_eq!(waiting, state.due.keys().collect());
    let known = state.unreported.keys().chain(&state.behind_others).chain(state.promised.keys());
    assert!(known.into_iter().all(|key| waiting.contains(key)), "{state:?}");
}

proptest! {
    #[test]
    fn the_queue_does_what_a_sorted_list_would(steps in proptest::collection::vec(step(), 1..60)) {
        let (queue, start) = (SwitchQueue::new(LIMITS), Instant::now());
        let mut expected: BTreeSet<(i64, Key)> = BTreeSet::new();
        let mut permits: Vec<(SwitchPermit, bool)> = Vec::new();
        for step in steps {
            match step {
                Step::Enter { name, since, said } => {
                    let key = key(&name.to_string());
                    let switch = DueSwitch { said: said.map(at), ..due(since) };
                    queue.enter(&key, switch, LIMITS, start);
                    let earlier = expected.iter().find(|(_, other)| *other == key).cloned();
                    if earlier.as_ref().is_none_or(|(earlier, _)| since < *earlier) {
                        earlier.map(|place| expected.remove(&place));
                        expected.insert((since, key));
                    }
                }
                Step::Leave { name } => {
                    let key = key(&name.to_string());
                    queue.leave(&key);
                    expected.retain(|(_, other)| *other != key);
                }
                Step::Admit { most, has_room } => {
                    let reserved = permits.iter().filter(|(_, committed)| !committed).count();
                    let decision = queue.admit(most, |_, asked| {
                        assert_eq!(asked as usize, reserved);
                        if has_room { BudgetStatus::Room } else { exhausted() }
                    });
                    let may = has_room && permits.len() < most;
                    let first = if may { expected.pop_first() } else { None };
                    prop_assert_eq!(decision.admitted.as_ref().map(|admitted| &admitted.key), first.as_ref().map(|(_, key)| key));
                    permits.extend(decision.admitted.map(|admitted| (admitted.permit, false)));
                }
                Step::Report { has_room, after, clock } => {
                    let budget = if has_room { BudgetStatus::Room } else { exhausted() };
                    let reports = queue.report(&budget, start + Duration::from_secs(after), at(clock)).reports;
                    for (key, request) in &reports {
                        prop_assert!(expected.iter().any(|(_, waits)| waits == key), "{key:?} does not wait");
                        if let Some(QueueState::Waits { ahead }) = request.queue_state {
                            prop_assert_eq!(expected.iter().position(|(_, waits)| waits == key), Some(ahead));
                        }
                    }
                }
                Step::Commit { permit } => {
                    if let Some((permit, committed)) = permits.get_mut(permit) {
                        permit.commit();
                        *committed = true;
                    }
                }
                Step::GiveBack { permit } => {
                    if permit < permits.len() {
                        drop(permits.swap_remove(permit));
                    }
                }
            }
            check(&queue);
        }
    }
}
