//! Which cases are run.

use std::env;

use rand::{SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tenant_pricing_controller::failpoints::{Point, SideEffect};

use super::case::{Case, Death};

/// How many pairs of points at which a switch is announced and sent, in a short run.
const PAIRS_OF_A_SWITCH: usize = 6;
/// How many of all pairs, unless `CRASH_PAIRS` gives another number.
const PAIRS: usize = 10;
/// How many single points at a later passing than the first.
const LATER_PASSINGS: usize = 6;
/// The passings that are tried; each scenario has more switches than that.
const LATER: std::ops::RangeInclusive<u32> = 2..=5;

/// Where a switch can be cut: around its announcement and around its request.
const OF_A_SWITCH: &[Point] = &[
    Point::Before(SideEffect::Journal),
    Point::After(SideEffect::Journal),
    Point::Announced,
    Point::Before(SideEffect::Put),
    Point::After(SideEffect::Put),
];

/// The side effects that happen often within one scenario.
const PASSED_OFTEN: &[SideEffect] = &[
    SideEffect::Journal,
    SideEffect::TenantPricingStatus,
    SideEffect::Event,
    SideEffect::Tenant,
    SideEffect::Pricing,
    SideEffect::Put,
];

/// All points, and the selection among them.
pub struct Plan {
    points: Vec<Point>,
    selection: Selection,
}

enum Selection {
    /// A sample by this seed.
    Sample(u64),
    /// All there is.
    All,
    /// One case.
    One(Case),
}

impl Plan {
    /// Reads the selection from the environment.
    pub fn new() -> Self {
        let points = Point::all();
        let selection = match env::var("CRASH").unwrap_or_default().as_str() {
            "" => Selection::Sample(seed()),
            "all" => Selection::All,
            case => Selection::One(Case(case.split_whitespace().map(death).collect())),
        };
        Self { points, selection }
    }

    /// Each point at its first passing, and a later passing of some, or of all that are passed often.
    pub fn singles(&self) -> Vec<Case> {
        let later = LATER.flat_map(|passing| often().map(move |point| Case(vec![Death { point, passing }])));
        let mut cases: Vec<Case> = self.points.iter().map(|point| Case(vec![Death::at(*point)])).collect();
        match &self.selection {
            Selection::One(case) if case.0.len() == 1 => vec![case.clone()],
            Selection::One(_) => Vec::new(),
            Selection::All => {
                cases.extend(later);
                cases
            }
            Selection::Sample(seed) => {
                let mut random = StdRng::seed_from_u64(*seed);
                let all: Vec<Case> = later.collect();
                cases.extend(all.sample(&mut random, LATER_PASSINGS).cloned());
                cases
            }
        }
    }

    /// All pairs of points, or a sample of them.
    pub fn pairs(&self) -> Vec<Case> {
        let all = pairs(&self.points);
        match &self.selection {
            Selection::One(case) if case.0.len() > 1 => vec![case.clone()],
            Selection::One(_) => Vec::new(),
            Selection::All => all,
            Selection::Sample(seed) => {
                let mut random = StdRng::seed_from_u64(*seed);
                let of_a_switch = pairs(OF_A_SWITCH);
                let mut cases: Vec<Case> =
                    of_a_switch.sample(&mut random, PAIRS_OF_A_SWITCH).cloned().collect();
                let others = all.sample(&mut random, sample_size()).filter(|case| !cases.contains(case));
                let others: Vec<Case> = others.cloned().collect();
                cases.extend(others);
                cases
            }
        }
    }
}

fn pairs(points: &[Point]) -> Vec<Case> {
    let pair = |first: Point, second: Point| Case(vec![Death::at(first), Death::at(second)]);
    points.iter().flat_map(|first| points.iter().map(move |second| pair(*first, *second))).collect()
}

fn often() -> impl Iterator<Item = Point> {
    PASSED_OFTEN.iter().flat_map(|effect| [Point::Before(*effect), Point::After(*effect)])
}

fn sample_size() -> usize {
    let given = env::var("CRASH_PAIRS").ok();
    given.map_or(PAIRS, |number| number.parse().expect("CRASH_PAIRS is a whole number"))
}

/// The given seed, or a random one. It is printed either way, so that a run can be repeated.
fn seed() -> u64 {
    let given = env::var("CRASH_SEED").ok();
    let seed = given.map_or_else(
        || u64::from(rand::random::<u32>()),
        |seed| seed.parse().expect("CRASH_SEED is a whole number"),
    );
    eprintln!("CRASH_SEED={seed}");
    seed
}

/// What `CRASH` names: `put.before`, or `put.before#2` for the second passing.
fn death(text: &str) -> Death {
    let (name, passing) = text.split_once('#').unwrap_or((text, "1"));
    let point = Point::all().into_iter().find(|point| point.to_string() == name);
    let point = point.unwrap_or_else(|| panic!("CRASH: there is no point {name:?}"));
    Death { point, passing: passing.parse().expect("CRASH: a whole number after #") }
}
