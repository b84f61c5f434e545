//! The one table at the end, and the record of it.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    thread::available_parallelism,
};

use serde::Serialize;
use serde_json::json;
use tenant_pricing_controller::clock::Clock;

use crate::{
    Measured,
    measurements::{Measurement, Unit, Verdict},
};

/// What was measured at one size.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    pub figures: Vec<Measurement>,
    /// What could not be measured, and why.
    pub troubles: Vec<String>,
}

/// Everything that was measured.
pub struct Report {
    tenants: u32,
    machine: serde_json::Value,
    sizes: Vec<(u32, Findings)>,
}

impl Report {
    pub fn new(tenants: u32, commit: &str) -> Self {
        let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(": ")?.1.to_owned())
        });
        let machine = json!({
            "cores": available_parallelism().map_or(0, std::num::NonZero::get),
            "processor": processor,
            "commit": commit,
            // Of whatever ran before: what else keeps the machine busy shows here.
            "load": fs::read_to_string("/proc/loadavg").ok().and_then(|text| {
                text.split(' ').next().map(str::to_owned)
            }),
            "date": Clock::system().now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        Self { tenants, machine, sizes: Vec::new() }
    }

    pub fn add(&mut self, size: u32, findings: Findings) {
        self.sizes.push((size, findings));
    }

    /// Whether nothing was left unmeasured.
    pub fn is_complete(&self) -> bool {
        self.sizes.iter().all(|(_, findings)| findings.troubles.is_empty())
    }

    /// A Markdown table, padded so that it can be read as it stands, with a column for each size; and below it
    /// the notes, and what could not be measured.
    pub fn table(&self) -> String {
        let mut header = vec!["what".to_owned(), "to reach".to_owned()];
        header.extend(self.sizes.iter().map(|(size, _)| format!("N = {size}")));
        header.extend(["floor".to_owned(), "verdict".to_owned()]);
        let mut rows = vec![header];
        let (mut notes, mut met, mut missed) = (String::new(), 0, 0);
        for figure in self.sizes.last().iter().flat_map(|(_, findings)| &findings.figures) {
            let mut row = vec![figure.what.clone(), figure.target.clone()];
            for (_, findings) in &self.sizes {
                let same = findings.figures.iter().find(|other| other.what == figure.what);
                row.push(same.map_or(String::new(), |figure| figure.measured.to_string()));
            }
            row.push(figure.floor.map_or(String::new(), |floor| match floor.unit {
                unit if unit == figure.measured.unit && unit == Unit::Seconds && floor.value > 0.0 => {
                    format!("{floor} (× {:.2})", figure.measured.value / floor.value)
                }
                _ => floor.to_string(),
            }));
            row.push(match figure.verdict {
                Verdict::Met => "met".to_owned(),
                Verdict::Missed => "MISSED".to_owned(),
                Verdict::Shown => String::new(),
            });
            met += usize::from(figure.verdict == Verdict::Met);
            missed += usize::from(figure.verdict == Verdict::Missed);
            rows.push(row);
            if !figure.note.is_empty() {
                let _ = write!(notes, "\n- {}: {}", figure.what, figure.note);
            }
        }
        let mut text = format!("{}\n{met} targets met, {missed} missed.\n{notes}", padded(&rows));
        for (size, findings) in &self.sizes {
            for trouble in &findings.troubles {
                let _ = write!(text, "\n- NOT MEASURED at N = {size}: {trouble}");
            }
        }
        text
    }

    /// Writes `fleet-N.json` and `fleet-N.md`, and gives the path of the first.
    pub fn write(&self, folder: &Path) -> Measured<PathBuf> {
        fs::create_dir_all(folder)?;
        let sizes: Vec<_> =
            self.sizes.iter().map(|(size, findings)| json!({"n": size, "found": findings})).collect();
        let all = json!({"n": self.tenants, "machine": self.machine, "sizes": sizes});
        let file = folder.join(format!("fleet-{}.json", self.tenants));
        fs::write(&file, serde_json::to_string_pretty(&all)? + "\n")?;
        let machine = &self.machine;
        let about = format!(
            "Commit {}, {}, {} cores, {}, load {} at the start.",
            machine["commit"].as_str().unwrap_or_default(),
            machine["date"].as_str().unwrap_or_default(),
            machine["cores"],
            machine["processor"].as_str().unwrap_or("processor unknown"),
            machine["load"].as_str().unwrap_or("unknown"),
        );
        fs::write(file.with_extension("md"), format!("{about}\n\n{}\n", self.table()))?;
        Ok(file)
    }
}

fn padded(rows: &[Vec<String>]) -> String {
    let width = |text: &str| text.chars().count();
    let columns = rows.first().map_or(0, Vec::len);
    let widest = |column: usize| rows.iter().map(|row| width(&row[column])).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let mut text = String::new();
    for (place, row) in rows.iter().enumerate() {
        for (cell, wide) in row.iter().zip(&widths) {
            let _ = write!(text, "| {cell}{} ", " ".repeat(wide - width(cell)));
        }
        text.push_str("|\n");
        if place == 0 {
            for wide in &widths {
                let _ = write!(text, "|{}", "-".repeat(wide + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}
