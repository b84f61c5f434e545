use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    run: RunArguments,
}

/// The settings of a command line without environment variables.
fn check(line: &[&str]) -> Result<Settings, InvalidSettings> {
    Settings::check(&Line::parse_from([&["run"], line].concat()).run)
}

/// The problems of an invalid command line.
fn refusal(line: &[&str]) -> String {
    check(line).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn all_invalid_settings_are_reported_at_once() {
    let said = refusal(&[
        "--log-level=warning",
        "--watch-namespaces=Platform,ok",
        "--lease-name=Tenant_Pricing",
        "--lease-namespace=a.b",
        "--log-format=xml",
        "--leader-elect=maybe",
        "--admin-address=8080",
        "--allowed-hosts=https://example.com/path",
    ]);
    assert!(said.starts_with("8 settings cannot be used\n"), "{said}");
    for words in [
        "--log-level (TENANT_PRICING_LOG_LEVEL): \"warning\"",
        "--watch-namespaces (TENANT_PRICING_WATCH_NAMESPACES): \"Platform\" cannot be the name of a namespace",
        "--lease-name (TENANT_PRICING_LEASE_NAME): \"Tenant_Pricing\"",
        "--lease-namespace (TENANT_PRICING_LEASE_NAMESPACE): \"a.b\"",
        "--log-format (TENANT_PRICING_LOG_FORMAT): \"xml\" cannot be used: write text or json",
        "--leader-elect (TENANT_PRICING_LEADER_ELECT): \"maybe\" cannot be used: write true or false",
        "--admin-address (TENANT_PRICING_ADMIN_ADDRESS): \"8080\"",
        "--allowed-hosts (TENANT_PRICING_ALLOWED_HOSTS)",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!refusal(&["--log-level=loud"]).contains('\n'), "one is one line");
}

#[test]
fn a_list_of_namespaces_is_trimmed_and_each_counts_once() {
    for (given, meant) in [
        ("default, platform", vec!["default", "platform"]),
        ("default,\n  platform\n", vec!["default", "platform"]),
        ("a,a, a ,b,", vec!["a", "b"]),
    ] {
        let settings = check(&[&format!("--watch-namespaces={given}")]).ok().unwrap();
        assert_eq!(settings.watch_namespaces, meant, "{given:?}");
    }
}

#[test]
fn a_namespace_that_can_be_none_is_refused_by_name() {
    for name in ["Platform", "a b", "-a", "a-", "a_b", "a.b", "ü", "a\nb", &"a".repeat(64)] {
        let said = refusal(&[&format!("--watch-namespaces=ok,{name}")]);
        assert!(
            said.contains(&format!("{name:?}")) && said.contains("--watch-namespaces"),
            "{name:?}: {said}"
        );
        assert!(refusal(&[&format!("--lease-namespace={name}")]).contains("--lease-namespace"), "{name:?}");
    }
    for empty in ["", " ", ",", " , "] {
        let said = refusal(&[&format!("--watch-namespaces={empty}")]);
        assert!(
            said.contains("--watch-namespaces") && said.contains("names no namespace"),
            "{empty:?}: {said}"
        );
    }
}

#[test]
fn the_name_of_a_lease_may_have_dots() {
    for name in ["a", "a.b-c.d", &"a".repeat(253), "0"] {
        assert_eq!(check(&["--lease-name", name]).ok().unwrap().lease_name, name);
    }
    for name in ["A", "a..b", ".a", "a.", "a_b", &"a".repeat(254), "a/b"] {
        assert!(refusal(&["--lease-name", name]).contains("--lease-name"), "{name}");
    }
}

#[test]
fn an_empty_flag_is_refused_and_an_empty_variable_is_unset() {
    for flag in [
        "allowed-hosts",
        "leader-elect",
        "lease-namespace",
        "lease-name",
        "admin-address",
        "log-format",
        "log-level",
    ] {
        assert!(refusal(&[&format!("--{flag}=")]).contains("it is empty"), "{flag}");
        assert!(refusal(&[&format!("--{flag}= ")]).contains("it is empty"), "{flag}");
        let mut run = Line::parse_from(["run", &format!("--{flag}=")]).run;
        run.assume_variables();
        assert!(Settings::check(&run).is_ok(), "{flag}");
    }
    let mut run = Line::parse_from(["run", "--lease-name=", "--lease-namespace=", "--log-level="]).run;
    run.assume_variables();
    let settings = Settings::check(&run).ok().unwrap();
    assert_eq!((settings.lease_namespace, settings.lease_name.as_str()), (None, LEASE_NAME));
    assert_eq!(settings.log_level, "info".parse().unwrap());
    let mut run = Line::parse_from(["run", "--watch-namespaces="]).run;
    run.assume_variables();
    assert_eq!(Settings::check(&run).ok().unwrap().watch_namespaces, Vec::<String>::new(), "all");
}

#[test]
fn a_url_with_a_password_is_never_shown() {
    for flag in ["platform-proxy=ftp", "allowed-hosts=https", "allowed-hosts=*.acronis.com,http"] {
        let said = refusal(&[&format!("--{flag}://user:PLACEHOLDER@host")]);
        let (flag, _) = flag.split_once('=').unwrap();
        assert!(said.contains(&format!("--{flag}")) && !said.contains("PLACEHOLDER"), "{said}");
    }
}
