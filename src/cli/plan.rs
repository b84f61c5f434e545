//! `plan`: what the controller will do if manifests are applied. It writes nothing, anywhere.
//!
//! The facts come from the manifests, the cluster and the platform. The rules of the controller decide on them.

pub(crate) mod connections;
pub(crate) mod document;
pub(crate) mod formats;
mod input;
pub(crate) mod outcome;
mod platforms;
mod reads;
mod server;
pub(crate) mod stored;
pub(crate) mod subject;
mod summary;
#[cfg(test)]
mod tests;
mod watch;

use std::{fmt, path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tokio::time::Instant;

use self::{
    connections::{Links, SecretChange},
    document::{Change, ComparedWith, Entry, Note, Outcome, Plan},
    input::{Input, Validation},
    outcome::Knowledge,
    subject::Subject,
};
use super::{
    cluster::{ClusterArguments, writes::Writes},
    output::{self, FormatError},
    platform::{InvalidFlag, PlatformArguments, credentials::Unavailable},
    plugin::{CommandError, exit::Exit},
};
use crate::{
    api::{PlatformConnection, ReconcilingReason, TenantPricing},
    clock::Clock,
};

/// The flags of `plan`.
#[allow(clippy::doc_markdown)] // the help shows these comments as they are
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
    # What a pull request changes, against the main branch, without a cluster\n  \
    kubectl-tenantpricing plan -f tenants/ --base origin/main --no-cluster --url https://eu2-cloud.acronis.com\n\n  \
    # What a manifest changes in the cluster of the current context\n  \
    kubectl-tenantpricing plan -f acme.yaml\n\n  \
    # The part that needs neither cluster nor platform, for pull requests from forks\n  \
    kubectl-tenantpricing plan -f tenants/ --no-cluster --offline\n\n\
    EXIT CODES:\n  \
    0  nothing changes\n  1  an error: something could not be read\n  2  something changes\n  \
    3  something is refused\n  4  a policy of --fail-on applies")]
pub(crate) struct PlanArguments {
    /// Manifests: a file, a folder, or - for standard input. It can be given several times.
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    files: Vec<PathBuf>,

    /// Read the folders inside a folder, too.
    #[arg(short = 'R', long)]
    recursive: bool,

    /// Compare with these manifests instead of the cluster: a folder or file, or a revision of git such as origin/main.
    /// REV:PATH names the path at that revision.
    #[arg(long, value_name = "DIR|REV[:PATH]")]
    base: Option<String>,

    /// Do not read a cluster. Without --base, every object then counts as new.
    #[arg(long)]
    no_cluster: bool,

    /// The namespace of the controller, whose settings say which objects it watches. Default: all namespaces are
    /// searched.
    #[arg(long, value_name = "NAME")]
    controller_namespace: Option<String>,

    /// What checks the manifests: this program, or the API server. The API server is asked to store each manifest as a
    /// dry run, which stores nothing and needs the rights to write. It also applies policies and webhooks.
    #[arg(long, value_name = "BY", default_value = "local")]
    validate: Validation,

    /// Do not read the platform. The plan then says what it cannot know.
    #[arg(long)]
    offline: bool,

    #[command(flatten)]
    platform: PlatformArguments,

    /// The format: a table, JSON, the comment of a pull request, or annotations of GitHub Actions.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,

    /// Exit with 4 if one of these applies: immediate-switch, any-switch, unknown, or switches>N. What is not known
    /// counts as the switch that it may be.
    #[arg(long, value_name = "POLICY", value_delimiter = ',')]
    fail_on: Vec<Policy>,

    /// The time to plan for, in RFC 3339. Default: now.
    #[arg(long, value_name = "INSTANT")]
    now: Option<Timestamp>,
}

/// The formats of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for a terminal.
    Table,
    /// JSON, by the schema `tenantpricing.io/plan/v1`.
    Json,
    /// Markdown for the comment of a pull request.
    Markdown,
    /// Annotations of GitHub Actions.
    Github,
}

/// What makes `plan` end with exit code 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    ImmediateSwitch,
    AnySwitch,
    Unknown,
    MoreSwitchesThan(usize),
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "immediate-switch" => Ok(Self::ImmediateSwitch),
            "any-switch" => Ok(Self::AnySwitch),
            "unknown" => Ok(Self::Unknown),
            _ => text
                .strip_prefix("switches>")
                .and_then(|number| number.parse().ok())
                .map(Self::MoreSwitchesThan)
                .ok_or_else(|| "write immediate-switch, any-switch, unknown, or switches>5".to_owned()),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImmediateSwitch => formatter.write_str("immediate-switch"),
            Self::AnySwitch => formatter.write_str("any-switch"),
            Self::Unknown => formatter.write_str("unknown"),
            Self::MoreSwitchesThan(count) => write!(formatter, "switches>{count}"),
        }
    }
}

impl Policy {
    /// Whether the policy applies. What is not known counts as the switch that it may be.
    fn applies(self, plan: &Plan) -> bool {
        match self {
            Self::ImmediateSwitch => plan.objects.iter().any(|entry| entry.may_switch_now(plan.now)),
            Self::AnySwitch => plan.objects.iter().any(Entry::may_switch),
            Self::Unknown => plan.summary.unknown > 0,
            Self::MoreSwitchesThan(limit) => {
                plan.objects.iter().filter(|entry| entry.may_switch()).count() > limit
            }
        }
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// A flag has an invalid value.
    #[error(transparent)]
    Flag(#[from] InvalidFlag),
    /// The credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] Unavailable),
    /// The base cannot be read.
    #[error("--base {0}")]
    Base(String),
    /// There is no API server to validate.
    #[error("--validate=server asks the API server, and --no-cluster forbids that: give only one of them")]
    NoServer,
    /// The cluster does not answer.
    #[error("{0}. To plan without a cluster, give --no-cluster")]
    Cluster(String),
    /// The plan cannot be written in this format.
    #[error(transparent)]
    Format(#[from] FormatError),
}

impl PlanArguments {
    /// Makes the plan and prints it.
    ///
    /// # Errors
    /// There is no plan, because the input, the cluster or a flag cannot be used. What concerns only a part of the
    /// objects is in the plan instead.
    pub(crate) async fn execute(self, cluster: &ClusterArguments) -> Result<Exit, CommandError> {
        let plan = self.plan(cluster).await?;
        let text = match self.output {
            Format::Table => formats::for_terminal(&plan),
            Format::Json => output::json(&plan).map_err(PlanError::Format)?,
            Format::Markdown => formats::as_markdown(&plan),
            Format::Github => formats::as_annotations(&plan),
        };
        output::write(&text)?;
        let is_guess = |entry: &Entry| entry.outcome == Outcome::Unknown && entry.may_switch();
        let why =
            if plan.objects.iter().any(is_guess) { " What is not known counts as a switch." } else { "" };
        for policy in self.fail_on.iter().filter(|policy| policy.applies(&plan)) {
            output::note(&format!("--fail-on {policy} applies: {}{why}", summary::line(&plan)));
        }
        Ok(self.exit(&plan))
    }

    fn exit(&self, plan: &Plan) -> Exit {
        if plan.notes.iter().any(|note| note.is_error) {
            Exit::Error
        } else if plan.has_refusals() {
            Exit::Refused
        } else if self.fail_on.iter().any(|policy| policy.applies(plan)) {
            Exit::Policy
        } else if plan.has_changes() {
            Exit::Changes
        } else {
            Exit::Success
        }
    }

    async fn plan(&self, cluster: &ClusterArguments) -> Result<Plan, CommandError> {
        let now = self.now.unwrap_or_else(|| Clock::system().now());
        let given = self.given_platform()?;
        let writes = match self.validate {
            Validation::Local => Writes::Nothing,
            Validation::Server if self.no_cluster => return Err(PlanError::NoServer.into()),
            Validation::Server => Writes::Validations,
        };
        let stored = if self.no_cluster { None } else { Some(cluster.find_for(writes).await?) };
        let namespace = match (&stored, &cluster.namespace) {
            (Some(cluster), _) => Some(cluster.namespace.clone()),
            (None, namespace) => namespace.clone(),
        };
        let mut notes = Vec::new();
        let mut input = input::read(&self.files, self.recursive, namespace.clone(), &mut notes);
        notes.extend(cluster.namespace.as_deref().and_then(|namespace| input.in_other_namespaces(namespace)));
        let mut base = match &self.base {
            Some(base) => Some(input::base::read(base, &self.files, self.recursive, namespace, &mut notes)?),
            None => None,
        };
        let state = match &stored {
            Some(cluster) => {
                stored::read(cluster, &input, base.as_ref()).await.map_err(PlanError::Cluster)?
            }
            None => stored::State::default(),
        };
        input.settle(&state, self.validate, &mut notes);
        if let (Some(cluster), Validation::Server) = (&stored, self.validate) {
            server::check(cluster, &mut input, &state, &mut notes).await;
        }
        notes.extend(state.elsewhere.clone().map(Note::remark));
        if let Some(base) = &mut base {
            // The base is merged already, so a fault in it is no error of this change.
            let mut own = Vec::new();
            base.settle(&state, Validation::Local, &mut own);
            let faults = own.into_iter().filter(|note: &Note| note.is_error);
            notes.extend(faults.map(|note| Note { is_error: false, ..note }));
        }
        let compared_with = match (&base, &stored) {
            (Some(_), _) => ComparedWith::Base,
            (None, Some(_)) => ComparedWith::Cluster,
            (None, None) => ComparedWith::Nothing,
        };
        let mut knowledge = self.knowledge(&input, base.as_ref(), &state);
        notes.extend(state.unread.notes(&knowledge.changes));
        let mut watch = Ok(watch::Watch::default());
        if let Some(cluster) = &stored {
            watch = watch::read(cluster, self.controller_namespace.as_deref()).await;
        }
        let mut subjects = input::subjects(&mut input, base.as_ref(), &state, &mut notes);
        let links = [&knowledge.before, &knowledge.after];
        subjects.extend(connections::bystanders(&subjects, &state, &knowledge.changes, links));
        let others = state.others(&subjects);
        platforms::resolve(&state, &subjects, &others, given.as_ref(), &mut knowledge, &mut notes);
        if !self.offline {
            let allowed = self.platform.allowed_hosts().map_err(PlanError::from)?;
            platforms::read(&input, &state, &subjects, given.as_ref(), &allowed, &mut knowledge, &mut notes)
                .await;
        }
        if self.now.is_some() {
            knowledge.set_platform_clocks(now);
        }
        let unwatched = watch.map(|watch| knowledge.watch = watch).err();
        let objects = outcome::entries(&subjects, &others, &knowledge, now, Instant::now());
        let mut summary = document::Summary::default();
        if compared_with != ComparedWith::Nothing {
            summary.connections = knowledge.changes.len();
            notes.extend(connections::notes(&knowledge.changes, &input));
        }
        notes.extend(doubts(&objects, stored.is_some(), unwatched.as_deref()));
        notes.extend(relabelled(&subjects).filter(|_| stored.is_none()));
        let plan = Plan {
            schema: document::SCHEMA.to_owned(),
            now,
            compared_with,
            platform_read: !self.offline,
            summary,
            objects,
            notes,
        };
        Ok(plan.complete())
    }

    /// What is known without the platform: the connections before and after.
    fn knowledge(&self, input: &Input, base: Option<&Input>, state: &stored::State) -> Knowledge {
        let before = connections::before(base, state);
        let after = connections::after(input, base, state);
        let secret = |connection: &PlatformConnection| SecretChange::of(connection, input, base);
        let mut changes = connections::compare(&before, &after, secret);
        for (key, change) in changes.iter_mut().filter(|(key, _)| !before.contains_key(key)) {
            if let Some(why) = state.unread.connection(key) {
                *change = connections::ConnectionChange::unknown(&why);
            }
        }
        let links = |connections| Links { connections, ..Links::default() };
        let (before, after) = (links(before), links(after));
        Knowledge { before, after, changes, is_offline: self.offline, ..Knowledge::default() }
    }

    /// The platform that `--url` names, with the credentials for it.
    fn given_platform(&self) -> Result<Option<platforms::Given>, PlanError> {
        let Some(origin) = self.platform.origin()? else { return Ok(None) };
        let credentials = if self.offline { None } else { self.platform.credentials_for(&origin)? };
        Ok(Some(platforms::Given { origin, credentials }))
    }
}

/// What the plan does not know about budgets and controllers. `is_past_known`: the cluster says which switches were
/// made. `unwatched`: why it is not known which objects a controller watches.
fn doubts(objects: &[Entry], is_past_known: bool, unwatched: Option<&str>) -> Vec<Note> {
    let is_switch = |entry: &Entry| matches!(entry.outcome, Outcome::SwitchNow | Outcome::SwitchLater);
    let is_held_back = |entry: &Entry| entry.reason == ReconcilingReason::SwitchBudgetExhausted.as_str();
    let is_changed = |entry: &Entry| entry.change != Change::None;
    let mut doubts = Vec::new();
    if !is_past_known && objects.iter().any(is_switch) {
        doubts.push(
            "Without a cluster, the switches of the past are not known: budgets count as unused.".to_owned(),
        );
    }
    if objects.iter().any(is_held_back) {
        doubts.push(
            "A budget has no room for all switches that are due at once. The plan takes them by name; the controller takes \
             them in the order in which it reads them."
                .to_owned(),
        );
    }
    if let Some(why) = unwatched.filter(|_| objects.iter().any(is_changed)) {
        doubts.push(format!("Whether a controller watches the objects is not known: {why}."));
    }
    doubts.into_iter().map(Note::remark).collect()
}

/// The objects whose labels change. A controller may begin or cease to watch them, and without a cluster that is not
/// known.
fn relabelled(subjects: &[Subject]) -> Option<Note> {
    let labels = |object: &TenantPricing| object.metadata.labels.clone().unwrap_or_default();
    let is_relabelled = |subject: &&Subject| {
        let versions = subject.before.as_ref().zip(subject.after.as_ref());
        versions.is_some_and(|(before, after)| labels(before) != labels(after))
    };
    let count = subjects.iter().filter(is_relabelled).count();
    let message = format!(
        "The labels of {count} objects change. A controller with --watch-label-selector may begin or cease to watch them. \
         Only a plan with the cluster shows that."
    );
    (count > 0).then(|| Note::remark(message))
}
