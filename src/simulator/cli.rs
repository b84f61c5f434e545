//! The command line of the `platform-simulator`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Parser;
use jiff::{SignedDuration, Timestamp};

use crate::simulator::{
    handle::{Simulator, SimulatorOptions},
    state::{
        tenant::TenantSpec,
        tenants_file::{Customers, TenantsFile},
    },
};

/// Simulates the platform: the account management calls that a pricing controller makes, with a movable clock and
/// injectable faults. `GET /simulator` shows how to control it.
#[derive(Clone, Debug, Parser)]
#[command(name = "platform-simulator", version)]
pub struct Arguments {
    /// Address to listen on; port 0 selects a free port.
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDRESS")]
    pub listen: SocketAddr,

    /// YAML or JSON file with the tenants that exist at the start.
    #[arg(long, value_name = "FILE")]
    pub tenants: Option<PathBuf>,

    /// Number of customers to add, named customer-00001 and so on, with the same ids at every start.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub customers: usize,

    /// Time added to every call, such as 20ms.
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = latency)]
    pub latency: Duration,

    /// Time of the platform's clock at the start, such as 2026-11-30T23:55:00Z; it continues from there.
    #[arg(long, value_name = "INSTANT")]
    pub clock: Option<Timestamp>,

    /// Id of the API client, a UUID. Default: random.
    #[arg(long, value_name = "UUID")]
    pub client_id: Option<String>,

    /// Secret of the API client. Default: random.
    #[arg(long, value_name = "SECRET")]
    pub client_secret: Option<String>,

    /// File to write the URL to when the simulator is ready. It is removed at the end.
    #[arg(long, value_name = "FILE")]
    pub port_file: Option<PathBuf>,
}

fn latency(text: &str) -> Result<Duration, String> {
    let parsed: Result<SignedDuration, _> = text.parse();
    let latency = parsed.map_err(|_| "not a duration; write it as 20ms or 1.5s".to_owned())?;
    Duration::try_from(latency).map_err(|_| "a latency cannot be negative".to_owned())
}

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The tenants file cannot be read.
    #[error("--tenants {file}: {source}; give a file that exists and can be read", file = .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The tenants file is malformed.
    #[error("--tenants {file}: {text}", file = .file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The problem.
        text: String,
    },
    /// Too many customers are asked for.
    #[error("--customers {0}: more than {most} are too many", most = Customers::MAX)]
    TooMany(usize),
    /// The address cannot be listened on.
    #[error("--listen {listen}: {source}; give an address of this machine, with port 0 for a free one")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The client id is not a UUID.
    #[error("--client-id {0:?}: not a UUID in lower-case letters; leave it out for a random one")]
    ClientId(String),
    /// The port file cannot be written.
    #[error("--port-file {file}: {source}", file = .file.display())]
    PortFile {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Arguments {
    /// Starts the simulator that the arguments describe, with its tenants in place.
    ///
    /// # Errors
    /// Names the argument, its value and what to do about it.
    pub async fn start(self) -> Result<Simulator, StartError> {
        if self.customers > Customers::MAX {
            return Err(StartError::TooMany(self.customers));
        }
        if let Some(id) =
            self.client_id.as_ref().filter(|id| !crate::simulator::state::tenant_store::is_id(id))
        {
            return Err(StartError::ClientId(id.clone()));
        }
        let specs = self.tenants.as_deref().map(read_tenants).transpose()?.unwrap_or_default();
        let options = SimulatorOptions {
            listen: self.listen,
            latency: self.latency,
            clock: self.clock,
            client_id: self.client_id,
            client_secret: self.client_secret,
        };
        let listen = self.listen;
        let started = Simulator::start(options).await;
        let simulator = started.map_err(|source| StartError::Listen { listen, source })?;

        if let Err((place, error)) = simulator.try_add_tenants(specs) {
            let file = self.tenants.unwrap_or_default();
            return Err(StartError::Malformed { file, text: format!("tenants[{place}]: {error}") });
        }
        let numbered = (1..=self.customers).map(numbered_customer).collect();
        if let Err((_, error)) = simulator.try_add_tenants(numbered) {
            let file = self.tenants.unwrap_or_default();
            return Err(StartError::Malformed { file, text: format!("beside --customers: {error}") });
        }
        if let Some(file) = self.port_file {
            let written = std::fs::write(&file, simulator.url() + "\n");
            written.map_err(|source| StartError::PortFile { file, source })?;
        }
        Ok(simulator)
    }
}

fn read_tenants(file: &Path) -> Result<Vec<TenantSpec>, StartError> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| StartError::Unreadable { file: file.to_owned(), source })?;
    let parsed = TenantsFile::parse(&text);
    parsed.map(TenantsFile::specs).map_err(|text| StartError::Malformed { file: file.to_owned(), text })
}

/// A customer whose id contains its number, so that manifests with that id survive a restart.
fn numbered_customer(number: usize) -> TenantSpec {
    TenantSpec::customer(format!("customer-{number:05}")).id(format!("00000000-0000-4000-8000-{number:012}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, String> {
        let listens = arguments.iter().any(|argument| argument.starts_with("--listen"));
        let listen = if listens { &[][..] } else { &["--listen=127.0.0.1:0"] };
        let all = ["platform-simulator"].iter().chain(listen).chain(arguments);
        Arguments::try_parse_from(all).map_err(|error| error.to_string())
    }

    async fn start_error(arguments: &[&str]) -> String {
        match parse(arguments).unwrap().start().await {
            Ok(_) => panic!("{arguments:?} started"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn the_arguments_become_a_platform() {
        let folder = tempfile::tempdir().unwrap();
        let tenants = folder.path().join("tenants.yaml");
        std::fs::write(&tenants, "tenants: [{name: Acme}]").unwrap();
        let port_file = folder.path().join("url");
        let arguments = parse(&[
            "--tenants",
            tenants.to_str().unwrap(),
            "--customers=2",
            "--clock=2026-11-30T23:55:00Z",
            "--latency=5ms",
            "--client-secret=hush",
            "--port-file",
            port_file.to_str().unwrap(),
        ]);
        let simulator = arguments.unwrap().start().await.unwrap();
        let names: Vec<String> = simulator.customers().into_iter().map(|tenant| tenant.name).collect();
        assert_eq!(names, ["Acme", "customer-00001", "customer-00002"]);
        assert!(simulator.tenant("00000000-0000-4000-8000-000000000002").is_some());
        assert_eq!(simulator.client_secret(), "hush");
        assert!(simulator.now().to_string().starts_with("2026-11-30T23:5"));
        assert_eq!(std::fs::read_to_string(port_file).unwrap().trim(), simulator.url());
    }

    #[test]
    fn bad_values_are_refused_with_the_argument_and_the_value() {
        for (arguments, parts) in [
            (["--latency=soon"], ["--latency", "soon", "20ms"]),
            (["--latency=-5ms"], ["--latency", "-5ms", "negative"]),
            (["--clock=tomorrow"], ["--clock", "tomorrow", "INSTANT"]),
            (["--listen=here"], ["--listen", "here", "ADDRESS"]),
            (["--customers=many"], ["--customers", "many", "N"]),
        ] {
            let error = parse(&arguments).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{part:?} is missing: {error}");
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_start_says_why_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tenants.yaml");
        let path = file.to_str().unwrap();
        let missing = start_error(&["--tenants", path]).await;
        assert!(missing.contains(path) && missing.contains("--tenants"), "{missing}");

        std::fs::write(&file, "tenants: [{name: a}, {name: b, id: ABC}]").unwrap();
        let malformed = start_error(&["--tenants", path]).await;
        assert!(malformed.contains("tenants[1]") && malformed.contains("\"ABC\""), "{malformed}");

        let client = start_error(&["--client-id=me"]).await;
        assert!(client.contains("--client-id \"me\""), "{client}");

        let taken = Simulator::start(SimulatorOptions::default()).await.unwrap();
        let listen = start_error(&["--listen", &taken.address().to_string()]).await;
        assert!(listen.contains(&taken.address().to_string()) && listen.contains("port 0"), "{listen}");

        let many = start_error(&["--customers=1000001"]).await;
        assert!(many.contains("1000001"), "{many}");
    }
}
