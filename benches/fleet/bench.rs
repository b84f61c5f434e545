//! One fleet, from its first object to its last scenario.

use std::path::PathBuf;

use tokio::runtime::Handle;

use crate::{
    Arguments, Measured, Trouble,
    controller::Controller,
    fleet::Fleet,
    floors::{self, Floors},
    measurements::{Amount, Measurement},
    plugin::Plugin,
    report::Findings,
};

/// The memory that everything must fit into, in MiB.
pub const MEMORY: f64 = 40.0;

/// The released programs.
#[derive(Clone, Debug)]
pub struct Programs {
    pub controller: PathBuf,
    pub plugin: PathBuf,
}

/// A fleet that is measured.
pub struct Bench {
    pub fleet: Fleet,
    pub programs: Programs,
    pub plugin: Plugin,
    pub floors: Floors,
    /// Whether polls are measured at ten minutes as well, which takes more than twenty.
    pub true_polls: bool,
    found: Findings,
    controller: Option<Controller>,
    /// How often a controller was started.
    lives: usize,
    /// The most memory that any of them had, in bytes.
    peak: u64,
}

impl Bench {
    /// Sets the fleet and measures the floors.
    pub async fn new(size: u32, programs: &Programs, how: &Arguments, threads: &Handle) -> Measured<Self> {
        say(&format!("{size} tenants: control plane, platform, floors"));
        let fleet = Fleet::set(usize::try_from(size)?, &programs.controller, &how.results, threads).await?;
        let floors = floors::measure(&fleet, how.floor_patch).await?;
        say(&format!(
            "  floors: {:.1} s for {size} status patches, {:.3} s for a list of them, {:.1} ms up to a PUT",
            floors.patches.as_secs_f64(),
            floors.list.as_secs_f64(),
            floors.switch.median().as_secs_f64() * 1000.0
        ));
        Ok(Self {
            fleet,
            programs: programs.clone(),
            plugin: Plugin::new(&programs.plugin),
            floors,
            true_polls: how.true_polls,
            found: Findings::default(),
            controller: None,
            lives: 0,
            peak: 0,
        })
    }

    /// Ends the controller and the fleet. Returns what was found, with what concerns all measurements.
    pub async fn finish(mut self) -> Findings {
        let ended = self.end_controller().await;
        self.note_trouble("the controller's end", ended.err());
        self.add(
            Measurement::at_most(
                "memory: peak over everything",
                Amount::bytes(self.peak),
                MEMORY,
                "≤ 40 MiB",
            )
            .note("resident, of the process that had the most"),
        );
        let (tokens, lives) = (self.fleet.platform.simulator.tokens(), self.lives);
        let per_life = Amount::ratio(tokens, lives);
        self.add(
            Measurement::at_most("tokens per start of the controller", per_life, 1.0, "1")
                .note(format!("{tokens} for {lives} starts, each shorter than a token's two hours")),
        );
        if !self.found.troubles.is_empty() {
            let kept = self.fleet.keep_logs();
            let words = match kept {
                Ok(folder) => format!("the logs are in {}", folder.display()),
                Err(trouble) => format!("the logs could not be kept: {trouble}"),
            };
            self.found.troubles.push(words);
        }
        self.fleet.clear().await;
        self.found
    }

    /// Adds a figure to what was found, and shows it.
    pub fn add(&mut self, figure: Measurement) {
        say(&format!("  {}: {} {}", figure.what, figure.measured, figure.note));
        self.found.figures.push(figure);
    }

    /// Records a failed measurement, if there is one. Returns whether all is well.
    pub fn note_trouble(&mut self, what: &str, trouble: Option<Trouble>) -> bool {
        let Some(trouble) = trouble else { return true };
        say(&format!("  {what} could not be measured: {trouble}"));
        self.found.troubles.push(format!("{what}: {trouble}"));
        false
    }

    /// The controller; one is started if none runs.
    pub async fn controller(&mut self) -> Measured<&mut Controller> {
        if self.controller.is_none() {
            self.lives += 1;
            self.controller = Some(self.fleet.launch.start().await?);
        }
        self.controller.as_mut().ok_or_else(|| "there is no controller".into())
    }

    /// Starts another controller beside the one that runs. That one is returned; the other is in its place from now on.
    pub async fn second(&mut self) -> Measured<Controller> {
        self.controller().await?;
        self.lives += 1;
        let standby = self.fleet.launch.start().await?;
        let leader = self.controller.replace(standby).ok_or("there is no controller")?;
        self.peak = self.peak.max(leader.memory()?.peak);
        Ok(leader)
    }

    /// Ends the controller, if one runs.
    pub async fn end_controller(&mut self) -> Measured<()> {
        if let Some(controller) = self.controller.take() {
            self.peak = self.peak.max(controller.memory()?.peak);
            controller.end().await?;
        }
        Ok(())
    }
}

/// A progress line for the person who waits.
pub fn say(text: &str) {
    eprintln!("bench: {text}");
}
