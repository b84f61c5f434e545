//! The rules of both kinds in CEL: what the API server refuses before anything is stored.
//!
//! Numbers and texts that a person types are checked here rather than with `minimum` or `pattern`. A rule has a message
//! of its own; a `pattern` has none. Times and label selectors have a `pattern` as well, see `schema.rs`. The message
//! names the mistake and the remedy. The rules are written so that one mistake violates one rule. If a value may be
//! secret or long, the reason is `FieldValueForbidden`, so that the server does not repeat the value.
//!
//! The command line evaluates the rules too, with kube-cel. So a pattern must mean the same to RE2 and to the crate
//! `regex`. For example, a bracket is written as `\\[`, since `[[]` begins a class inside a class for `regex`.

use kube::core::{Reason, Rule};

fn invalid(rule: &str, message: &str) -> Rule {
    Rule::new(rule).message(message).reason(Reason::FieldValueInvalid)
}

fn forbidden(rule: &str, message: &str) -> Rule {
    Rule::new(rule).message(message).reason(Reason::FieldValueForbidden)
}

/// At the root of `TenantPricing`: `mode` cannot become `trial` once the tenant is past trial.
///
/// This is a transition rule, because only the edit is wrong. The platform may have switched the tenant of an object
/// that was created with `trial`. Such an object can still be labelled and suspended. Only the root sees
/// `oldSelf.status`, which is the stored status, whatever the request says.
pub(super) fn trial_is_not_asked_for_again() -> Rule {
    forbidden(
        "!(has(self.spec.mode) && self.spec.mode == 'trial') \
         || (has(oldSelf.spec.mode) && oldSelf.spec.mode == 'trial') \
         || !has(oldSelf.status) \
         || !((has(oldSelf.status.observed) && oldSelf.status.observed.mode in ['production', 'suspended']) \
         || (has(oldSelf.status.switch) && (oldSelf.status.switch.phase == 'Completed' \
         || (oldSelf.status.switch.phase == 'InFlight' && !has(oldSelf.spec.mode)))))",
        "mode cannot become trial: the tenant is past trial (see status.observed.mode and \
         status.switch.phase), and the platform has no way back from there. Keep mode: production, or leave \
         mode out to only observe the tenant",
    )
    .field_path(".spec.mode")
}

/// At the root of `TenantPricing`: `production` cannot be removed while the request may be on its way.
///
/// Together with the guarded journal write, this orders the two writers. Either the edit is stored first and the
/// journal write conflicts, or the journal is stored first and the edit is refused.
pub(super) fn production_stays_while_in_flight() -> Rule {
    forbidden(
        "!(has(oldSelf.spec.mode) && oldSelf.spec.mode == 'production') \
         || (has(self.spec.mode) && self.spec.mode == 'production') \
         || !(has(oldSelf.status) && has(oldSelf.status.switch) && oldSelf.status.switch.phase == 'InFlight')",
        "mode: production cannot be removed now: the switch is in flight (status.switch.phase is InFlight). \
         Keep mode: production until that phase has changed. If it says Completed, leave mode out to only \
         observe the tenant; if it says Scheduled, the same edit cancels the switch",
    )
    .field_path(".spec.mode")
}

/// On `tenant`: the tenant is named.
pub(super) fn tenant_is_named() -> Rule {
    Rule::new("has(self.id) || has(self.name)")
        .message("no tenant is named: give either id, the tenant's UUID, or name, its exact name")
        .reason(Reason::FieldValueRequired)
}

/// On `tenant`: the tenant is named only once, since two names might disagree.
pub(super) fn tenant_is_named_once() -> Rule {
    forbidden(
        "!(has(self.id) && has(self.name))",
        "both id and name are given, and they might disagree: keep one of them, best the id",
    )
}

/// On `tenant`: one object stands for one tenant for good. Ids are compared without case, as everywhere.
pub(super) fn tenant_is_immutable() -> Rule {
    forbidden(
        "(has(self.id) ? self.id.lowerAscii() : '') == (has(oldSelf.id) ? oldSelf.id.lowerAscii() : '') \
         && (has(self.name) ? self.name : '') == (has(oldSelf.name) ? oldSelf.name : '')",
        "tenant cannot be changed: one object stands for one tenant for good. Put the old tenant back, and \
         create an object of another name for the other one. (Deleting an object changes nothing on the \
         platform)",
    )
}

/// On the id of a tenant.
pub(super) fn is_uuid() -> Rule {
    invalid(
        "self.matches('^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$')",
        "not a tenant id: it must be a UUID, such as 0fcd4a69-8a40-4de8-b711-d9c83dc000f7. To name the \
         tenant by its name, use tenant.name",
    )
}

/// On the name of a tenant.
pub(super) fn name_is_not_blank() -> Rule {
    invalid("self.trim() != ''", "the name is empty: give the tenant's exact name, or its UUID as tenant.id")
}

/// On the name of a tenant. The platform documents no limit. A tenant with a longer name can be given by its id.
///
/// The second part changes nothing for the API server, which counts characters. It is for kube-cel, which counts bytes.
pub(super) fn name_is_not_overlong() -> Rule {
    forbidden(
        "self.size() <= 255 || self.matches('^(?s:.{0,255})$')",
        "the name has more than 255 characters: give the tenant's exact name alone, or its UUID as tenant.id",
    )
}

/// On the name of a tenant: finds the line break that a YAML block (`name: |`) leaves at the end.
pub(super) fn name_is_one_line() -> Rule {
    invalid(
        r"!self.matches('[\\x00-\\x1f\\x7f]')",
        "the name contains a line break or another control character: write it on one line, in quotes (a \
         YAML block with | ends in a line break)",
    )
}

/// On `notBefore`: the years that every part of the system supports.
pub(super) fn instant_is_near() -> Rule {
    invalid(
        "self >= timestamp('2000-01-01T00:00:00Z') && self < timestamp('2200-01-01T00:00:00Z')",
        "must lie between the years 2000 and 2199, such as 2026-12-01T00:00:00Z. To hold the switch for \
         good, leave mode out, or set suspend: true",
    )
}

/// On the name of a `PlatformConnection` or a Secret.
pub(super) fn is_object_name() -> Rule {
    invalid(
        "self.size() <= 253 && self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
        "not the name of an object: it must consist of at most 253 lower-case letters, digits, '-' and '.', \
         and start and end with a letter or digit, such as eu2-client",
    )
}

/// On the name of a namespace.
pub(super) fn is_namespace_name() -> Rule {
    invalid(
        "self.size() <= 63 && self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "not the name of a namespace: it must consist of at most 63 lower-case letters, digits and '-', and \
         start and end with a letter or digit. For the object's own namespace leave it out",
    )
}

/// On the URL of a connection: the scheme. (A URL with user information violates only that rule.)
pub(super) fn url_has_scheme() -> Rule {
    invalid(
        "self.contains('@') || self.matches('^https?://')",
        "must start with https:// and name the data centre, such as https://eu2-cloud.acronis.com (http:// \
         only where the controller's --allowed-hosts names it so)",
    )
}

/// On the URL of a connection: no credentials. They would be stored in Git, and in every dump of the object.
pub(super) fn url_has_no_user_info() -> Rule {
    forbidden(
        "!self.contains('@')",
        "must not contain user information (user:password@): the credentials belong in the Secret that \
         credentialsSecretRef names. Remove everything up to the @, and renew a password that was \
         written here",
    )
}

/// On the URL of a connection: nothing after the host.
pub(super) fn url_has_no_path() -> Rule {
    invalid(
        "self.contains('@') || !self.matches('^https?://') || self.matches('^https?://[^/?#]*/?$')",
        "must end after the host and port: remove path, query and fragment, such as \
         https://eu2-cloud.acronis.com (the controller adds /api/2)",
    )
}

/// On the URL of a connection: a host and port that mean the same to every reader.
pub(super) fn url_has_plain_host() -> Rule {
    invalid(
        "self.contains('@') || !self.matches('^https?://') \
         || self.matches('^https?://(([0-9A-Za-z]([-0-9A-Za-z]*[0-9A-Za-z])?([.][0-9A-Za-z]([-0-9A-Za-z]*[0-9A-Za-z])?)*)\
         |(\\\\[[0-9A-Fa-f:.]+\\\\]))(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?([/?#].*)?$')",
        "must name a host, and may name a port from 1 to 65535, such as https://eu2-cloud.acronis.com or \
         https://localhost:8443: only letters, digits, '-' and '.' in the host (an international name in \
         its xn-- form), no blanks, no '.' at the end",
    )
}

/// On a duration: the syntax of Go durations, as far as the Gateway API accepts it.
pub(super) fn is_duration() -> Rule {
    invalid(
        "self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')",
        "not a duration: write whole numbers with the units h, m, s or ms, such as 30s, 10m or 1h30m",
    )
}

/// On `pollInterval`.
pub(super) fn poll_interval_is_sensible() -> Rule {
    invalid(
        "!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') \
         || (duration(self) >= duration('10s') && duration(self) <= duration('24h'))",
        "must be from 10s to 24h, such as 10m. To read no tenant at all, set suspend: true",
    )
}

/// On the window of a budget. The maximum is the longest month.
pub(super) fn window_is_sensible() -> Rule {
    invalid(
        "!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') \
         || (duration(self) >= duration('1m') && duration(self) <= duration('744h'))",
        "must be from 1m to 744h (31 days), such as 1h. To allow no switch at all, set budget.count: 0",
    )
}

/// On the rate of requests.
pub(super) fn rate_is_sensible() -> Rule {
    invalid(
        "self >= 1 && self <= 1000",
        "must be from 1 to 1000 requests per second, such as 10. To send nothing at all, set suspend: true",
    )
}

/// On the count of a budget. Zero is a freeze, and legitimate.
pub(super) fn count_is_sensible() -> Rule {
    invalid(
        "self >= 0 && self <= 1000000",
        "must be from 0 to 1000000 switches, such as 100. 0 allows no switch at all",
    )
}

/// On `allowedNamespaces`: `from: Selector` needs a selector.
pub(super) fn selector_is_given() -> Rule {
    Rule::new("self.from != 'Selector' || has(self.selector)")
        .message(
            "from: Selector needs a selector: add one, such as selector: {matchLabels: {billing: acronis}}, \
             or say from: Same or from: All",
        )
        .reason(Reason::FieldValueRequired)
        .field_path(".selector")
}

/// On `allowedNamespaces`: without `from: Selector`, a selector would be ignored silently.
pub(super) fn selector_is_used() -> Rule {
    forbidden(
        "self.from == 'Selector' || !has(self.selector)",
        "a selector counts only with from: Selector: set it, or remove the selector",
    )
    .field_path(".selector")
}

/// On `allowedNamespaces`: an empty selector matches every namespace, which is rarely intended.
pub(super) fn selector_selects() -> Rule {
    forbidden(
        "!has(self.selector) || (has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0) \
         || (has(self.selector.matchExpressions) && self.selector.matchExpressions.size() > 0)",
        "an empty selector would pick every namespace: add matchLabels or matchExpressions, or say from: All \
         without a selector",
    )
    .field_path(".selector")
}

/// On a connection's private certificate authority.
pub(super) fn is_certificate_bundle() -> Rule {
    forbidden(
        "self.contains('-----BEGIN CERTIFICATE-----')",
        "holds no certificate: it must be PEM text with at least one line -----BEGIN CERTIFICATE----- (the \
         text itself, not the name of a file, and not base64 once more)",
    )
}

/// On a connection's private certificate authority.
pub(super) fn bundle_has_no_private_key() -> Rule {
    forbidden(
        "!self.contains('PRIVATE KEY-----')",
        "contains a private key, which does not belong here: leave certificates only, and renew the key",
    )
}

#[cfg(test)]
mod tests;
