//! What was done when, as it happened. It also depends on races, so it is kept beside the plan.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What happened in a run, and what the oracle has to know of it.
pub struct History {
    pub start: Instant,
    lines: Mutex<Vec<(Duration, String)>>,
    counts: Mutex<BTreeMap<String, u32>>,
    spans: Mutex<Vec<Span>>,
}

/// Something that held from one instant to another.
#[derive(Debug, Clone)]
pub struct Span {
    pub what: What,
    /// It held for certain from then on.
    pub from: Instant,
    /// It held for certain until then; still, if absent.
    pub until: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A process was stopped.
    Stopped { life: usize },
    /// A connection was suspended, or its budget was none at all, or its Secret wrong.
    Closed { connection: String },
    /// The platform may have shown prices of before.
    Stale,
    /// Likewise, of this tenant.
    StaleOf { tenant: String },
    /// The platform's clock was not where it belongs.
    PlatformClock,
}

impl History {
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            lines: Mutex::default(),
            counts: Mutex::default(),
            spans: Mutex::default(),
        }
    }

    pub fn say(&self, line: impl Into<String>) {
        self.lines.lock().unwrap().push((self.start.elapsed(), line.into()));
    }

    /// Counts something that did happen.
    pub fn count(&self, kind: &str, times: u32) {
        *self.counts.lock().unwrap().entry(kind.to_owned()).or_default() += times;
    }

    pub fn counts(&self) -> BTreeMap<String, u32> {
        self.counts.lock().unwrap().clone()
    }

    /// Something holds from now on.
    pub fn begin(&self, what: What) {
        self.spans.lock().unwrap().push(Span { what, from: Instant::now(), until: None });
    }

    /// It may not hold any more.
    pub fn end(&self, what: &What) {
        for span in self.spans.lock().unwrap().iter_mut() {
            if span.what == *what && span.until.is_none() {
                span.until = Some(Instant::now());
            }
        }
    }

    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    pub fn text(&self) -> String {
        let lines = self.lines.lock().unwrap();
        let line = |(at, text): &(Duration, String)| format!("{:>9.3} s  {text}\n", at.as_secs_f64());
        lines.iter().map(line).collect()
    }
}
