//! An edit of a spec from the first read to the outcome: show, confirm, store, wait.

use jiff::Timestamp;

use super::{
    ConfirmArguments, DryRun, EditArguments, EditError,
    change::{Change, Difference, Field, patch},
    confirm,
    forecast::{Forecast, forecast},
    owner::owner,
    settled::{Settled, is_seen, settled},
    store::store,
    text,
    wait::{Awaited, End, Interrupt, Waited, wait},
};
use crate::{
    api::{DesiredMode, TenantPricing},
    cli::{
        cluster::{Cluster, ClusterArguments, object, writes::Writes},
        output::{self, escape, time},
        plan::{document::Outcome, stored::applied},
        plugin::exit::Exit,
        status::fleet::telling,
    },
    cluster::Key,
};

/// Why there is nothing to edit, or why it cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Everything is as asked. The sentence says so.
    NothingToDo(String),
    /// It cannot be done. The sentence says why, and what it means for the bill.
    Impossible(String),
}

/// What one command does to a spec.
pub(super) struct SpecEdit<'a> {
    /// The flags of the command.
    pub arguments: &'a EditArguments,
    /// The fields that it sets.
    pub change: Change,
    /// What prevents it, by the object as it is.
    pub obstacle: fn(&TenantPricing, Timestamp) -> Option<Obstacle>,
    /// How it is confirmed. `None`: it never lets a switch happen.
    pub confirmation: Option<ConfirmArguments>,
    /// What goes on after the person stops waiting, in a sentence.
    pub goes_on: &'static str,
}

/// An object that was read, with what the edit means for it.
struct Prepared {
    object: TenantPricing,
    after: TenantPricing,
    differences: Vec<Difference>,
    forecast: Forecast,
}

impl Prepared {
    /// Whether what was shown before still holds.
    fn confirms(&self, shown: &Self) -> bool {
        self.object.metadata.uid == shown.object.metadata.uid
            && self.object.spec == shown.object.spec
            && self.forecast.agrees_with(&shown.forecast)
    }
}

impl SpecEdit<'_> {
    /// Edits the object and prints the outcome.
    ///
    /// # Errors
    /// Nothing was edited, or the outcome is not known. The error says which.
    pub(super) async fn run(self, cluster: &ClusterArguments) -> Result<Exit, EditError> {
        // Boxed, since the future is large.
        Box::pin(self.carry_out(cluster)).await
    }

    async fn carry_out(&self, cluster: &ClusterArguments) -> Result<Exit, EditError> {
        let dry_run = self.arguments.dry_run.dry_run;
        let writes = match dry_run {
            DryRun::None => Writes::Edits,
            DryRun::Server => Writes::DryRuns,
            DryRun::Client => Writes::Nothing,
        };
        let cluster = cluster.find_for(writes).await?;
        let object = object::read(&cluster, &self.arguments.name).await.map_err(EditError::Unread)?;
        match (self.obstacle)(&object, time::now()) {
            Some(Obstacle::NothingToDo(why)) => return nothing_to_do(&object, &why),
            Some(Obstacle::Impossible(why)) => return Err(EditError::Impossible(why)),
            None if self.change.differences(&object.spec).is_empty() => {
                return nothing_to_do(&object, "the spec asks for this already");
            }
            None => {}
        }
        self.respect_owner(&object)?;
        let prepared = self.prepare(&cluster, object).await;
        output::notes(&text::summary(&prepared.object, &prepared.differences, &prepared.forecast));
        if dry_run == DryRun::Client {
            return printed(&prepared.object, "would be edited (client dry run)");
        }
        let prepared = self.confirmed(&cluster, prepared).await?;
        let mut interrupt = Interrupt::take_over()?;
        let stored = self.store_if_unchanged(&cluster, prepared).await?;
        if dry_run == DryRun::Server {
            return printed(&stored, "would be edited (server dry run)");
        }
        if self.arguments.wait.no_wait {
            return printed(&stored, "edited");
        }
        output::note(&format!(
            "{} is edited. Waiting for the controller.",
            escape::terminal(Key::of(&stored).as_str())
        ));
        self.follow(&cluster, &stored, &mut interrupt).await
    }

    /// Refuses to edit what a tool would put back.
    fn respect_owner(&self, object: &TenantPricing) -> Result<(), EditError> {
        let mut fields: Vec<Field> =
            self.change.differences(&object.spec).iter().map(|difference| difference.field).collect();
        if !matches!(fields.as_slice(), [Field::Suspend]) {
            fields.push(Field::Mode);
        }
        let Some(owner) = owner(object, &fields).map(|owner| owner.escaped()) else { return Ok(()) };
        if self.arguments.force {
            output::note(&format!(
                "note: this object belongs to {}, which may put back what Git says. {}.",
                owner.name, owner.way_out
            ));
            return Ok(());
        }
        let object = Key::of(object).to_string();
        Err(EditError::Owned { object, owner: owner.name, way_out: owner.way_out })
    }

    async fn prepare(&self, cluster: &Cluster, object: TenantPricing) -> Prepared {
        let mut edited = object.clone();
        edited.spec = self.change.applied_to(&object.spec);
        let after = applied(Some(&object), edited);
        let forecast = forecast(cluster, &object, &after, time::now()).await;
        let differences = self.change.differences(&object.spec);
        Prepared { object, after, differences, forecast }
    }

    /// Has the edit confirmed if it lets a switch happen. The object is read again after the question, since the answer
    /// may take long: what was shown must still hold.
    async fn confirmed(&self, cluster: &Cluster, shown: Prepared) -> Result<Prepared, EditError> {
        let Some(ConfirmArguments { yes }) = self.confirmation else { return Ok(shown) };
        let lets_a_switch_happen = shown.after.spec.mode == Some(DesiredMode::Production)
            && shown.forecast.entry.outcome != Outcome::NoSwitch;
        if yes || !lets_a_switch_happen || self.arguments.dry_run.dry_run != DryRun::None {
            return Ok(shown);
        }
        confirm::ask(&shown.forecast.entry.tenant)?;
        let object = object::read(cluster, &self.arguments.name).await.map_err(EditError::Unread)?;
        let present = self.prepare(cluster, object).await;
        if present.confirms(&shown) {
            Ok(present)
        } else {
            Err(EditError::Changed(Key::of(&shown.object).to_string()))
        }
    }

    /// Stores the edit. The controller may write the status at any time: that is no conflict while everything that was
    /// shown still holds.
    async fn store_if_unchanged(
        &self,
        cluster: &Cluster,
        shown: Prepared,
    ) -> Result<TenantPricing, EditError> {
        let conflict = match self.store(cluster, &shown).await {
            Err(conflict @ EditError::Conflict(_)) => conflict,
            answer => return answer,
        };
        let object = object::read(cluster, &self.arguments.name).await.map_err(EditError::Unread)?;
        let (before, after) = (&shown.object.metadata, &object.metadata);
        // Labels and annotations say who owns the object.
        if (&before.labels, &before.annotations) != (&after.labels, &after.annotations) {
            return Err(conflict);
        }
        let present = self.prepare(cluster, object).await;
        if present.confirms(&shown) { self.store(cluster, &present).await } else { Err(conflict) }
    }

    async fn store(&self, cluster: &Cluster, prepared: &Prepared) -> Result<TenantPricing, EditError> {
        let Prepared { object, differences, .. } = prepared;
        let patch = patch(differences, object.metadata.resource_version.as_deref());
        let key = Key::of(object);
        store(cluster, key.namespace(), key.name(), &patch, self.arguments.dry_run.dry_run).await
    }

    /// Waits for the outcome and prints it.
    async fn follow(
        &self,
        cluster: &Cluster,
        stored: &TenantPricing,
        interrupt: &mut Interrupt,
    ) -> Result<Exit, EditError> {
        let key = Key::of(stored);
        let generation = stored.metadata.generation;
        let api = kube::Api::namespaced(cluster.client.clone(), key.namespace());
        let awaited = Awaited { api, labels: None, keys: [key.clone()].into() };
        let is_settled =
            |object: &TenantPricing| object.metadata.generation >= generation && settled(object).is_some();
        let mut shown = String::new();
        let progress = |object: &TenantPricing| {
            let state = text::state(object);
            if object.metadata.generation >= generation && state != shown {
                output::note(&format!("{}: {state}", escape::terminal(key.as_str())));
                shown = state;
            }
        };
        let limit = self.arguments.wait.timeout;
        let waited = wait(awaited, limit, interrupt, is_settled, progress).await?;
        let Waited { end, mut settled, mut pending, .. } = waited;
        let name = escape::terminal(key.as_str());
        match (settled.remove(&key), pending.remove(&key), end) {
            (Some(object), ..) => print_outcome(&object),
            (None, Some(last), End::TimedOut) => {
                let hint = if last.as_ref().is_some_and(is_seen) {
                    ""
                } else {
                    " No controller has seen it yet. Find out why: kubectl-tenantpricing check"
                };
                Err(EditError::TimedOut(format!(
                    "{name} has no outcome after {} s{}. The edit is stored: {}{hint}",
                    limit.as_secs(),
                    last.map_or_else(String::new, |last| format!(", its state is {}", text::state(&last))),
                    self.goes_on,
                )))
            }
            (None, Some(_), _) => {
                output::note(&format!(
                    "You no longer wait, and the edit of {name} is stored: {} See: kubectl-tenantpricing status {}",
                    self.goes_on,
                    key.name()
                ));
                Ok(Exit::Interrupted)
            }
            (None, None, _) => Err(EditError::Deleted(key.to_string())),
        }
    }
}

/// Says that nothing is to be done, and how the object is doing.
fn nothing_to_do(object: &TenantPricing, why: &str) -> Result<Exit, EditError> {
    let reported = object.status.as_ref().and_then(|status| telling(&status.conditions));
    let message = reported.map_or_else(String::new, |(_, condition)| format!(" {}", condition.message));
    let text = format!("{}: nothing to do, {why}. {}.{message}\n", Key::of(object), text::state(object));
    output::write(&(escape::terminal(text.trim_end()) + "\n"))?;
    Ok(Exit::Success)
}

/// Prints what happened to an object, as kubectl does.
fn printed(object: &TenantPricing, what: &str) -> Result<Exit, EditError> {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    output::write(&format!("tenantpricing.tenantpricing.io/{} {what}\n", escape::terminal(name)))?;
    Ok(Exit::Success)
}

fn print_outcome(object: &TenantPricing) -> Result<Exit, EditError> {
    let Some((settled, condition)) = settled(object) else { return Ok(Exit::Success) };
    output::write(&text::outcome(object, settled, condition, time::now()))?;
    Ok(if settled == Settled::Stalled { Exit::Refused } else { Exit::Success })
}
