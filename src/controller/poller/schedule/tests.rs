use uuid::Uuid;

use super::*;

const POLL: Duration = Duration::from_secs(600);

fn key(number: usize) -> Key {
    Key::new("team", &format!("tenant-{number}"))
}

fn target(number: usize) -> Target {
    Target::Id(Uuid::from_u128(number as u128).to_string().parse().unwrap())
}

fn by_id(batch: u32) -> BatchEntry {
    BatchEntry { batch, by_name: false }
}

/// Reads everything that is due now, and schedules the next poll of all. Returns the sizes of the batches.
fn read_all(schedule: &mut Schedule, now: Instant) -> Vec<usize> {
    let mut sizes = Vec::new();
    loop {
        let batch = schedule.next_batch(now, false, 0.5);
        if batch.is_empty() {
            return sizes;
        }
        sizes.push(batch.ids.len());
        for (key, id) in batch.ids {
            assert_ne!(schedule.complete(&key, by_id(batch.number)), Completed::Stale);
            schedule.poll_after(&key, Target::Id(id), POLL, now);
        }
    }
}

#[test]
fn new_tenants_are_read_at_once_in_full_batches() {
    let (mut schedule, now) = (Schedule::default(), Instant::now());
    for number in 0..250 {
        schedule.poll_after(&key(number), target(number), POLL, now);
    }
    assert_eq!(read_all(&mut schedule, now), [100, 100, 50]);
}

#[test]
fn after_the_first_read_batches_are_spread_over_the_interval() {
    let (mut schedule, start) = (Schedule::default(), Instant::now());
    for number in 0..1000 {
        schedule.poll_after(&key(number), target(number), POLL, start);
    }
    read_all(&mut schedule, start);
    // An hour, second by second.
    let (mut batches, mut times) = (0, Vec::new());
    for second in 1..=3600 {
        let sizes = read_all(&mut schedule, start + Duration::from_secs(second));
        assert!(sizes.len() <= 2, "{} requests in one second", sizes.len());
        batches += sizes.len();
        times.extend(sizes.iter().map(|_| second));
    }
    // 10 batches for each 10 min: 0.06 reads for each tenant in an hour.
    assert!((54..=66).contains(&batches), "{batches} requests in an hour for 1000 tenants");
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= 180, "nothing was read for {longest} s");
}

#[test]
fn a_read_that_is_nearly_due_goes_along_with_a_due_one() {
    let (mut schedule, start) = (Schedule::default(), Instant::now());
    for number in 0..1000 {
        // Created one by one, each with a read of its own.
        let at = start + Duration::from_millis(100 * number as u64);
        schedule.request(&key(number), target(number), QueuePriority::Interactive);
        read_all(&mut schedule, at);
    }
    let hour = |number: u64| 3600 * number..3600 * (number + 1);
    let mut requests = |seconds: std::ops::Range<u64>| -> usize {
        seconds.map(|second| read_all(&mut schedule, start + Duration::from_secs(second)).len()).sum()
    };
    requests(hour(0));
    let second = requests(hour(1));
    // 60 at the least; 0.07 reads for each tenant.
    assert!((57..=70).contains(&second), "{second} requests in the second hour for 1000 tenants");
}

#[test]
fn interactive_reads_go_first_and_alone_if_they_must() {
    let (mut schedule, now) = (Schedule::default(), Instant::now());
    for number in 0..150 {
        schedule.poll_after(&key(number), target(number), POLL, now);
    }
    for number in 150..300 {
        schedule.request(&key(number), target(number), QueuePriority::Background);
    }
    schedule.request(&key(7), target(7), QueuePriority::Interactive);
    assert!(schedule.has_full_batch());
    let batch = schedule.next_batch(now, true, 0.0);
    assert_eq!((batch.interactive, batch.ids.len(), &batch.ids[0].0), (true, 1, &key(7)));
    let batch = schedule.next_batch(now, false, 0.0);
    assert!(!batch.interactive && batch.ids.iter().all(|(key, _)| *key >= super::tests::key(150)));
    assert_eq!(schedule.next_batch(now, false, 0.0).ids.len(), 100);
    assert_eq!(schedule.next_batch(now, false, 0.0).ids.len(), 99, "tenant 7 has been sent out");
}

#[test]
fn a_read_in_flight_is_not_requested_twice() {
    let (mut schedule, now) = (Schedule::default(), Instant::now());
    schedule.poll_after(&key(1), target(1), POLL, now);
    let batch = schedule.next_batch(now, false, 0.0);
    assert_eq!(batch.ids.len(), 1);
    schedule.request(&key(1), target(1), QueuePriority::Interactive);
    assert!(schedule.next_batch(now, false, 0.0).is_empty());
    assert_eq!(
        schedule.complete(&key(1), by_id(batch.number)),
        Completed::Requested(target(1), QueuePriority::Interactive),
        "it answers the priority"
    );
    assert!(schedule.next_batch(now, false, 0.0).is_empty());
}

#[test]
fn an_object_that_is_gone_is_not_read() {
    let (mut schedule, now) = (Schedule::default(), Instant::now());
    schedule.poll_after(&key(1), target(1), POLL, now);
    schedule.request(&key(2), target(2), QueuePriority::Background);
    schedule.unschedule(&key(1));
    schedule.unschedule(&key(2));
    assert!(schedule.next_batch(now, false, 0.0).is_empty());
    assert_eq!(schedule.next_due(), None);
    // Requested while it is being read.
    schedule.request(&key(3), target(3), QueuePriority::Background);
    let batch = schedule.next_batch(now, false, 0.0);
    assert_eq!(batch.ids.len(), 1);
    schedule.unschedule(&key(3));
    assert_eq!(schedule.complete(&key(3), by_id(batch.number)), Completed::Stale);
}

#[test]
fn a_read_of_one_tenant_never_counts_for_another() {
    // Deleted during a read, and created again for another tenant.
    let (mut schedule, now) = (Schedule::default(), Instant::now());
    schedule.request(&key(1), target(1), QueuePriority::Interactive);
    let first = schedule.next_batch(now, false, 0.0);
    schedule.unschedule(&key(1));
    schedule.request(&key(1), target(2), QueuePriority::Interactive);
    let second = schedule.next_batch(now, false, 0.0);
    assert_eq!(
        schedule.complete(&key(1), by_id(first.number)),
        Completed::Stale,
        "that was the other tenant"
    );
    assert_eq!(
        schedule.complete(&key(1), by_id(second.number)),
        Completed::Requested(target(2), QueuePriority::Interactive)
    );
    // The last reconcile of the old object ends after its deletion, and requests another read.
    schedule.unschedule(&key(1));
    schedule.poll_after(&key(1), target(1), POLL, now);
    let third = schedule.next_batch(now, false, 0.0);
    schedule.request(&key(1), target(2), QueuePriority::Background);
    let fourth = schedule.next_batch(now, false, 0.0);
    assert_eq!(
        schedule.complete(&key(1), by_id(third.number)),
        Completed::Stale,
        "that was the other tenant"
    );
    assert_eq!(
        schedule.complete(&key(1), by_id(fourth.number)),
        Completed::Requested(target(2), QueuePriority::Background)
    );
}

#[test]
fn a_dropped_request_is_made_again() {
    // The same priority, but for another target than the one being read.
    let (mut schedule, now) = (Schedule::default(), Instant::now());
    schedule.request(&key(1), target(1), QueuePriority::Background);
    let _ = schedule.next_batch(now, false, 0.0);
    schedule.request(&key(1), target(2), QueuePriority::Background);
    assert_eq!(
        schedule.next_batch(now, false, 0.0).ids,
        [(
            key(1),
            match target(2) {
                Target::Id(id) => id,
                Target::Name(_) => unreachable!(),
            }
        )]
    );
}

#[test]
fn a_read_from_before_an_edit_does_not_answer_it() {
    let (mut schedule, now) = (Schedule::default(), Instant::now());
    schedule.poll_after(&key(1), target(1), POLL, now);
    let polled = schedule.next_batch(now, false, 0.0);
    // An edited object is unscheduled and requested again, while the poll is still in flight.
    schedule.unschedule(&key(1));
    schedule.request(&key(1), target(1), QueuePriority::Interactive);
    let edited = schedule.next_batch(now, true, 0.0);
    assert_eq!(schedule.complete(&key(1), by_id(polled.number)), Completed::Stale);
    assert_eq!(
        schedule.complete(&key(1), by_id(edited.number)),
        Completed::Requested(target(1), QueuePriority::Interactive)
    );
}

#[test]
fn names_come_separately_and_in_bounded_number() {
    let (mut schedule, now) = (Schedule::default(), Instant::now());
    for number in 0..MAX_NAMES + 5 {
        schedule.request(
            &key(number),
            Target::Name(format!("Acme {number}").into()),
            QueuePriority::Background,
        );
    }
    let batch = schedule.next_batch(now, false, 0.0);
    assert_eq!((batch.names.len(), batch.ids.len()), (MAX_NAMES, 0));
    assert!(schedule.next_batch(now, false, 0.0).is_empty());
    for (key, _) in &batch.names {
        schedule.complete(key, BatchEntry { batch: batch.number, by_name: true });
    }
    assert_eq!(schedule.next_batch(now, false, 0.0).names.len(), 5);
}

#[test]
fn a_tenant_whose_id_is_known_does_not_wait_for_names() {
    let (mut schedule, now) = (Schedule::default(), Instant::now());
    let name = |number: usize| Target::Name(format!("Acme {number}").into());
    for number in 0..MAX_NAMES + 5 {
        schedule.request(&key(number), name(number), QueuePriority::Interactive);
    }
    schedule.poll_after(&key(8000), name(8000), POLL, now);
    schedule.poll_after(&key(8001), target(8001), POLL, now);
    assert_eq!(schedule.next_batch(now, true, 0.0).names.len(), MAX_NAMES);
    assert_eq!(schedule.waiting(), (0, 0), "nothing that could be taken");
    schedule.request(&key(9000), target(9000), QueuePriority::Interactive);
    schedule.request(&key(9001), target(9001), QueuePriority::Background);
    assert_eq!(schedule.waiting(), (1, 1));
    let batch = schedule.next_batch(now, false, 0.0);
    assert_eq!((batch.names.len(), batch.ids.len()), (0, 3));
    // The poller does not check again and again whether there is room for one that is due.
    assert_eq!(schedule.next_due(), Some(now + NAME_DELAY));
    assert!(schedule.next_batch(now, false, 0.0).is_empty());
}
