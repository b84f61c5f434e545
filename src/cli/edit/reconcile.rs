//! `reconcile`: has the controller read tenants now.

use std::collections::BTreeSet;

use clap::Args;
use futures::{StreamExt, stream};
use kube::Api;
use serde_json::json;

use super::{
    DryRun, DryRunArguments, EditError,
    settled::is_reconciled,
    store::store,
    text,
    wait::{Awaited, End, Interrupt, WaitArguments, Waited, wait},
};
use crate::{
    api::{RECONCILE_NOW, TenantPricing},
    cli::{
        cluster::{
            Cluster, ClusterArguments,
            pages::{each, readable, why_not_listed},
            scope::{Scope, ScopeArguments},
            writes::Writes,
        },
        output::{self, escape},
        plugin::exit::Exit,
        status::{document::ObjectState, fleet::telling},
    },
    clock::Clock,
    cluster::{Key, TrimmedTenantPricing},
};

/// The most edits that are sent at the same time.
const MAX_AT_ONCE: usize = 8;

/// The flags of `reconcile`.
#[derive(Debug, Args)]
#[command(
    after_help = "EXAMPLES:\n  \
    # Have the controller read the tenant of acme now\n  \
    kubectl-tenantpricing reconcile acme\n\n  \
    # All objects with a label, without waiting\n  \
    kubectl-tenantpricing reconcile -l team=a --no-wait\n\n\
    EXIT CODES:\n  \
    0    the controller has read all of them\n  \
    1    something was not edited, or not read in time\n  \
    3    an object is stalled: a person must act\n  \
    130  you pressed Ctrl-C: the waiting ended, the reads go on",
    group = clap::ArgGroup::new("objects").required(true).multiple(true).args(["names", "selector", "all"])
)]
pub(crate) struct ReconcileArguments {
    /// The names of TenantPricings.
    #[arg(value_name = "NAME", conflicts_with_all = ["selector", "all", "all_namespaces"])]
    names: Vec<String>,

    #[command(flatten)]
    scope: ScopeArguments,

    /// All TenantPricings of the namespace, or of all namespaces with -A.
    #[arg(long, conflicts_with = "selector")]
    all: bool,

    #[command(flatten)]
    dry_run: DryRunArguments,

    #[command(flatten)]
    wait: WaitArguments,
}

impl ReconcileArguments {
    /// Asks for the reads, and prints what they found.
    ///
    /// # Errors
    /// An object was not edited, or the controller did not read its tenant in time.
    pub(crate) async fn execute(self, cluster: &ClusterArguments) -> Result<Exit, EditError> {
        let dry_run = self.dry_run.dry_run;
        let writes = match dry_run {
            DryRun::None => Writes::Edits,
            DryRun::Server => Writes::DryRuns,
            DryRun::Client => Writes::Nothing,
        };
        let cluster = cluster.find_for(writes).await?;
        let scope = self.scope.of(&cluster);
        let keys = self.keys(&cluster, &scope).await?;
        if keys.is_empty() {
            output::note(&format!("No TenantPricing in {}.", escape::terminal(&scope.in_words())));
            return Ok(Exit::Success);
        }
        let mut interrupt = Interrupt::take_over()?;
        let count = keys.len();
        let (edited, failures) = if dry_run == DryRun::Client {
            (keys, Vec::new())
        } else {
            request(&cluster, keys, dry_run).await
        };
        for failure in &failures {
            output::note(&format!("error: {failure}"));
        }
        let refused =
            || EditError::Partly(format!("{} of {count} TenantPricings were not edited", failures.len()));
        if self.wait.no_wait || dry_run != DryRun::None || edited.is_empty() {
            let what = match dry_run {
                DryRun::None => "annotated",
                DryRun::Server => "would be annotated (server dry run)",
                DryRun::Client => "would be annotated (client dry run)",
            };
            let lines = edited.iter().map(|key| format!("{}: {what}\n", escape::terminal(key.as_str())));
            output::write(&lines.collect::<String>())?;
            return if failures.is_empty() { Ok(Exit::Success) } else { Err(refused()) };
        }
        let awaited = Awaited { api: scope.api(&cluster), labels: scope.selector.clone(), keys: edited };
        let limit = self.wait.timeout;
        let waited = wait(awaited, limit, &mut interrupt, is_reconciled, |_| {}).await?;
        let exit = print(&waited)?;
        let pending = waited.pending.len();
        match waited.end {
            End::Interrupted => {
                output::note(&format!(
                    "You no longer wait for {pending} of {count}. The controller still reads them."
                ));
                Ok(Exit::Interrupted)
            }
            End::TimedOut => Err(EditError::TimedOut(format!(
                "the controller did not read {pending} of {count} tenants within {} s. It still reads them when it can",
                limit.as_secs()
            ))),
            End::Complete if failures.is_empty() => Ok(exit),
            End::Complete => Err(refused()),
        }
    }

    /// The objects that the flags choose.
    async fn keys(&self, cluster: &Cluster, scope: &Scope) -> Result<BTreeSet<Key>, EditError> {
        if !self.names.is_empty() {
            return Ok(self.names.iter().map(|name| Key::new(&cluster.namespace, name)).collect());
        }
        let mut keys = BTreeSet::new();
        let api: Api<TrimmedTenantPricing> = scope.api(cluster);
        let listed = each(&api, scope.parameters(), |object| {
            keys.insert(Key::of(&readable(object)));
        });
        listed.await.map_err(|error| {
            EditError::Unread(format!("{}{}", why_not_listed::<TenantPricing>(&error), scope.advice(&error)))
        })?;
        Ok(keys)
    }
}

/// Annotates each object. Returns those that are annotated, and why the others are not.
async fn request(cluster: &Cluster, keys: BTreeSet<Key>, dry_run: DryRun) -> (BTreeSet<Key>, Vec<EditError>) {
    // Any new value counts. No two runs have the same one.
    let value = Clock::system().now().to_string();
    let patch = json!({"metadata": {"annotations": {RECONCILE_NOW: value}}});
    let sent = stream::iter(keys).map(|key| {
        let patch = &patch;
        async move {
            let stored = store(cluster, key.namespace(), key.name(), patch, dry_run).await;
            stored.map(|_| key)
        }
    });
    let (mut annotated, mut failures) = (BTreeSet::new(), Vec::new());
    for outcome in sent.buffer_unordered(MAX_AT_ONCE).collect::<Vec<_>>().await {
        match outcome {
            Ok(key) => drop(annotated.insert(key)),
            Err(error) => failures.push(error),
        }
    }
    (annotated, failures)
}

/// Prints one line for each object that was read or deleted.
fn print(waited: &Waited) -> Result<Exit, EditError> {
    let mut exit = Exit::Success;
    let mut lines = String::new();
    for (key, object) in &waited.settled {
        let reported = object.status.as_ref().and_then(|status| telling(&status.conditions));
        let message = reported.map_or("", |(_, condition)| condition.message.as_str());
        if reported.is_some_and(|(state, _)| state == ObjectState::Stalled) {
            exit = Exit::Refused;
        }
        let line = format!("{key}: {}. {message}", text::state(object));
        lines.push_str(&escape::terminal(line.trim_end()));
        lines.push('\n');
    }
    for key in &waited.gone {
        lines.push_str(&escape::terminal(&format!("{key}: deleted")));
        lines.push('\n');
    }
    output::write(&lines)?;
    Ok(exit)
}
