//! The least that anything of the kind can take on this machine: what a controller must do in any case, done
//! bare, as the same kind of service account, with the same client.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tenant_pricing_controller::clock::Clock;

use crate::{
    Measured,
    api_server::{self, APPLY, MERGE},
    fleet::Fleet,
    manifests,
    measurements::Samples,
    platform,
};

/// How often the whole list is fetched.
const LISTS: usize = 3;

/// How often the steps of a switch are taken.
const SWITCHES: usize = 50;

/// How a status is patched.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Kind {
    /// Server-side apply.
    #[default]
    Apply,
    /// A merge patch.
    Merge,
}

impl Kind {
    fn content_type(self) -> &'static str {
        match self {
            Self::Apply => APPLY,
            Self::Merge => MERGE,
        }
    }

    /// The path by which the status of that object is patched.
    fn path(self, name: &str) -> String {
        let force = if matches!(self, Self::Apply) { "&force=true" } else { "" };
        format!("{}/status?fieldManager=tenant-pricing-controller{force}", manifests::path(name))
    }
}

/// The floors of one run.
#[derive(Clone, Debug)]
pub struct Floors {
    /// N status patches, 16 at a time.
    pub patches: Duration,
    /// One list of N objects, the median of three.
    pub list: Duration,
    /// Two round trips to the platform and one status patch, one after another.
    pub switch: Samples,
    /// How large a status was that was written, in bytes of JSON.
    pub status_size: usize,
}

/// Measures the floors on a fleet of its own, which is gone afterwards.
pub async fn measure(fleet: &Fleet, kind: Kind) -> Measured<Floors> {
    fleet.create_fleet().await?;
    let objects = fleet.admin().list(manifests::FLEET).await?;
    let now = Clock::system().now();
    let patch = |object: &Value, now: Timestamp| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let number = name.rsplit_once('-').and_then(|(_, number)| number.parse().ok()).unwrap_or_default();
        // A trial ends some weeks from now.
        let body = manifests::status_patch(object, number, now, now + SignedDuration::from_hours(24 * 40));
        (kind.path(name), body)
    };
    let bodies: Vec<(String, Value)> = objects.iter().map(|object| patch(object, now)).collect();
    let status_size = bodies.first().map_or(0, |(_, body)| body["status"].to_string().len());
    let write = |(path, body): (String, Value)| async move {
        fleet.accounts.floor.patch(&path, kind.content_type(), serde_json::to_vec(&body)?).await
    };
    let started = Instant::now();
    api_server::all(bodies.into_iter().map(write)).await?;
    let patches = started.elapsed();

    let mut lists = Vec::new();
    for _ in 0..LISTS {
        let started = Instant::now();
        fleet.accounts.floor.get(manifests::EVERYTHING).await?;
        lists.push(started.elapsed());
    }
    let first = objects.first().ok_or("there is no object")?;
    let switch = switches(fleet, kind, |now| patch(first, now)).await?;
    fleet.delete_fleet().await?;
    Ok(Floors { patches, list: Samples::new(lists).median(), switch, status_size })
}

/// The time of the steps of a switch up to its `PUT`: a read, the pre-write read, the journal.
async fn switches(
    fleet: &Fleet,
    kind: Kind,
    like: impl Fn(Timestamp) -> (String, Value),
) -> Measured<Samples> {
    let simulator = &fleet.platform.simulator;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let read = async || -> Measured<()> {
        let request = http.get(format!("{}/api/2/tenants/{}", simulator.url(), platform::id(1)));
        let request = request.basic_auth(simulator.client_id(), Some(simulator.client_secret()));
        request.send().await?.error_for_status()?.bytes().await?;
        Ok(())
    };
    let mut samples = Vec::new();
    for round in 0..SWITCHES {
        // Another instant each time: a patch that changes nothing is not stored.
        let now = Clock::system().now() + SignedDuration::from_secs(i64::try_from(round)?);
        let (path, mut body) = like(now);
        if let Some(metadata) = body["metadata"].as_object_mut() {
            metadata.remove("resourceVersion"); // it was another one before the last patch
        }
        let body = serde_json::to_vec(&body)?;
        let started = Instant::now();
        read().await?;
        read().await?;
        fleet.accounts.floor.patch(&path, kind.content_type(), body).await?;
        samples.push(started.elapsed());
    }
    // The first round makes the connections, which a controller at work has already.
    Ok(Samples::new(samples.split_off(1)))
}
