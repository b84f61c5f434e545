//! `switch`: asks for the switch of a tenant to production.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::{
    ConfirmArguments, EditArguments, EditError,
    change::{Change, Set},
    spec_edit::{Obstacle, SpecEdit},
};
use crate::{
    api::{DesiredMode, SwitchAt, TenantPricing},
    cli::{cluster::ClusterArguments, plugin::exit::Exit, status::story::past::bill},
    cluster::Key,
};

/// The flags of `switch`.
#[allow(clippy::doc_markdown)] // the help shows these comments as they are
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
    # Switch the tenant of acme as its spec and its connection say, and wait for the outcome\n  \
    kubectl-tenantpricing switch acme\n\n  \
    # Switch it on the first day of the next month, so that no month is billed that has begun\n  \
    kubectl-tenantpricing switch acme --at month-start\n\n  \
    # Show what would be billed, and store nothing\n  \
    kubectl-tenantpricing switch acme --not-before 2031-05-01T00:00:00Z --dry-run=server\n\n\
    EXIT CODES:\n  \
    0    switched, scheduled, held back, or nothing to do\n  \
    1    nothing was edited, or the outcome is not known\n  \
    3    stalled: a person must act\n  \
    130  you pressed Ctrl-C: the waiting ended, the switch did not")]
pub(crate) struct SwitchArguments {
    #[command(flatten)]
    edit: EditArguments,

    /// When to switch. Default: as spec.switch.at or else the connection says.
    #[arg(long, value_name = "WHEN")]
    at: Option<At>,

    /// Switch nothing before this instant, in RFC 3339 such as 2031-05-01T00:00:00Z; none to remove the limit. Default:
    /// as the spec says.
    #[arg(long, value_name = "INSTANT")]
    not_before: Option<NotBefore>,

    #[command(flatten)]
    confirm: ConfirmArguments,
}

/// When to switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum At {
    /// As soon as it is asked for. The whole current month is billed.
    Immediately,
    /// On the first day of a month, UTC.
    MonthStart,
}

/// The value of `--not-before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotBefore {
    Instant(Timestamp),
    None,
}

impl FromStr for NotBefore {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        let way_out = "write an instant such as 2031-05-01T00:00:00Z, or none";
        text.parse().map(Self::Instant).map_err(|_| way_out.to_owned())
    }
}

impl SwitchArguments {
    /// Asks for the switch and prints the outcome.
    ///
    /// # Errors
    /// Nothing was edited, or the outcome is not known.
    pub(crate) async fn execute(self, cluster: &ClusterArguments) -> Result<Exit, EditError> {
        let change = Change {
            mode: Set::To(DesiredMode::Production),
            at: match self.at {
                None => Set::Keep,
                Some(At::Immediately) => Set::To(SwitchAt::Immediately),
                Some(At::MonthStart) => Set::To(SwitchAt::MonthStart),
            },
            not_before: match self.not_before {
                None => Set::Keep,
                Some(NotBefore::Instant(at)) => Set::To(at),
                Some(NotBefore::None) => Set::Remove,
            },
            suspend: None,
        };
        let edit = SpecEdit {
            arguments: &self.edit,
            change,
            obstacle,
            confirmation: Some(self.confirm),
            goes_on: "the controller still switches the tenant when it is due. To stop that, use: \
                      kubectl-tenantpricing cancel.",
        };
        edit.run(cluster).await
    }
}

/// A tenant in production needs no switch, and one whose object is suspended gets none.
fn obstacle(object: &TenantPricing, now: Timestamp) -> Option<Obstacle> {
    let observed = object.status.as_ref().and_then(|status| status.observed.as_ref());
    if observed.is_some_and(|observed| observed.mode == "production") {
        let (bill, _) = bill(object, now);
        let why = format!("the tenant is in production. {}", bill.trim_end_matches('.'));
        return Some(Obstacle::NothingToDo(why));
    }
    object.spec.suspend.then(|| {
        let key = Key::of(object);
        let then = match object.spec.mode {
            Some(DesiredMode::Production) => "",
            _ => " Then run this command again.",
        };
        Obstacle::Impossible(format!(
            "nothing was edited: TenantPricing {key} is suspended (spec.suspend), so its tenant is not switched, and \
             nothing is billed for a switch. Let it go on with: kubectl-tenantpricing resume {}.{then}",
            key.name()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{NOW, Scene, instant};

    #[test]
    fn an_instant_has_a_zone_or_is_none() {
        let instant = "2031-05-01T00:00:00Z".parse().unwrap();
        for text in ["2031-05-01T00:00:00Z", "2031-05-01T02:00:00+02:00"] {
            assert_eq!(text.parse(), Ok(NotBefore::Instant(instant)), "{text}");
        }
        assert_eq!("none".parse(), Ok(NotBefore::None));
        for text in ["", "2031-05-01", "2031-05-01T00:00:00", "tomorrow", "None"] {
            assert!(text.parse::<NotBefore>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_tenant_in_production_needs_no_switch() {
        let now = instant(NOW);
        let in_production = Scene::new().mode("production").stored().object;
        assert!(matches!(obstacle(&in_production, now), Some(Obstacle::NothingToDo(_))));
        for scene in [Scene::new().stored(), Scene::new().mode("suspended").stored(), Scene::new()] {
            assert_eq!(obstacle(&scene.object, now), None);
        }
    }

    #[test]
    fn a_suspended_object_gets_no_switch() {
        let now = instant(NOW);
        for (scene, goes_on) in [
            (Scene::new().desired(None).suspended(), true),
            (Scene::new().suspended(), false),
            (Scene::new().desired(None).suspended().stored(), true),
            (Scene::new().suspended().stored(), false),
        ] {
            let Some(Obstacle::Impossible(said)) = obstacle(&scene.object, now) else {
                panic!("it is edited")
            };
            assert!(
                said.contains("is suspended") && said.contains("kubectl-tenantpricing resume acme."),
                "{said}"
            );
            assert_eq!(said.contains("run this command again"), goes_on, "{said}");
        }
        let done = Scene::new().mode("production").stored().suspended();
        assert!(matches!(obstacle(&done.object, now), Some(Obstacle::NothingToDo(_))));
    }
}
