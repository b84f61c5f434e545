//! Taking `production` back: before, during and after the point of no return, to `trial` and to nothing,
//! by every way in which an object can be edited.

use serde_json::{Value, json};
use tenant_pricing_controller::golden;

use super::{ID, answer, stored, tenant_pricing, transcript, write_status};
use crate::harness::{Output, Test};

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
        state("never looked at", json!({}), Accepted, Accepted),
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
            "completed, but the platform says trial again",
            json!({"observed": observed("trial"), "switch": entry("Completed")}),
            Refused,
            Accepted,
        ),
        state("in production before we came", json!({"observed": observed("production")}), Refused, Accepted),
        state("suspended on the platform", json!({"observed": observed("suspended")}), Refused, Accepted),
    ]
}

/// The ways of editing an object.
#[derive(Clone, Copy, Debug)]
enum Way {
    Apply,
    ApplyDryRun,
    ServerSideApply,
    ServerSideDryRun,
    MergePatch,
    JsonPatch,
    Replace,
}

impl Way {
    const ALL: [Self; 7] = [
        Self::Apply,
        Self::ApplyDryRun,
        Self::ServerSideApply,
        Self::ServerSideDryRun,
        Self::MergePatch,
        Self::JsonPatch,
        Self::Replace,
    ];

    fn is_dry_run(self) -> bool {
        matches!(self, Self::ApplyDryRun | Self::ServerSideDryRun)
    }

    /// What a person types; the manifest comes by standard input.
    fn arguments(self, name: &str, mode: Option<&str>) -> Vec<String> {
        let patch = |kind: &str, patch: Value| {
            ["patch", "tenantpricing", name, kind, "-p", &patch.to_string()].map(str::to_owned).to_vec()
        };
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        match self {
            Self::Apply => words("apply -f -"),
            Self::ApplyDryRun => words("apply --dry-run=server -f -"),
            Self::ServerSideApply => words("apply --server-side -f -"),
            Self::ServerSideDryRun => words("apply --server-side --dry-run=server -f -"),
            Self::MergePatch => patch("--type=merge", json!({"spec": {"mode": mode}})),
            Self::JsonPatch => match mode {
                Some(mode) => {
                    patch("--type=json", json!([{"op": "replace", "path": "/spec/mode", "value": mode}]))
                }
                None => patch("--type=json", json!([{"op": "remove", "path": "/spec/mode"}])),
            },
            Self::Replace => words("replace -f -"),
        }
    }

    async fn edit(self, test: &Test, name: &str, mode: Option<&str>) -> Output {
        let arguments = self.arguments(name, mode);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut spec = json!({"tenant": {"id": ID}});
        if let Some(mode) = mode {
            spec["mode"] = mode.into();
        }
        test.kubectl_with(&arguments, &tenant_pricing(name, &spec).to_string()).await
    }

    /// Creates the object in the way in which it is going to be edited: who owns a field, and so what
    /// leaving it out means, depends on that.
    async fn create(self, test: &Test, name: &str) {
        let manifest = tenant_pricing(name, &json!({"tenant": {"id": ID}, "mode": "production"})).to_string();
        let arguments: &[&str] = match self {
            Self::Apply | Self::ApplyDryRun => &["apply", "-f", "-"],
            Self::ServerSideApply | Self::ServerSideDryRun => &["apply", "--server-side", "-f", "-"],
            Self::MergePatch | Self::JsonPatch | Self::Replace => &["create", "-f", "-"],
        };
        test.kubectl_with(arguments, &manifest).await.success();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn production_is_taken_back_only_before_the_point_of_no_return() {
    let test = Test::new("taking-back").await;
    let states = states();
    let cases = states.iter().flat_map(|state| {
        [(Some("trial"), state.to_trial), (None, state.to_nothing)]
            .into_iter()
            .flat_map(move |(mode, verdict)| Way::ALL.map(move |way| (state, mode, verdict, way)))
    });
    let text = transcript(cases.collect(), async |number, (state, mode, verdict, way)| {
        let name = format!("case-{number}");
        way.create(&test, &name).await;
        write_status(&test, &name, &state.status).await.success();

        let output = way.edit(&test, &name, mode).await;
        let answer = answer(&output, &test, &name);
        let case = format!("{}, to {}, by {way:?}", state.name, mode.unwrap_or("nothing"));

        let expected = match verdict {
            Accepted if !way.is_dry_run() => {
                assert!(output.code == 0, "{case}: {answer}");
                mode.unwrap_or_default()
            }
            Accepted => {
                assert!(output.code == 0, "{case}: {answer}");
                "production"
            }
            Refused => {
                assert!(output.code != 0, "{case} was accepted: {answer}");
                assert!(answer.contains("spec.mode: Forbidden:"), "{case}: {answer}");
                "production"
            }
        };
        assert_eq!(stored(&test, &name, ".spec.mode").await, expected, "{case}");
        format!("# {case}\n{answer}\n")
    })
    .await;
    golden::compare("tests/integration/admission/taking_back.golden", &text).unwrap();
    test.abandon(); // its statuses are made up
}
