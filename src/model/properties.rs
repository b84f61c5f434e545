//! The properties that the checker holds against every state.

use stateright::Property;

use super::{
    Switching,
    state::{AttemptOutcome, Rule},
};

/// Makes a property of each rule. A property is a plain function, so each rule needs one of its own.
macro_rules! never {
    ($($rule:ident: $name:literal,)*) => {
        vec![$(Property::<Switching>::always($name, |_, state| state.broken != Some(Rule::$rule)),)*]
    };
}

pub(super) const SETTLES: &str =
    "L1: when faults stop, every object reaches what is asked for or says why not";

pub(super) fn all(model: &Switching) -> Vec<Property<Switching>> {
    let mut properties = never! {
        Unasked: "S2: nothing is announced that the stored object does not ask for",
        TooEarly: "S2: nothing is announced before its time",
        OldRead: "S2: no switch is decided on a pre-write read that is too old",
        OverBudget: "S2: no more PUTs leave than the budget has room for",
        NotAnnounced: "S2: no PUT leaves without an entry of its own in the stored journal",
        Cancelled: "S2: no PUT leaves or takes effect after a cancel",
        TwoInFlight: "S3: no tenant has two PUTs under way",
        InGracePeriod: "S3: no PUT leaves within the grace period of an unknown one",
        NotLeading: "S3: no PUT leaves without enough of a lease",
        TwoEffects: "S3: no tenant is switched twice",
        AfterAcceptance: "S4: no PUT leaves for a tenant that one was accepted for",
        AcceptanceLost: "S4: an accepted attempt is never closed, nor recorded as another actor's",
        SwitchedAgain: "S5: nothing is announced for a tenant that was past trial",
    };
    properties.extend([
        Property::<Switching>::always(SETTLES, |model, state| state.broken.is_some() || model.settles(state)),
        Property::<Switching>::eventually("L1: every run that ends ends well", |model, state| {
            model.is_at_rest(state)
        }),
        Property::<Switching>::sometimes("a PUT takes effect", |_, state| {
            state.tenants.iter().any(|tenant| tenant.switched > 0)
        }),
        Property::<Switching>::sometimes(
            "an outcome is unknown and the grace period has passed",
            |_, state| {
                let attempts = state.replicas.iter().flat_map(|replica| &replica.circumstances.attempts);
                attempts.into_iter().any(|attempt| attempt.outcome == AttemptOutcome::UnknownForLong)
            },
        ),
        Property::<Switching>::sometimes("a run ends well", Switching::is_at_rest),
    ]);
    if model.setting.replicas > 1 {
        properties.push(Property::<Switching>::sometimes(
            "a PUT is in flight while a replica other than its sender leads",
            |_, state| state.requests.iter().any(|request| !state.replica(request.replica).leads),
        ));
    }
    // A model that leaves something out must break a safety rule. Without safety, it would soon fail to end well.
    if !model.checks_convergence {
        properties.retain(|property| property.name.starts_with('S'));
    }
    properties
}
