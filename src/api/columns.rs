//! The columns of `kubectl get`. Those of `-o wide` come last.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;

type Column = CustomResourceColumnDefinition;

/// The columns of a `TenantPricing`.
pub(super) fn of_tenant_pricing() -> Vec<Column> {
    vec![
        text(
            "Tenant",
            ".status.observed.tenantName",
            "The name of the tenant, as last read from the platform.",
        ),
        text("Desired", ".spec.mode", "The requested mode. Empty: the tenant is only observed."),
        text("Mode", ".status.observed.mode", "The mode of the tenant, as last read from the platform."),
        ready("status", "True when everything that is requested by now is done."),
        ready("reason", "The reason of the status of Ready, in one word."),
        age(),
        wide(text("Id", ".status.tenantId", "The id of the tenant, pinned when the tenant was first found.")),
        wide(text("Scheduled", ".status.switch.scheduledFor", "The time before which no switch is made.")),
        // A column cannot be conditional, so the description covers both cases.
        wide(text(
            "Trial ends",
            ".status.observed.productionStartDate",
            "While Mode is trial: when the platform will switch the tenant automatically. Otherwise: when it was \
             switched.",
        )),
        wide(text(
            "Connection",
            ".spec.connectionRef.name",
            "The connection through which the tenant is reached.",
        )),
        wide(ready("message", "What happened, and what to do.")),
    ]
}

/// The columns of a `PlatformConnection`.
pub(super) fn of_platform_connection() -> Vec<Column> {
    vec![
        text("URL", ".spec.url", "The data centre."),
        ready("status", "True when the platform accepted the credentials."),
        ready("reason", "The reason of the status of Ready, in one word."),
        age(),
        wide(text("Tenant", ".status.tenantId", "The id of the tenant in which the credentials act.")),
        wide(number("Trial", ".status.tenants.trial", "The number of tenants in trial.")),
        wide(number("Production", ".status.tenants.production", "The number of tenants in production.")),
        wide(ready("message", "What happened, and what to do.")),
    ]
}

/// A text column. Times are texts too: a column of type `date` shows an age, and nothing useful for a time to come.
fn text(name: &str, path: &str, description: &str) -> Column {
    column(name, "string", path, description)
}

fn number(name: &str, path: &str, description: &str) -> Column {
    column(name, "integer", path, description)
}

/// A field of the condition `Ready`. The column of its status has the name of the condition.
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

/// Marks a column that only `-o wide` shows.
fn wide(column: Column) -> Column {
    Column { priority: Some(1), ..column }
}
