//! A run that tested nothing has proven nothing.

use std::collections::BTreeMap;

use super::report::Figures;

/// The least there must have been.
pub struct Least {
    puts: usize,
    effective: usize,
    /// Of each family of what can happen.
    families: &'static [(&'static str, u32)],
    /// This percentage of the plan may be missing; everything else must have happened.
    missing: Option<usize>,
}

impl Least {
    pub const SHORT: Self = Self {
        puts: 25,
        effective: 15,
        families: &[
            ("users: ", 30),
            ("users: connection suspended", 1),
            ("users: status ", 3),
            ("console: ", 5),
            ("clock: ", 2),
            ("replica: ", 3),
            ("replica: SIGKILL", 1),
            ("server: ", 2),
            ("API: ", 10),
            ("platform: tokens revoked", 1),
            ("Token: ", 1),
            ("FetchTenants: ", 1),
            ("FetchTenant: ", 1),
            ("FetchPricing: ", 1),
            ("PutPricing: ", 4),
        ],
        missing: None,
    };

    pub const SOME_MINUTES: Self = Self { puts: 60, effective: 40, ..Self::SHORT };

    pub const LONG: Self = Self { puts: 500, effective: 300, missing: Some(10), ..Self::SHORT };

    /// What happened too seldom, by family.
    pub fn too_seldom(&self, counts: &BTreeMap<String, u32>) -> Vec<String> {
        let of = |family: &str| -> u32 {
            counts.iter().filter(|(kind, _)| kind.starts_with(family)).map(|(_, count)| *count).sum()
        };
        let seldom = self.families.iter().filter(|(family, least)| of(family) < *least);
        let words = seldom.map(|(family, least)| {
            format!("too little was tested: {family} {} times, at least {least} wanted", of(family))
        });
        words.collect()
    }

    /// What there was too little of.
    pub fn missed(&self, figures: &Figures) -> Vec<String> {
        let mut missed = Vec::new();
        let mut demand = |what: &str, least: usize, was: usize| {
            if was < least {
                missed.push(format!("too little was tested: {what} {was} times, at least {least} wanted"));
            }
        };
        demand("PUTs", self.puts, figures.puts);
        demand("PUTs that took effect", self.effective, figures.effective);
        missed.extend(self.too_seldom(&figures.counts));
        if let Some(allowed) = self.missing {
            let never: Vec<&str> = figures
                .counts
                .iter()
                .filter(|(_, count)| **count == 0)
                .map(|(kind, _)| kind.as_str())
                .collect();
            if never.len() * 100 > figures.counts.len() * allowed {
                missed.push(format!("too little was tested: these never happened: {}", never.join(", ")));
            }
        }
        missed
    }
}
