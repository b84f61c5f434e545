//! Any stored object, by any writer, with any answer of the platform leads to a decision and a status, and to no panic.
//! If the program wrote the stored status itself, the next one is sound.

use std::time::Duration;

use jiff::Timestamp;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{
    decide::{self, Verdict},
    facts::{AttemptOutcome, Circumstances, TenantRead},
    status::{
        events,
        report::{self, Intent},
    },
};
use crate::{
    api::{TenantPricing, TenantPricingStatus, invariants},
    cluster::{Key, TrimmedTenantPricing},
    index::Index,
    platform::{ErrorClass, PlatformError},
    testing::{
        adversarial::{MARK, cases, corpus, nearly},
        all_cases,
        fixtures::{Scene, instant},
    },
};

/// Moments at which arithmetic with time is most likely to fail.
const MOMENTS: [&str; 12] = [
    "-009999-01-02T01:59:59Z",
    "0000-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "2026-11-23T09:00:00Z",
    "2026-11-23T10:00:00Z",
    "2026-11-30T23:59:59.999999999Z",
    "2026-12-01T00:00:00Z",
    "2028-02-29T12:00:00Z",
    "9999-11-30T23:59:59Z",
    "9999-12-01T00:00:00Z",
    "9999-12-30T21:59:59Z",
    "9999-12-30T22:00:00Z",
];

/// Dates of the platform. None is before 1970, as the reader of the header ensures.
fn platforms() -> impl Strategy<Value = Option<Timestamp>> + Clone {
    prop::option::of(moment().prop_map(|moment| moment.max(Timestamp::UNIX_EPOCH)))
}

fn moment() -> impl Strategy<Value = Timestamp> + Clone {
    prop_oneof![
        4 => select(&MOMENTS[..]).prop_map(instant),
        1 => (Timestamp::MIN.as_second()..=Timestamp::MAX.as_second())
            .prop_map(|second| Timestamp::from_second(second).unwrap()),
    ]
}

/// A moment as a stored object may have it. Kubernetes' own type has whole seconds.
fn stored_moment() -> impl Strategy<Value = Value> + Clone {
    moment().prop_map(|moment| json!(moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}

/// Objects with a status that the program wrote, in their stored form.
fn stored() -> Vec<Value> {
    all_cases::stored_objects().into_iter().map(|scene| json!(scene.object)).collect()
}

/// Stored objects with up to three values removed or replaced, and with times moved.
fn objects() -> impl Strategy<Value = Value> + Clone {
    const TIMES: [&str; 6] = [
        "/spec/switch/notBefore",
        "/status/switch/scheduledFor",
        "/status/switch/intentAt",
        "/status/switch/completedAt",
        "/status/observed/productionStartDate",
        "/metadata/deletionTimestamp",
    ];
    let moved = vec((select(&TIMES[..]), stored_moment()), 0..4);
    (select(stored()).prop_flat_map(nearly), moved).prop_map(|(mut object, moved)| {
        for (pointer, moment) in moved {
            if let Some(value) = object.pointer_mut(pointer) {
                *value = moment;
            }
        }
        object
    })
}

/// What can be read and remembered, with any clocks.
fn circumstances() -> impl Strategy<Value = Scene> + Clone {
    let readings = all_cases::readings();
    let known: Vec<_> =
        [false, true].into_iter().flat_map(all_cases::circumstances).chain(all_cases::proofs()).collect();
    let outcome = prop::option::weighted(
        0.2,
        any::<u64>().prop_map(|seconds| AttemptOutcome::Unknown(Duration::from_secs(seconds))),
    );
    (select(readings), select(known), outcome, moment(), platforms(), platforms()).prop_map(
        |((access, read), circumstances, outcome, now, date, start)| {
            let mut scene = Scene { access, read, circumstances, now, ..Scene::new() };
            scene.circumstances.outcome = outcome.or(scene.circumstances.outcome);
            scene.seen(|seen| {
                seen.date = date;
                seen.tenant.production_start = start;
            })
        },
    )
}

/// Runs everything that a reconcile does with a stored object, except requests. Returns the faults.
fn go_through(object: &TenantPricing, circumstances: &Scene) -> Vec<String> {
    let scene = Scene { object: object.clone(), ..circumstances.clone() };
    let (facts, index, key) = (scene.facts(), Index::default(), Key::new("team", "acme"));
    let _ = index.apply(&key, object);
    let decision = decide::decide(&facts);
    // Before a switch, its announcement is written.
    let status = match decision.verdict {
        Verdict::Switch { scheduled_for } => {
            let intent = Intent { attempt_id: "attempt-1".to_owned(), scheduled_for };
            report::announcing(&facts, &decision, &intent)
        }
        _ => report::status(&facts, &decision),
    };
    let before = object.status.clone().unwrap_or_default();
    let _ = events::of_change(object, &before, &status, scene.now);
    let _ = events::upcoming(object, &status, scene.now);
    let mut after = object.clone();
    after.status = Some(status.clone());
    let _ = index.apply(&key, &after);
    let text = serde_json::to_string(&after).unwrap();
    assert!(
        decision.message.len() <= 32_768,
        "the API server would refuse the condition: {}",
        decision.message
    );
    // Years before Christ are serialized in a form that cannot be parsed, so none of them can have been stored.
    let readable = |text: &str| serde_json::from_str::<TenantPricing>(text).is_ok();
    if scene.now >= Timestamp::UNIX_EPOCH && readable(&json!(object).to_string()) {
        assert!(readable(&text), "a written status can be read again: {text}");
    }
    // The API server counts generations from 1. A status that was written has conditions.
    let counted = object.metadata.generation.is_some_and(|generation| generation >= 1);
    let untouched = before == TenantPricingStatus::default();
    let sound =
        counted && (untouched || !before.conditions.is_empty()) && invariants::check(object).is_empty();
    if !sound || decision.verdict == Verdict::Unchanged {
        return Vec::new();
    }
    [invariants::check(&after), invariants::check_step(&before, &status)].concat()
}

#[test]
fn the_corpus_of_stored_objects() {
    let known: Vec<Circumstances> = [false, true].into_iter().flat_map(all_cases::circumstances).collect();
    let meet = |(place, (access, read)): (usize, (_, _))| {
        let circumstances = known[place % known.len()].clone();
        Scene { access, read, circumstances, ..Scene::new() }
    };
    let circumstances: Vec<_> = all_cases::readings().into_iter().enumerate().map(meet).collect();
    for (name, bytes) in corpus("objects") {
        let Ok(listed) = serde_json::from_slice::<TrimmedTenantPricing>(&bytes) else { continue };
        let Ok(object) = listed.object else { continue };
        for moment in MOMENTS.map(instant).into_iter().step_by(4) {
            for scene in &circumstances {
                let scene = Scene { now: moment, ..scene.clone() }
                    .seen(|seen| seen.date = Some(moment.max(Timestamp::UNIX_EPOCH)));
                assert_eq!(
                    go_through(&object, &scene),
                    [""; 0],
                    "{name} at {moment}: {:?} {:?}",
                    scene.read,
                    scene.circumstances
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn every_stored_object_leads_to_a_sound_status(
        object in objects(), scene in circumstances(),
    ) {
        if let Ok(object) = serde_json::from_value::<TenantPricing>(object) {
            let faults = go_through(&object, &scene);
            prop_assert!(faults.is_empty(), "{faults:#?}\n{:#?}\n{:#?}", object.status, scene.decide());
        }
    }

    #[test]
    fn an_error_is_reported_in_the_programs_own_words(
        object in objects(), class in select(&ErrorClass::ALL[..]), now in moment(),
    ) {
        let error: PlatformError = crate::testing::fixtures::error(class);
        if let Ok(object) = serde_json::from_value::<TenantPricing>(object) {
            let scene = Scene { object, now, ..Scene::new() }.read(TenantRead::Failed(error));
            let decision = scene.decide();
            // A message may quote the object, and no other text from outside.
            let written = json!(scene.object).to_string();
            prop_assert!(!decision.message.contains(MARK) || written.contains(MARK), "{}", decision.message);
        }
    }
}
