//! One case: where the process dies, and what comes of it.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tenant_pricing_controller::failpoints::{Point, SideEffect};
use tokio::sync::Semaphore;

use super::scenario::{Figures, Story};
use crate::harness::Controller;

/// So many stories begin at a time, which takes the machine; most of the rest is waiting.
const BEGINNING: usize = 4;
/// A story has begun after so long: the process is at work, or dead.
const BEGUN: Duration = Duration::from_secs(3);
/// So many are under way at a time.
const UNDER_WAY: usize = 32;
/// A process dies at the latest when all is done and it is asked to end, which may take so long.
const END_LIMIT: Duration = Duration::from_secs(25);
/// No story takes so long; those within it have limits of their own.
const FOR_EVER: Duration = Duration::from_hours(1);
/// 128 and the number of SIGABRT.
const ABORTED: i32 = 134;

/// A process dies when it passes a point for the so-many-th time.
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

/// What all cases came to.
#[derive(Debug, Default)]
pub struct Tally {
    pub deaths: usize,
    /// So many times a point was not passed as often as it was to be.
    pub missed: usize,
    pub puts: usize,
    pub attempts: usize,
    /// The cases that failed, and why.
    pub failed: Vec<String>,
}

/// Plays all cases, many at a time.
pub async fn play_all(cases: Vec<Case>) -> Tally {
    let (under_way, beginning) = (Arc::new(Semaphore::new(UNDER_WAY)), Arc::new(Semaphore::new(BEGINNING)));
    let mut plays = Vec::new();
    for case in cases {
        let (under_way, beginning) = (under_way.clone(), beginning.clone());
        let label = case.to_string();
        let play = async move {
            let _place = under_way.acquire_owned().await;
            AssertUnwindSafe(play(&case, beginning)).catch_unwind().await
        };
        plays.push((label, tokio::spawn(play)));
    }
    let mut tally = Tally::default();
    for (label, play) in plays {
        match play.await.unwrap() {
            Ok((deaths, missed, figures)) => {
                tally.deaths += deaths;
                tally.missed += missed;
                tally.puts += figures.puts;
                tally.attempts += figures.attempts;
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

/// Plays one case to its end. Returns how many processes died, how many did not come to the place where they
/// were to, and what was sent.
async fn play(case: &Case, beginning: Arc<Semaphore>) -> (usize, usize, Figures) {
    let place = beginning.acquire_owned().await.unwrap();
    tokio::spawn(async move {
        tokio::time::sleep(BEGUN).await;
        drop(place);
    });
    let story = Story::begin(&case.to_string()).await;
    let (mut deaths, mut missed) = (0, 0);
    for death in &case.0 {
        let controller = story.start(death.failpoints());
        let died = until_dead(&story, &controller, *death).await;
        if died {
            deaths += 1;
            story.the_process_is_dead().await;
        } else {
            assert!(death.passing > 1, "{death} was never passed\n{}", controller.log());
            missed += 1;
        }
    }
    story.start(String::new());
    story.come_to_rest().await;
    story.go_on().await;
    story.come_to_rest().await;
    (deaths, missed, story.end().await)
}

/// Whether the process dies where it is to. The story goes on until it does, and at its end the process is asked
/// to end.
async fn until_dead(story: &Story, controller: &Controller, death: Death) -> bool {
    let asked_early = matches!(
        death.point,
        Point::Before(SideEffect::LeaseRelease) | Point::After(SideEffect::LeaseRelease)
    );
    let sent = story.test.simulator.total_puts();
    let played = async {
        if asked_early {
            // In the middle of the switches, and not when all is done, if there is still one to come.
            Story::until_it_leads(controller).await;
            tokio::select! {
                () = story.until_another_put(sent) => {}
                () = story.come_to_rest() => {}
            }
        } else {
            story.come_to_rest().await;
            story.go_on().await;
            story.come_to_rest().await;
        }
    };
    let died = tokio::select! {
        code = controller.wait(FOR_EVER) => code,
        () = played => None,
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
