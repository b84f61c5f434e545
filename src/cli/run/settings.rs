//! The settings of `run`, from flags and variables. They are checked as a whole, and all problems are reported at once.

use std::{fmt, net::SocketAddr};

use clap::ValueEnum;
use secrecy::ExposeSecret;

use super::arguments::{ADMIN_ADDRESS, ALLOWED_HOSTS, LEASE_NAME, RunArguments};
use crate::{
    platform::{AllowedHosts, ProxyUrl},
    telemetry::{LogFormat, LogLevel},
};

/// The checked settings of `run`.
pub(in crate::cli) struct Settings {
    pub allowed_hosts: AllowedHosts,
    pub platform_proxy: Option<ProxyUrl>,
    /// Empty means all namespaces.
    pub watch_namespaces: Vec<String>,
    pub watch_label_selector: Option<String>,
    pub leader_elect: bool,
    pub lease_namespace: Option<String>,
    pub lease_name: String,
    pub admin_address: SocketAddr,
    pub log_format: LogFormat,
    pub log_level: LogLevel,
}

/// A flag with an invalid value.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    /// The name of the flag, such as `log-level`.
    flag: &'static str,
    /// The problem, and how to correct it.
    sentence: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "--{} ({}): {}", self.flag, variable(self.flag), self.sentence)
    }
}

/// The environment variable of a flag.
fn variable(flag: &str) -> String {
    format!("TENANT_PRICING_{}", flag.to_ascii_uppercase().replace('-', "_"))
}

/// Invalid settings.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidSettings(Vec<Problem>);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = &self.0[..] {
            return problem.fmt(formatter);
        }
        write!(formatter, "{} settings cannot be used", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}

impl std::error::Error for InvalidSettings {}

/// Checks the flags one by one, and collects the problems.
struct Check<'a> {
    arguments: &'a RunArguments,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn refuse(&mut self, flag: &'static str, sentence: impl fmt::Display) {
        self.problems.push(Problem { flag, sentence: sentence.to_string() });
    }

    /// The trimmed value. An empty variable counts as unset.
    fn value(&mut self, flag: &'static str, given: &str, default: &str) -> Option<String> {
        let value = given.trim();
        if !value.is_empty() {
            return Some(value.to_owned());
        }
        if !self.arguments.is_from_variable(flag) {
            self.refuse(flag, "it is empty. Give it a value, or leave the flag out");
            return None;
        }
        Some(default.to_owned())
    }

    /// The trimmed value, parsed by `parse`.
    fn parsed<T, E: fmt::Display>(
        &mut self,
        flag: &'static str,
        given: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.value(flag, given, default)?;
        match parse(&value) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.refuse(flag, format_args!("{value:?} cannot be used: {error}"));
                None
            }
        }
    }

    fn namespaces(&mut self, given: &[String]) -> Vec<String> {
        const FLAG: &str = "watch-namespaces";
        let mut namespaces: Vec<String> = Vec::new();
        for name in given.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
            if let Err(error) = label(name) {
                self.refuse(FLAG, format_args!("{name:?} cannot be the name of a namespace: {error}"));
            } else if !namespaces.iter().any(|known| known == name) {
                namespaces.push(name.to_owned());
            }
        }
        // An empty list would watch all namespaces, which is the opposite of what a list means. An empty variable
        // counts as unset.
        let is_unset = given.is_empty() || (given.len() == 1 && self.arguments.is_from_variable(FLAG));
        if namespaces.is_empty() && !is_unset && given.iter().all(|name| name.trim().is_empty()) {
            self.refuse(FLAG, "the list names no namespace. Name one, or leave the flag out to watch all");
        }
        namespaces
    }
}

/// Checks the name of a namespace.
fn label(name: &str) -> Result<(), String> {
    let is_inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let is_outer = |letter: char| is_inner(letter) && letter != '-';
    if name.len() <= 63
        && name.starts_with(is_outer)
        && name.ends_with(is_outer)
        && name.chars().all(is_inner)
    {
        return Ok(());
    }
    Err("use at most 63 lower-case letters, digits and '-', with a letter or digit at both ends".to_owned())
}

/// Checks the name of a Lease.
fn subdomain(name: &str) -> Result<(), String> {
    // The parts of a subdomain are like names of namespaces, except for their length.
    let is_part = |part: &str| part.len() > 63 || label(part).is_ok();
    let is_letter =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
    if name.len() <= 253 && name.chars().all(is_letter) && name.split('.').all(is_part) {
        return Ok(());
    }
    Err("use at most 253 lower-case letters, digits, '-' and '.', with a letter or digit at both ends of each part"
        .to_owned())
}

fn boolean(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "write true or false")
}

fn log_format(text: &str) -> Result<LogFormat, &'static str> {
    LogFormat::from_str(text, true).map_err(|_| "write text or json")
}

/// Parses an IP address with its port.
fn admin_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| {
        "it is not an IP address with a port. Write 0.0.0.0:8080, [::]:8080 where there is only IPv6, or \
         127.0.0.1:8080 for this machine alone"
    })
}

impl Settings {
    /// Checks all flags.
    pub(super) fn check(arguments: &RunArguments) -> Result<Self, InvalidSettings> {
        let mut check = Check { arguments, problems: Vec::new() };
        let given = arguments;
        // This one and the next not with `parsed`, which shows the value: it may contain a password.
        let allowed_hosts =
            check.value("allowed-hosts", &given.allowed_hosts, ALLOWED_HOSTS).and_then(|list| {
                AllowedHosts::parse(&list).map_err(|error| check.refuse("allowed-hosts", error)).ok()
            });
        let proxy = given.platform_proxy.as_ref().map(|url| url.expose_secret().trim());
        let platform_proxy = match proxy.filter(|url| !url.is_empty()).map(ProxyUrl::parse).transpose() {
            Ok(proxy) => proxy,
            Err(error) => {
                check.refuse("platform-proxy", error);
                None
            }
        };
        let watch_namespaces = check.namespaces(&given.watch_namespaces);
        let selector = given.watch_label_selector.as_deref().map(str::trim);
        let leader_elect = check.parsed("leader-elect", &given.leader_elect, "true", boolean);
        let lease_namespace = given.lease_namespace.as_deref().and_then(|name| {
            let name = check.value("lease-namespace", name, "")?;
            if let Err(error) = label(&name)
                && !name.is_empty()
            {
                check.refuse(
                    "lease-namespace",
                    format_args!("{name:?} cannot be the name of a namespace: {error}"),
                );
            }
            Some(name).filter(|name| !name.is_empty())
        });
        let lease_name = check.parsed("lease-name", &given.lease_name, LEASE_NAME, |name| {
            subdomain(name).map(|()| name.to_owned())
        });
        let admin_address = check.parsed("admin-address", &given.admin_address, ADMIN_ADDRESS, admin_address);
        let log_format = check.parsed("log-format", &given.log_format, "text", log_format);
        let log_level = check.parsed("log-level", &given.log_level, "info", str::parse::<LogLevel>);
        match (allowed_hosts, leader_elect, lease_name, admin_address, log_format, log_level) {
            (
                Some(allowed_hosts),
                Some(leader_elect),
                Some(lease_name),
                Some(admin_address),
                Some(log_format),
                Some(log_level),
            ) if check.problems.is_empty() => Ok(Self {
                allowed_hosts,
                platform_proxy,
                watch_namespaces,
                watch_label_selector: selector.filter(|text| !text.is_empty()).map(str::to_owned),
                leader_elect,
                lease_namespace,
                lease_name,
                admin_address,
                log_format,
                log_level,
            }),
            _ => Err(InvalidSettings(check.problems)),
        }
    }
}

#[cfg(test)]
mod tests;
