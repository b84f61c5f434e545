//! Taking `production` back: before, during and after the point of no return, to `trial` and to nothing,
//! by every way in which an object can be edited.

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tenant_pricing_controller::testing::golden;

use super::{
    ID, create, merge, normalised, refusal, stored, tenant_pricing, tenant_pricings, transcript, write_status,
};
use crate::harness::Test;

/// kubectl's name as a manager of fields.
const KUBECTL: &str = "kubectl";

/// Where the switch stands when the edit comes, and what may then become of `mode`.
struct State {
    name: &'static str,
    status: Value,
    to_trial: Verdict,
    to_nothing: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Accepted,
    Refused,
}
use Verdict::{Accepted, Refused};

fn states() -> Vec<State> {
    let state = |name, status, to_trial, to_nothing| State { name, status, to_trial, to_nothing };
    let observed = |mode| json!({"mode": mode, "tenantName": "Acme GmbH"});
    let entry = |phase| json!({"phase": phase, "attempts": 1, "intentAt": "2026-12-01T00:00:00Z"});
    vec![
        state("never read", json!({}), Accepted, Accepted),
        state("in trial, no switch", json!({"observed": observed("trial")}), Accepted, Accepted),
        state(
            "waiting for its day",
            json!({"observed": observed("trial"), "switch": {"phase": "Scheduled"}}),
            Accepted,
            Accepted,
        ),
        state(
            "closed after an attempt that failed",
            json!({"observed": observed("trial"), "switch": entry("Scheduled")}),
            Accepted,
            Accepted,
        ),
        state(
            "in flight",
            json!({"observed": observed("trial"), "switch": entry("InFlight")}),
            Refused,
            Refused,
        ),
        state(
            "completed, and seen in production",
            json!({"observed": observed("production"), "switch": entry("Completed")}),
            Refused,
            Accepted,
        ),
        state(
            "completed, but the platform reports trial again",
            json!({"observed": observed("trial"), "switch": entry("Completed")}),
            Refused,
            Accepted,
        ),
        state("in production before we came", json!({"observed": observed("production")}), Refused, Accepted),
        state("suspended on the platform", json!({"observed": observed("suspended")}), Refused, Accepted),
    ]
}

/// The ways of editing an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Apply,
    ServerSideApply,
    ServerSideDryRun,
    MergePatch,
    JsonPatch,
    Replace,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::Apply,
        Self::ServerSideApply,
        Self::ServerSideDryRun,
        Self::MergePatch,
        Self::JsonPatch,
        Self::Replace,
    ];

    /// Edits the object so that its mode is `mode`, and gives the server's refusal.
    async fn edit(self, test: &Test, name: &str, mode: Option<&str>) -> Result<(), String> {
        let api = tenant_pricings(test);
        let mut spec = json!({"tenant": {"id": ID}});
        if let Some(mode) = mode {
            spec["mode"] = mode.into();
        }
        let manifest = tenant_pricing(name, &spec);
        let apply = PatchParams::apply(KUBECTL);
        let answer = match self {
            Self::Apply => {
                let output = test.kubectl_with(&["apply", "-f", "-"], &manifest.to_string()).await;
                return if output.code == 0 { Ok(()) } else { Err(normalised(&output.stderr, test, name)) };
            }
            Self::ServerSideApply => api.patch(name, &apply, &Patch::Apply(manifest)).await,
            Self::ServerSideDryRun => api.patch(name, &apply.dry_run(), &Patch::Apply(manifest)).await,
            Self::MergePatch => return merge(test, name, &json!({"spec": {"mode": mode}})).await.map(|_| ()),
            Self::JsonPatch => {
                let operation = match mode {
                    Some(mode) => json!({"op": "replace", "path": "/spec/mode", "value": mode}),
                    None => json!({"op": "remove", "path": "/spec/mode"}),
                };
                let patch = serde_json::from_value(json!([operation])).unwrap();
                api.patch(name, &PatchParams::default(), &Patch::Json::<()>(patch)).await
            }
            Self::Replace => {
                let mut object = api.get(name).await.unwrap();
                object.data["spec"] = spec;
                api.replace(name, &PostParams::default(), &object).await
            }
        };
        refusal(answer.map(|_| ()), test, name)
    }

    /// Creates the object in the way in which it is going to be edited: who owns a field, and so what
    /// leaving it out means, depends on that.
    async fn create(self, test: &Test, name: &str) {
        let spec = json!({"tenant": {"id": ID}, "mode": "production"});
        let manifest = tenant_pricing(name, &spec);
        match self {
            Self::Apply => {
                test.kubectl_with(&["apply", "-f", "-"], &manifest.to_string()).await.success();
            }
            Self::ServerSideApply | Self::ServerSideDryRun => {
                let apply = PatchParams::apply(KUBECTL);
                tenant_pricings(test).patch(name, &apply, &Patch::Apply(manifest)).await.unwrap();
            }
            Self::MergePatch | Self::JsonPatch | Self::Replace => create(test, name, &spec).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn production_is_taken_back_only_before_the_point_of_no_return() {
    let test = Test::new("taking-back").await;
    let states = states();
    let cases = states
        .iter()
        .flat_map(|state| [(state, Some("trial"), state.to_trial), (state, None, state.to_nothing)]);
    let answers = transcript(cases.collect(), async |number, (state, mode, verdict)| {
        let case = format!("{}, to {}", state.name, mode.unwrap_or("nothing"));
        let mut refusals = Vec::new();
        for way in Way::ALL {
            let name = format!("case-{number}-{way:?}").to_lowercase();
            way.create(&test, &name).await;
            write_status(&test, &name, &state.status).await;
            let answer = way.edit(&test, &name, mode).await;
            let stored = stored(&test, &name).await["spec"]["mode"].clone();
            if verdict == Accepted {
                assert_eq!(answer, Ok(()), "{case}, by {way:?}");
                let expected = if way == Way::ServerSideDryRun { Some("production") } else { mode };
                assert_eq!(stored, json!(expected), "{case}, by {way:?}");
            } else {
                let answer = answer.expect_err(&case);
                assert!(answer.contains("spec.mode: Forbidden:"), "{case}, by {way:?}: {answer}");
                assert_eq!(stored, "production", "{case}, by {way:?}");
                refusals.push(answer + "\n");
            }
        }
        // A refusal reads the same, whatever the way, but for kubectl's own beginning.
        refusals.dedup();
        format!("# {case}: {verdict:?}\n{}", refusals.concat())
    })
    .await;
    golden::compare("tests/integration/admission/taking_back.golden", &answers).unwrap();
    test.abandon(); // its statuses are made up
}
