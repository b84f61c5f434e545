//! What happens next to an object, by the rules of the controller on the facts that the cluster stores. Pure.
//!
//! The status says in which mode the tenant was last read, and not whether it is enabled, locked or a customer. The
//! controller reads all that before it acts. Here it is assumed, and the report says so.

use jiff::Timestamp;

use super::document::Step;
use crate::{
    api::{ConditionType, DesiredMode, StalledReason, TenantPricing, TenantPricingStatus, conditions},
    calendar::month_name,
    cli::{
        output::{remedies, time::month},
        platform::facts::{self, last_seen},
    },
    pricing::{
        decide::{Decision, JournalStep, Verdict, decide},
        facts::{Access, Circumstances, Facts, Proof, Seen, TenantRead},
        status::events::automatic_switch,
    },
};

/// What happens next, and what cannot be known.
#[derive(Default)]
pub(super) struct Next {
    pub steps: Vec<Step>,
    pub unknown: Vec<String>,
}

/// What happens next. `access` is how the object reaches its platform, if that is known.
pub(super) fn next(object: &TenantPricing, access: Option<&Access>, now: Timestamp) -> Next {
    let mut next = Next::default();
    let stall = object.status.as_ref().and_then(|status| stall(object, status));
    match (stall, access) {
        (Some(step), _) => next.steps.push(step),
        (None, Some(access)) => by_the_rules(object, access, now, &mut next),
        (None, None) => {
            next.steps.push(unread(object));
            next.unknown.push("Whether the connection exists, works, and admits this namespace.".to_owned());
        }
    }
    let automatic = object.status.as_ref().and_then(|status| automatic_switch(object, status));
    if let Some(at) = automatic {
        next.steps.push(Step {
            at: Some(at),
            reason: "AutomaticSwitch".to_owned(),
            text: format!(
                "The platform switches the tenant to production automatically, whatever this object says. That puts the \
                 whole of {} on the bill.",
                month_name(at)
            ),
            billed_month: Some(month(at)),
        });
    }
    next
}

/// The stall that the present status reports. The controller decided on it with all facts, so nothing is decided here.
fn stall(object: &TenantPricing, status: &TenantPricingStatus) -> Option<Step> {
    let is_present = Some(status.observed_generation) == object.metadata.generation;
    let stalled = conditions::find(&status.conditions, ConditionType::Stalled).filter(|_| is_present)?;
    let way_out =
        remedies::of_stall(&stalled.reason).map_or_else(String::new, |remedy| format!(" {remedy}."));
    Some(Step {
        at: None,
        reason: stalled.reason.clone(),
        text: format!("Nothing, until a person acts.{way_out}"),
        billed_month: None,
    })
}

/// What the rules decide now, and once more at the time of a switch that they schedule.
fn by_the_rules(object: &TenantPricing, access: &Access, now: Timestamp, next: &mut Next) {
    let Some(seen) = last_seen(object, now) else {
        next.steps.push(unread(object));
        next.unknown.push("The mode of the tenant: the controller has not read it yet.".to_owned());
        return;
    };
    let decision = decide_at(object, access, &seen, now);
    match (decision.verdict, decision.journal) {
        (Verdict::Switch { .. }, _) => {
            next.steps.push(step(object, &decision, None, Some(now)));
            next.unknown.extend(assumptions(object));
        }
        (Verdict::Ready(_), JournalStep::Schedule(at)) => {
            next.steps.push(step(object, &decision, Some(at), Some(at)));
            let then = decide_at(object, access, &Seen { date: Some(at), ..seen }, at);
            if !matches!(then.verdict, Verdict::Switch { .. }) {
                next.steps.push(step(object, &then, Some(at), None));
            }
            next.unknown.extend(assumptions(object));
        }
        _ => next.steps.push(step(object, &decision, None, None)),
    }
}

fn decide_at(object: &TenantPricing, access: &Access, seen: &Seen, now: Timestamp) -> Decision {
    let proof = Proof::Customers(vec![seen.tenant.id.clone()]);
    let circumstances = Circumstances { proof, ..Circumstances::default() };
    let read = TenantRead::Seen(Box::new(seen.clone()));
    decide(&Facts { object, access, read: &read, circumstances: &circumstances, now })
}

/// The step that a decision means. `billed` is when the tenant is switched, if it is.
fn step(
    object: &TenantPricing,
    decision: &Decision,
    at: Option<Timestamp>,
    billed: Option<Timestamp>,
) -> Step {
    let ready =
        object.status.as_ref().and_then(|status| conditions::find(&status.conditions, ConditionType::Ready));
    let (reason, text) = match (decision.verdict, ready) {
        (Verdict::Ready(reason), _) => (reason.to_string(), decision.message.clone()),
        (Verdict::Reconciling(reason), _) => (reason.to_string(), decision.message.clone()),
        (Verdict::Stalled(reason), _) => (reason.to_string(), stalls(reason, &decision.message)),
        (Verdict::Switch { .. }, _) => ("Switching".to_owned(), decision.message.clone()),
        // The status stays as it is.
        (Verdict::Unchanged, Some(ready)) => (ready.reason.clone(), ready.message.clone()),
        (Verdict::Unchanged, None) => ("NotRead".to_owned(), "Nothing, as far as is known.".to_owned()),
    };
    Step { at, reason, text, billed_month: billed.map(month) }
}

fn stalls(reason: StalledReason, message: &str) -> String {
    let way_out =
        remedies::of_stall(reason.as_str()).map_or_else(String::new, |remedy| format!(" {remedy}."));
    format!("Nothing, until a person acts. {message}{way_out}")
}

/// What happens to an object whose tenant is not known.
fn unread(object: &TenantPricing) -> Step {
    let text = match object.spec.mode {
        _ if object.spec.suspend => "Nothing, while spec.suspend is true.",
        Some(DesiredMode::Production) => {
            "The controller reads the tenant. If it is a customer in trial, the controller switches it at the time that the \
             spec names, which starts billing and cannot be undone."
        }
        Some(DesiredMode::Trial) => {
            "The controller reads the tenant. It switches nothing for spec.mode: trial."
        }
        None => "The controller reads the tenant. It switches nothing without spec.mode.",
    };
    Step { at: None, reason: "NotRead".to_owned(), text: text.to_owned(), billed_month: None }
}

/// What a switch depends on that the cluster does not store, or that was not read.
fn assumptions(object: &TenantPricing) -> Vec<String> {
    let mut assumptions = facts::assumptions(object);
    assumptions.push(
        "Whether the budget of the connection has room then, and whether an older object stands for the same tenant."
            .to_owned(),
    );
    assumptions
}
