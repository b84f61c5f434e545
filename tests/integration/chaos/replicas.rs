//! The replicas: real processes, each with a clock and with ways to the API server and the platform of its own.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    action::{Disruption, Which, Whose},
    environment::{ChaosEnvironment, PLATFORM, TEAMS},
    history::What,
};
use crate::harness::{ApiProxy, BINARY, Controller, ControllerOptions, Gateway, PATIENCE};

/// A replica may finish what it is at for 20 s after SIGTERM, and a busy machine takes its time.
const END_LIMIT: Duration = Duration::from_secs(30);

pub struct Replicas {
    all: Vec<Replica>,
    /// Every process there ever was.
    lives: Mutex<Vec<Life>>,
    next_life: AtomicUsize,
}

/// A place that a process stands in, and when that has ended the next.
pub struct Replica {
    pub proxy: ApiProxy,
    gateway: Gateway,
    options: ControllerOptions,
    current: Mutex<Option<usize>>,
    /// One disruption at a time.
    busy: tokio::sync::Mutex<()>,
}

/// One process.
#[derive(Clone)]
pub struct Life {
    pub number: usize,
    pub replica: usize,
    pub controller: Controller,
    pub log: PathBuf,
    /// What it was ended with.
    pub ended_with: Option<&'static str>,
}

impl Replicas {
    pub async fn start(environment: &ChaosEnvironment, number: usize) -> Self {
        let mut all = Vec::new();
        for place in 0..number {
            all.push(Replica::new(environment, place).await);
        }
        let replicas = Self { all, lives: Mutex::default(), next_life: AtomicUsize::new(0) };
        for place in 0..number {
            environment.clock_is_off(Whose::Replica(place), 0);
            replicas.begin(environment, place);
        }
        replicas.until_one_leads().await;
        replicas
    }

    async fn until_one_leads(&self) {
        let begun = Instant::now();
        let held = |replica: &Replica| {
            let noted = replica.proxy.noted();
            noted.iter().any(|write| write.answered.is_some_and(|(_, status)| status < 300))
        };
        while !self.all.iter().any(held) {
            assert!(begun.elapsed() < PATIENCE, "no replica takes the lease");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn lives(&self) -> Vec<Life> {
        self.lives.lock().unwrap().clone()
    }

    pub fn all(&self) -> &[Replica] {
        &self.all
    }

    /// The place of the replica that renewed the lease last; the first if none has.
    pub fn leader(&self) -> usize {
        let renewed = |place: &usize| {
            let noted = self.all[*place].proxy.noted();
            let renewals = noted.iter().filter(|write| write.attempt.is_none());
            renewals
                .filter(|write| write.answered.is_some_and(|(_, status)| status < 300))
                .map(|it| it.arrived)
                .max()
        };
        (0..self.all.len()).max_by_key(|place| (renewed(place), std::cmp::Reverse(*place))).unwrap_or(0)
    }

    pub fn place(&self, which: Which) -> usize {
        match which {
            Which::Leader => self.leader(),
            Which::Number(number) => number,
        }
    }

    fn begin(&self, environment: &ChaosEnvironment, place: usize) {
        let number = self.next_life.fetch_add(1, Ordering::Relaxed);
        let replica = &self.all[place];
        let log = environment.directory.join(format!("replica-{place}-life-{number:03}.log"));
        replica.proxy.set_life(number);
        let controller = Controller::start(&replica.options, &log);
        environment.history.say(format!("replica {place}: life {number} begins"));
        let life = Life { number, replica: place, controller, log, ended_with: None };
        self.lives.lock().unwrap().push(life);
        *replica.current.lock().unwrap() = Some(number);
    }

    fn current(&self, place: usize) -> Option<Life> {
        let number = (*self.all[place].current.lock().unwrap())?;
        self.lives.lock().unwrap().iter().find(|life| life.number == number).cloned()
    }

    fn ends_with(&self, number: usize, with: &'static str) {
        let mut lives = self.lives.lock().unwrap();
        if let Some(life) = lives.iter_mut().find(|life| life.number == number) {
            life.ended_with = Some(with);
        }
    }

    /// Causes a disruption, and ends when all is as it was. Returns whether it hit.
    pub async fn disrupt(
        &self,
        environment: &ChaosEnvironment,
        place: usize,
        disruption: Disruption,
    ) -> bool {
        let replica = &self.all[place];
        let _busy = replica.busy.lock().await;
        let Some(life) = self.current(place) else { return false };
        environment.history.say(format!("replica {place}, life {}: {disruption:?}", life.number));
        match disruption {
            Disruption::Kill { back_after } => {
                self.ends_with(life.number, "KILL");
                life.controller.kill().await;
                environment.pause(back_after).await;
                self.begin(environment, place);
            }
            Disruption::Terminate => {
                self.ends_with(life.number, "TERM");
                life.controller.terminate().await;
                if life.controller.wait(END_LIMIT).await.is_none() {
                    self.ends_with(life.number, "too late");
                    life.controller.kill().await;
                }
                self.begin(environment, place);
            }
            Disruption::Stop { lasts } => {
                let stopped = What::Stopped { life: life.number };
                environment.history.begin(stopped.clone());
                life.controller.signal("STOP").await;
                environment.pause(lasts).await;
                life.controller.signal("CONT").await;
                environment.history.end(&stopped);
            }
            Disruption::ApiAway { lasts } => {
                replica.proxy.away(true);
                environment.pause(lasts).await;
                replica.proxy.away(false);
            }
            Disruption::LeasesLost { lasts } => {
                replica.proxy.lose_leases(true);
                environment.pause(lasts).await;
                replica.proxy.lose_leases(false);
            }
            Disruption::PlatformAway { lasts } => {
                replica.gateway.cut().await;
                environment.pause(lasts).await;
                replica.gateway.reopen().await;
            }
            Disruption::WatchesLate { lasts } => {
                replica.proxy.freeze_watches();
                environment.pause(lasts).await;
                replica.proxy.thaw_watches();
            }
            Disruption::WatchesCut => replica.proxy.cut_watches(),
        }
        true
    }

    /// Ends all processes, and returns those that did not end as they should.
    pub async fn end(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for place in 0..self.all.len() {
            let Some(life) = self.current(place) else { continue };
            life.controller.signal("CONT").await;
            life.controller.terminate().await;
        }
        for place in 0..self.all.len() {
            let Some(life) = self.current(place) else { continue };
            if life.controller.exit_code().await.is_none_or(|code| code == 0) {
                self.ends_with(life.number, "TERM");
            }
            if life.controller.wait(END_LIMIT).await.is_none() {
                self.ends_with(life.number, "too late");
                life.controller.kill().await;
            }
        }
        for life in self.lives() {
            let code = life.controller.exit_code().await;
            // One that got SIGTERM before it could listen ends at once.
            let deaf = code == Some(128 + 15) && life.controller.log().is_empty();
            let right = match life.ended_with {
                Some("KILL") => true,
                Some("TERM") => code == Some(0) || deaf,
                _ => false,
            };
            if !right {
                faults.push(format!(
                    "life {} of replica {} ended with code {code:?} after {:?}",
                    life.number, life.replica, life.ended_with
                ));
            }
            if life.controller.log().contains("panicked at") {
                faults.push(format!("life {} of replica {} panicked", life.number, life.replica));
            }
        }
        faults
    }
}

impl Replica {
    async fn new(environment: &ChaosEnvironment, place: usize) -> Self {
        let directory = environment.directory.join(format!("replica-{place}"));
        fs::create_dir_all(&directory).unwrap();
        let kubeconfig = environment.control_plane.controller_kubeconfig();
        let proxy = ApiProxy::start(&kubeconfig, &directory, environment.client.clone()).await;
        let gateway = Gateway::to(environment.simulator.address()).await;
        let namespaces = [PLATFORM, TEAMS[0], TEAMS[1]].map(str::to_owned).to_vec();
        let options = ControllerOptions {
            // CONTROLLER=FILE: another build, to see that a broken one is found out.
            binary: std::env::var("CONTROLLER").unwrap_or_else(|_| BINARY.to_owned()).into(),
            kubeconfig: proxy.kubeconfig(),
            namespaces,
            allowed_hosts: vec![environment.simulator.url()],
            failpoints: String::new(),
            clock_file: environment.directory.join(format!("clock-{place}")),
            lease_namespace: PLATFORM.to_owned(),
            log_level: "info,tenant_pricing_controller=debug".to_owned(),
            arguments: vec![format!("--platform-proxy={}", gateway.url())],
        };
        Self { proxy, gateway, options, current: Mutex::default(), busy: tokio::sync::Mutex::default() }
    }
}
