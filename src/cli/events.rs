//! `events`: the events about TenantPricings, as `flux events` shows those of Flux. It writes nothing, anywhere.

pub(crate) mod record;
mod watch;

use std::{borrow::Cow, fmt::Write};

use clap::{Args, ValueEnum};
use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::ListParams};

use self::record::{EventView, Events, SCHEMA, in_order};
use super::{
    cluster::{
        Cluster, ClusterArguments,
        pages::{each, why_not_listed},
        scope::Scope,
    },
    output::{self, escape, table},
    plugin::{CommandError, exit::Exit},
};
use crate::{api::TenantPricing, cluster::Key};

/// The flags of `events`.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
    # What was reported about one object\n  \
    kubectl-tenantpricing events --for acme\n\n  \
    # Warnings of all namespaces, as they come\n  \
    kubectl-tenantpricing events -A --types Warning --watch")]
pub(crate) struct EventsArguments {
    /// Read all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Show only the events about this TenantPricing: acme or tp/acme.
    #[arg(long = "for", value_name = "NAME", value_parser = object_name)]
    about: Option<String>,

    /// Show only events of these types.
    #[arg(long, value_name = "TYPE", value_delimiter = ',', ignore_case = true)]
    types: Vec<Kind>,

    /// Go on, and show each event as it comes.
    #[arg(short, long)]
    watch: bool,

    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

/// The formats of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for a terminal.
    Table,
    /// JSON, by the schema `tenantpricing.io/events/v1`.
    Json,
}

/// The types of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Something that a person may want to know.
    #[value(name = "Normal")]
    Normal,
    /// Something that a person should read.
    #[value(name = "Warning")]
    Warning,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Which events are read.
struct Filter {
    scope: Scope,
    /// The name of the object that they are about.
    about: Option<String>,
    types: Vec<Kind>,
}

/// Why there are no events.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EventsError {
    /// The events cannot be read.
    #[error("{0}")]
    Unread(String),
    /// The events cannot be written in this format.
    #[error(transparent)]
    Format(#[from] output::FormatError),
    /// The output cannot be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The flags do not go together.
    #[error("--watch shows a table: leave out -o json")]
    NoWatch,
}

/// The name in `acme`, `tp/acme` or `TenantPricing/acme`.
fn object_name(text: &str) -> Result<String, String> {
    const KINDS: [&str; 4] = ["tp", "tenantpricing", "tenantpricings", "tenantpricing.tenantpricing.io"];
    let (kind, name) = text.split_once('/').unwrap_or(("tp", text));
    if KINDS.contains(&kind.to_ascii_lowercase().as_str())
        && !name.is_empty()
        && !name.contains([',', '=', '/'])
    {
        Ok(name.to_owned())
    } else {
        Err("write the name of a TenantPricing, such as acme or tp/acme".to_owned())
    }
}

impl Filter {
    /// The selector that the API server applies.
    fn selector(&self) -> String {
        let mut selector = "regarding.kind=TenantPricing".to_owned();
        if let Some(name) = &self.about {
            let _ = write!(selector, ",regarding.name={name}");
        }
        if let [only] = self.types.as_slice() {
            let _ = write!(selector, ",type={}", only.as_str());
        }
        selector
    }

    /// The sentence for an error of the API server.
    fn explain(&self, error: &kube::Error) -> EventsError {
        EventsError::Unread(format!("{}{}", why_not_listed::<Event>(error), self.scope.advice(error)))
    }
}

/// Reads the events about an object. Those of a deleted object of the same name are left out.
///
/// # Errors
/// The error of the API server.
pub(crate) async fn about(cluster: &Cluster, object: &TenantPricing) -> Result<Vec<EventView>, kube::Error> {
    let (key, uid) = (Key::of(object), object.metadata.uid.as_deref());
    let scope = Scope { namespace: Some(key.namespace().to_owned()), selector: None };
    let filter = Filter { scope, about: Some(key.name().to_owned()), types: Vec::new() };
    let mut events = list(&filter.scope.api(cluster), &filter).await?;
    events.retain(|event| is_about(event, uid));
    Ok(in_order(events))
}

/// Whether an event is about the object with this uid. One without a uid may be.
fn is_about(event: &Event, uid: Option<&str>) -> bool {
    let about = event.regarding.as_ref().and_then(|regarding| regarding.uid.as_deref());
    about.is_none_or(|about| about.is_empty() || uid.is_none_or(|uid| uid == about))
}

async fn list(api: &Api<Event>, filter: &Filter) -> Result<Vec<Event>, kube::Error> {
    let mut events = Vec::new();
    each(api, ListParams::default().fields(&filter.selector()), |event| events.push(event)).await?;
    Ok(events)
}

impl EventsArguments {
    /// Reads the events and prints them.
    ///
    /// # Errors
    /// The cluster cannot be read, or the output cannot be written.
    pub(crate) async fn execute(self, cluster: &ClusterArguments) -> Result<Exit, CommandError> {
        if self.watch && self.output == Format::Json {
            return Err(EventsError::NoWatch.into());
        }
        let cluster = cluster.find().await?;
        let namespace = (!self.all_namespaces).then(|| cluster.namespace.clone());
        let filter =
            Filter { scope: Scope { namespace, selector: None }, about: self.about, types: self.types };
        let api: Api<Event> = filter.scope.api(&cluster);
        if self.watch {
            watch::watch(&api, &filter).await?;
            return Ok(Exit::Success);
        }
        let events = in_order(list(&api, &filter).await.map_err(|error| filter.explain(&error))?);
        match self.output {
            Format::Table if events.is_empty() => {
                output::note("No events. The API server keeps them for an hour.");
            }
            Format::Table => output::write(&table::plain(&HEAD, events.iter().map(row)))?,
            Format::Json => {
                let events = Events { schema: SCHEMA.to_owned(), events };
                output::write(&output::json(&events).map_err(EventsError::Format)?)?;
            }
        }
        Ok(Exit::Success)
    }
}

/// The head of the table.
const HEAD: [&str; 5] = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"];

fn row(event: &EventView) -> Vec<Cow<'_, str>> {
    vec![
        event.at.to_string().into(),
        event.kind.as_str().into(),
        event.reason.as_str().into(),
        format!("{}/{}", event.namespace, event.name).into(),
        event.message.as_str().into(),
    ]
}

/// An event as one line, for a watch. The columns are as wide as is usual, so that they stand below each other.
fn line(event: &EventView) -> String {
    let cells = row(event);
    let cells: Vec<String> = cells.iter().map(|cell| escape::terminal(cell)).collect();
    let [at, kind, reason, object, message] = cells.as_slice() else { return String::new() };
    format!("{at:<20}  {kind:<7}  {reason:<23}  {object:<30}  {message}\n")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ObjectReference;

    use super::*;

    #[test]
    fn an_object_is_named_with_or_without_its_kind() {
        for text in ["acme", "tp/acme", "TenantPricing/acme", "tenantpricing.tenantpricing.io/acme"] {
            assert_eq!(object_name(text), Ok("acme".to_owned()), "{text}");
        }
        for text in ["", "tp/", "pconn/acme", "acme,type=Normal", "a/b/c"] {
            assert!(object_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn events_of_a_deleted_object_of_the_same_name_are_left_out() {
        let event = |uid: Option<&str>| Event {
            regarding: Some(ObjectReference { uid: uid.map(str::to_owned), ..ObjectReference::default() }),
            ..Event::default()
        };
        for (uid, is_shown) in [(Some("new"), true), (Some("old"), false), (Some(""), true), (None, true)] {
            assert_eq!(is_about(&event(uid), Some("new")), is_shown, "{uid:?}");
        }
        assert!(is_about(&Event::default(), Some("new")) && is_about(&event(Some("old")), None));
    }

    #[test]
    fn the_selector_names_object_and_type() {
        let filter = |about: Option<&str>, types: &[Kind]| {
            let filter =
                Filter { scope: Scope::default(), about: about.map(str::to_owned), types: types.to_vec() };
            filter.selector()
        };
        assert_eq!(filter(None, &[]), "regarding.kind=TenantPricing");
        assert_eq!(filter(None, &[Kind::Normal, Kind::Warning]), "regarding.kind=TenantPricing");
        let both = filter(Some("acme"), &[Kind::Warning]);
        assert_eq!(both, "regarding.kind=TenantPricing,regarding.name=acme,type=Warning");
    }
}
