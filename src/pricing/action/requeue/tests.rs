use super::*;

const POLL: Duration = Duration::from_mins(10);

/// As many draws as show that a bound holds.
fn draws(requeue: Requeue, failures: u32) -> Vec<Duration> {
    (0..200).map(|_| pause(requeue, failures, POLL).unwrap()).collect()
}

#[test]
fn a_wait_for_an_instant_ends_just_after_it() {
    let remaining = Duration::from_secs(5);
    for pause in draws(Requeue::After(remaining), 0) {
        assert!(pause > remaining && pause < remaining + Duration::from_millis(100), "{pause:?}");
    }
    assert!(draws(Requeue::After(Duration::ZERO), 0).iter().all(|pause| !pause.is_zero()));
}

#[test]
fn pauses_after_failures_grow_up_to_the_poll_interval() {
    for (failures, longest) in [(0, 4), (1, 4), (2, 8), (5, 64), (9, 600), (u32::MAX, 600)] {
        let pauses = draws(Requeue::Backoff, failures);
        let within = Duration::from_secs(1)..=Duration::from_secs(longest);
        assert!(pauses.iter().all(|pause| within.contains(pause)), "{failures}: {pauses:?}");
        let upper_half = pauses.iter().any(|pause| *pause > Duration::from_secs(longest / 2));
        assert!(upper_half, "{failures}: {pauses:?}");
    }
}

#[test]
fn a_short_poll_interval_still_leaves_a_pause() {
    let pause = pause(Requeue::Backoff, 9, Duration::ZERO).unwrap();
    assert!((FIRST_PAUSE / 2..=FIRST_PAUSE).contains(&pause), "{pause:?}");
}

#[test]
fn what_waits_for_a_read_or_a_change_has_no_pause() {
    for requeue in [Requeue::AtPollInterval, Requeue::Daily, Requeue::WhenAdmitted, Requeue::OnChange] {
        assert_eq!(pause(requeue, 3, POLL), None, "{requeue:?}");
    }
}

#[test]
fn an_admission_is_checked_again_at_the_poll_interval() {
    for (poll, least) in [(10, 60), (60, 60), (600, 600), (86_400, 86_400)] {
        let pause = pause(Requeue::Recheck, 0, Duration::from_secs(poll)).unwrap().as_secs_f64();
        let least = f64::from(least);
        assert!((least..=least * 1.1).contains(&pause), "{pause} s for a poll interval of {poll} s");
    }
}
