use super::*;
use crate::{
    api::{AllowedNamespaces, NamespacesFrom, SwitchAt, SwitchSpec},
    cli::plan::{document::Outcome, stored::applied},
    testing::fixtures::{NAME, NOW, OTHER_TENANT, Scene, connection, instant},
};

/// An observed tenant, as the cluster stores it.
fn observed() -> TenantPricing {
    Scene::new().desired(None).stored().object
}

/// The connection that [`Scene`] uses.
fn resolved() -> Resolved {
    let mut connection = connection(AllowedNamespaces { from: NamespacesFrom::Same, selector: None });
    connection.metadata.name = Some("default".to_owned());
    connection.metadata.namespace = Some("team".to_owned());
    Resolved { connection: Some(connection), access: Some(Scene::new().access) }
}

/// What happens if the object asks for production.
fn of(before: &TenantPricing, resolved: Resolved, others: &[TenantPricing], at: Option<SwitchAt>) -> Entry {
    let mut edited = before.clone();
    edited.spec.mode = Some(DesiredMode::Production);
    edited.spec.switch = at.map(|at| SwitchSpec { at: Some(at), not_before: None });
    let after = applied(Some(before), edited);
    let now = instant(NOW);
    let knowledge = knowledge(before, resolved, Links::default(), now);
    let subject = Subject { after: Some(after), is_given: true, ..Subject::bystander(before.clone()) };
    single(&subject, others, &knowledge, now, Instant::now())
}

#[tokio::test]
async fn an_observed_tenant_is_billed_for_the_month_of_its_switch() {
    let entry = of(&observed(), resolved(), &[], None);
    assert_eq!((entry.outcome, entry.billed_month.as_deref()), (Outcome::SwitchNow, Some("2026-11")));
    assert_eq!(entry.tenant.name.as_deref(), Some(NAME));
    let entry = of(&observed(), resolved(), &[], Some(SwitchAt::MonthStart));
    assert_eq!((entry.outcome, entry.billed_month.as_deref()), (Outcome::SwitchLater, Some("2026-12")));
}

#[tokio::test]
async fn a_tenant_that_was_not_read_is_billed_if_it_is_in_trial() {
    let entry = of(&Scene::new().desired(None).object, resolved(), &[], None);
    assert_eq!((entry.outcome, entry.billed_month.as_deref()), (Outcome::Unknown, Some("2026-11")));
    assert!(entry.message.contains("has not read the tenant yet"), "{}", entry.message);
    assert!(entry.message.contains("puts the whole of November 2026"), "{}", entry.message);
}

#[tokio::test]
async fn a_connection_that_is_missing_or_unreadable_is_named() {
    let missing = Resolved { connection: None, access: Some(Access::NotFound) };
    let entry = of(&observed(), missing, &[], None);
    assert_eq!((entry.outcome, entry.reason.as_str()), (Outcome::Refused, "ConnectionNotFound"));
    let unreadable = Resolved { connection: None, access: None };
    let entry = of(&observed(), unreadable, &[], None);
    assert_eq!(entry.outcome, Outcome::Unknown);
    assert!(entry.message.contains("team/default could not be read"), "{}", entry.message);
}

#[tokio::test]
async fn the_budget_and_older_objects_count() {
    let other = |name: &str, tenant: Option<&str>| {
        let scene = Scene::new().announced("attempt-2").mode("production").stored();
        let mut object = scene.object;
        object.metadata.name = Some(name.to_owned());
        object.metadata.uid = Some(format!("uid-of-{name}"));
        if let Some(tenant) = tenant {
            object.spec.tenant.id = Some(tenant.to_owned());
            object.status.as_mut().unwrap().tenant_id = Some(tenant.to_owned());
        }
        object
    };
    let mut full = resolved();
    full.connection.as_mut().unwrap().spec.switch.budget.count = 1;
    let entry = of(&observed(), full, &[other("bolt", Some(OTHER_TENANT))], None);
    assert_eq!((entry.outcome, entry.reason.as_str()), (Outcome::SwitchLater, "SwitchBudgetExhausted"));
    let entry = of(&observed(), resolved(), &[other("aaaa", None)], None);
    assert_eq!((entry.outcome, entry.reason.as_str()), (Outcome::Refused, "DuplicateTenant"));
}

#[tokio::test]
async fn forecasts_agree_only_on_the_same_bill() {
    let forecast = |at| Forecast { entry: of(&observed(), resolved(), &[], at), unknown: Vec::new() };
    assert!(forecast(None).agrees_with(&forecast(Some(SwitchAt::Immediately))));
    assert!(!forecast(None).agrees_with(&forecast(Some(SwitchAt::MonthStart))));
}
