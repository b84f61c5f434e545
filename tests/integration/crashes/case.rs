//! One case: where the process dies, and what follows.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use tenant_pricing_controller::failpoints::{Point, SideEffect};
use tokio::sync::Semaphore;

use super::scenario::{Figures, Scenario};
use crate::harness::Controller;

/// How many cases begin at a time, which takes the machine; most of the rest is waiting.
const BEGINNING: usize = 4;
/// A case has begun after this time: the process runs, or is dead.
const BEGUN: Duration = Duration::from_secs(3);
/// How many cases run at a time.
const UNDER_WAY: usize = 32;
/// A process dies at the latest when all is done and it gets SIGTERM; that may take this long.
const END_LIMIT: Duration = Duration::from_secs(25);
/// No case takes this long; the steps within it have limits of their own.
const FOR_EVER: Duration = Duration::from_hours(1);
/// A case runs at most this many times until no point is missed.
const MAX_RUNS: usize = 3;
/// 128 and the number of SIGABRT.
const ABORTED: i32 = 134;

/// A process dies at the given passing of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    pub point: Point,
    pub passing: u32,
}

impl Death {
    /// The first time.
    pub fn at(point: Point) -> Self {
        Self { point, passing: 1 }
    }

    /// For the variable `FAILPOINTS`.
    fn failpoints(self) -> String {
        match self.passing {
            0 | 1 => format!("{}=return", self.point),
            later => format!("{}={}*off->return", self.point, later - 1),
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.point)?;
        if self.passing > 1 { write!(formatter, "#{}", self.passing) } else { Ok(()) }
    }
}

/// The deaths of one process after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case(pub Vec<Death>);

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deaths: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&deaths.join(" "))
    }
}

/// The result of all cases.
#[derive(Debug, Default)]
pub struct Tally {
    pub deaths: usize,
    /// How many times a point was passed less often than planned.
    pub missed: usize,
    pub puts: usize,
    pub attempts: usize,
    /// The cases that failed, and why.
    pub failed: Vec<String>,
}

/// Runs all cases, many at a time.
pub async fn run_all(cases: Vec<Case>) -> Tally {
    let (under_way, beginning) = (Arc::new(Semaphore::new(UNDER_WAY)), Arc::new(Semaphore::new(BEGINNING)));
    let mut runs = Vec::new();
    for case in cases {
        let (under_way, beginning) = (under_way.clone(), beginning.clone());
        let label = case.to_string();
        let run = async move {
            let _place = under_way.acquire_owned().await;
            AssertUnwindSafe(run_until_passed(&case, beginning)).catch_unwind().await
        };
        runs.push((label, tokio::spawn(run)));
    }
    let mut tally = Tally::default();
    for (label, run) in runs {
        match run.await.unwrap() {
            Ok(outcome) => {
                tally.deaths += outcome.deaths;
                tally.missed += outcome.missed;
                tally.puts += outcome.figures.puts;
                tally.attempts += outcome.figures.attempts;
            }
            Err(panic) => {
                let words = panic.downcast_ref::<String>().map(String::as_str);
                let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
                let first = words.lines().take(4).collect::<Vec<_>>().join(" / ");
                tally.failed.push(format!("CRASH='{label}': {first}"));
            }
        }
    }
    tally
}

/// Runs one case until a process dies at each point that every process passes.
///
/// On a loaded machine a process can miss such a point: it releases no Lease that it lost before. What it did
/// instead is judged like everything else, and the case runs again.
async fn run_until_passed(case: &Case, beginning: Arc<Semaphore>) -> Outcome {
    let mut outcome = run(case, beginning.clone()).await;
    for _ in 1..MAX_RUNS {
        if outcome.unpassed.is_none() {
            break;
        }
        outcome = run(case, beginning.clone()).await;
    }
    match outcome.unpassed {
        None => outcome,
        Some(unpassed) => panic!("{unpassed}"),
    }
}

/// The result of one run of a case.
struct Outcome {
    /// The number of processes that died.
    deaths: usize,
    /// The number of processes that did not reach the point where they were to die.
    missed: usize,
    figures: Figures,
    /// A point that every process passes, and that one did not pass.
    unpassed: Option<String>,
}

/// Runs one case to its end.
async fn run(case: &Case, beginning: Arc<Semaphore>) -> Outcome {
    let place = beginning.acquire_owned().await.unwrap();
    tokio::spawn(async move {
        tokio::time::sleep(BEGUN).await;
        drop(place);
    });
    let scenario = Scenario::begin(&case.to_string()).await;
    let (mut deaths, mut missed) = (0, 0);
    let mut unpassed = None;
    for death in &case.0 {
        let controller = scenario.start(death.failpoints());
        let died = until_dead(&scenario, &controller, *death).await;
        if died {
            deaths += 1;
            scenario.the_process_is_dead().await;
        } else {
            if death.passing == 1 {
                unpassed = Some(format!("{death} was never passed\n{}", controller.log()));
            }
            missed += 1;
        }
    }
    scenario.start(String::new());
    scenario.come_to_rest().await;
    scenario.go_on().await;
    scenario.come_to_rest().await;
    let figures = scenario.end().await;
    Outcome { deaths, missed, figures, unpassed }
}

/// Whether the process dies where it is to. The scenario continues until it does; at its end the process gets
/// SIGTERM.
async fn until_dead(scenario: &Scenario, controller: &Controller, death: Death) -> bool {
    let asked_early = matches!(
        death.point,
        Point::Before(SideEffect::LeaseRelease) | Point::After(SideEffect::LeaseRelease)
    );
    let died = if asked_early {
        // In the middle of the switches, and not when all is done, if there is still one to come.
        let sent = scenario.test.simulator.total_puts();
        let is_early = async {
            Scenario::until_it_leads(controller).await;
            tokio::select! {
                () = scenario.until_another_put(sent) => {}
                () = scenario.come_to_rest() => {}
            }
        };
        died_before(controller, is_early).await
    } else {
        let died = died_before(controller, scenario.come_to_rest()).await;
        if died.is_none() {
            // Never cut off in the middle: it is done once, and what follows relies on all of it.
            scenario.go_on().await;
            died_before(controller, scenario.come_to_rest()).await
        } else {
            died
        }
    };
    let code = if let Some(code) = died {
        code
    } else {
        controller.terminate().await;
        let code = controller.wait(END_LIMIT).await.expect("a process ends when it is asked to");
        if code == 0 {
            return false;
        }
        code
    };
    let ended = (code, controller.ended_at());
    assert_eq!(ended, (ABORTED, Some(death.point.to_string())), "{}", controller.log());
    true
}

/// The exit code of a process that ends before `end` does.
async fn died_before(controller: &Controller, end: impl Future<Output = ()>) -> Option<i32> {
    tokio::select! {
        code = controller.wait(FOR_EVER) => code,
        () = end => None,
    }
}
