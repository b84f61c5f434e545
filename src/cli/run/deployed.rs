//! The settings of a controller that runs elsewhere, from the container of its Deployment. The parser is that of `run`.

use clap::{Args, FromArgMatches};
use k8s_openapi::api::core::v1::Container;

use super::{RunArguments, settings::Settings};

/// The beginning of the names of the controller's variables.
const PREFIX: &str = "TENANT_PRICING_";

/// The variable of the one setting that may be secret. No check needs it.
const PROXY: &str = "TENANT_PRICING_PLATFORM_PROXY";

/// The settings of a container that runs the controller. The variables of this process do not count.
///
/// # Errors
/// The container runs something else, or this version does not know its flags. The error names no value of a variable.
pub(in crate::cli) fn settings(container: &Container) -> Result<Settings, String> {
    let words = container.command.iter().chain(&container.args).flatten();
    let mut line: Vec<String> = words.skip_while(|word| *word != "run").cloned().collect();
    if line.is_empty() {
        return Err("its command line does not have the command run".to_owned());
    }
    let command = RunArguments::augment_args(clap::Command::new("run"));
    let command = command.mut_args(|argument| argument.env(None::<&'static str>));
    for variable in container.env.iter().flatten() {
        let Some(rest) = variable.name.strip_prefix(PREFIX).filter(|_| variable.name != PROXY) else {
            continue;
        };
        let flag = format!("--{}", rest.to_ascii_lowercase().replace('_', "-"));
        let is_given = line.iter().any(|word| *word == flag || word.starts_with(&format!("{flag}=")));
        match variable.value.as_deref().map(str::trim) {
            _ if is_given => {}
            None if variable.value_from.is_some() => {
                return Err(format!("{} comes from another object, which is not read", variable.name));
            }
            None | Some("") => {}
            Some(value) => line.push(format!("{flag}={value}")),
        }
    }
    let matches = command.try_get_matches_from(line).map_err(|error| first_line(&error.to_string()))?;
    let arguments =
        RunArguments::from_arg_matches(&matches).map_err(|error| first_line(&error.to_string()))?;
    Settings::check(&arguments).map_err(|error| error.to_string())
}

/// The first line of clap's text, without its prefix.
fn first_line(error: &str) -> String {
    error.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(container: Value) -> Result<Settings, String> {
        let mut container = container;
        container["name"] = json!("controller");
        settings(&serde_json::from_value(container).unwrap())
    }

    #[test]
    fn flags_and_variables_are_read_as_the_controller_does() {
        let settings = read(json!({
            "args": ["run", "--allowed-hosts=eu.example.com", "--lease-name=mine", "--watch-namespaces=a,b"],
            "env": [
                {"name": "TENANT_PRICING_WATCH_LABEL_SELECTOR", "value": "shard=a"},
                {"name": "TENANT_PRICING_WATCH_NAMESPACES", "value": "ignored"},
                {"name": "TENANT_PRICING_LEADER_ELECT", "value": "false"},
                {"name": "TENANT_PRICING_PLATFORM_PROXY", "valueFrom": {"secretKeyRef": {"name": "p", "key": "k"}}},
                {"name": "OTHER", "value": "ignored"},
            ],
        }))
        .unwrap();
        assert_eq!(settings.allowed_hosts.to_string(), "eu.example.com");
        assert_eq!(settings.watch_namespaces, ["a", "b"]);
        assert_eq!(settings.watch_label_selector.as_deref(), Some("shard=a"));
        assert_eq!((settings.leader_elect, settings.lease_name.as_str()), (false, "mine"));
    }

    #[test]
    fn a_container_with_no_flags_has_the_defaults() {
        let settings = read(json!({"command": ["/tenant-pricing-controller"], "args": ["run"]})).unwrap();
        assert_eq!(settings.allowed_hosts.to_string(), "*.acronis.com");
        assert!(settings.leader_elect && settings.watch_namespaces.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_named_without_a_value() {
        for (container, expected) in [
            (json!({"args": ["crds"]}), "does not have the command run"),
            (json!({"args": ["run", "--new-flag"]}), "unexpected argument '--new-flag'"),
            (
                json!({"args": ["run"], "env": [{"name": "TENANT_PRICING_LEASE_NAME", "valueFrom": {}}]}),
                "TENANT_PRICING_LEASE_NAME comes from another object",
            ),
            (json!({"args": ["run", "--lease-name=No Name"]}), "--lease-name"),
        ] {
            let error = read(container.clone()).err().unwrap_or_else(|| panic!("{container}"));
            assert!(error.contains(expected) && !error.contains('\n'), "{container}: {error}");
        }
    }
}
