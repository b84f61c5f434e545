//! What was done when, as it happened. It also depends on races, so it is kept beside the plan.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// How often the watch for stalls wakes up.
const TICK: Duration = Duration::from_millis(100);
/// A watch that wakes up later than this after its time was held up with its whole process.
const STALL: Duration = Duration::from_millis(250);

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
    /// This process got no processor, and with it neither the platform nor the proxies, whose times are late then.
    Stalled,
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

    /// Records until the end of the history when this process gets no processor.
    pub fn watch_for_stalls(self: &Arc<Self>) {
        let history = Arc::downgrade(self);
        thread::spawn(move || {
            let mut due = Instant::now() + TICK;
            loop {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let Some(history) = history.upgrade() else { return };
                let now = Instant::now();
                if now - due > STALL {
                    history.stalled(due, now);
                }
                due = now + TICK;
            }
        });
    }

    fn stalled(&self, from: Instant, until: Instant) {
        self.say(format!("this process stood still for {} ms", (until - from).as_millis()));
        self.count("this process stood still", 1);
        self.spans.lock().unwrap().push(Span { what: What::Stalled, from, until: Some(until) });
    }

    /// How long this process stood still since an instant.
    pub fn stalled_since(&self, from: Instant) -> Duration {
        overlap(&self.spans(), &[What::Stalled], from, Instant::now())
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

/// How long at least one of these held between two instants.
pub fn overlap(spans: &[Span], whats: &[What], from: Instant, until: Instant) -> Duration {
    let clipped = |span: &Span| (span.from.max(from), span.until.unwrap_or(until).min(until));
    let mut held: Vec<_> = spans.iter().filter(|span| whats.contains(&span.what)).map(clipped).collect();
    held.sort();
    let mut counted = from;
    let mut all = Duration::ZERO;
    for (begin, end) in held {
        all += end.saturating_duration_since(begin.max(counted));
        counted = counted.max(end);
    }
    all
}
