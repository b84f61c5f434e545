//! The columns of `kubectl get`, with those of `-o wide` behind.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;

type Column = CustomResourceColumnDefinition;

/// The columns of a `TenantPricing`.
pub(super) fn of_tenant_pricing() -> Vec<Column> {
    vec![
        text("Tenant", ".status.observed.tenantName", "The tenant's name, as last seen on the platform."),
        text("Desired", ".spec.mode", "The mode that is asked for. Empty: the tenant is only observed."),
        text("Mode", ".status.observed.mode", "The mode the tenant has, as last seen on the platform."),
        ready("status", "True when all is done that is asked for by now."),
        ready("reason", "Why Ready is what it is, in one word."),
        age(),
        wide(text("Id", ".status.tenantId", "The tenant's id, pinned when the tenant was first found.")),
        wide(text("Scheduled", ".status.switch.scheduledFor", "The instant before which no switch is made.")),
        // A column cannot be conditional, so it says what it means in either case.
        wide(text(
            "Trial ends",
            ".status.observed.productionStartDate",
            "While Mode is trial: when the platform will switch the tenant by itself. Otherwise: when it was \
             switched.",
        )),
        wide(text(
            "Connection",
            ".spec.connectionRef.name",
            "The connection by which the tenant is reached.",
        )),
        wide(ready("message", "What happened, and what to do.")),
    ]
}

/// The columns of a `PlatformConnection`.
pub(super) fn of_platform_connection() -> Vec<Column> {
    vec![
        text("URL", ".spec.url", "The data centre."),
        ready("status", "True when the platform accepted the credentials."),
        ready("reason", "Why Ready is what it is, in one word."),
        age(),
        wide(text("Tenant", ".status.tenantId", "The id of the tenant the credentials act in.")),
        wide(number("Trial", ".status.tenants.trial", "How many tenants are in trial.")),
        wide(number("Production", ".status.tenants.production", "How many tenants are in production.")),
        wide(ready("message", "What happened, and what to do.")),
    ]
}

/// Instants are texts too: a column of type `date` shows an age, and nothing useful for what is to come.
fn text(name: &str, path: &str, description: &str) -> Column {
    column(name, "string", path, description)
}

fn number(name: &str, path: &str, description: &str) -> Column {
    column(name, "integer", path, description)
}

/// A field of the condition `Ready`; its status goes by the condition's own name.
fn ready(field: &str, description: &str) -> Column {
    let name = match field {
        "status" => "Ready",
        "reason" => "Reason",
        _ => "Message",
    };
    text(name, &format!(r#".status.conditions[?(@.type=="Ready")].{field}"#), description)
}

fn age() -> Column {
    column("Age", "date", ".metadata.creationTimestamp", "How long ago the object was created.")
}

fn column(name: &str, type_: &str, path: &str, description: &str) -> Column {
    Column {
        name: name.to_owned(),
        type_: type_.to_owned(),
        json_path: path.to_owned(),
        description: Some(description.to_owned()),
        ..Column::default()
    }
}

/// Shown with `-o wide` only.
fn wide(column: Column) -> Column {
    Column { priority: Some(1), ..column }
}
