//! How long budgets hold back what is to be switched.

use std::time::Duration;

use super::{
    World,
    expected::{connection, is_to_be_switched},
};

/// What a window takes longer: a stored time has whole seconds.
const GRAIN: Duration = Duration::from_secs(1);

/// The longest time for which the budgets of connections hold back what is to be switched now.
///
/// Each window has room for `count` switches. At worst the first one is used up already. A budget with room for every
/// object of its connection holds nothing back.
pub fn held_back(world: &World) -> Duration {
    let longest = world.budgets.iter().map(|(name, budget)| {
        let through = || world.objects.iter().filter(|object| connection(object) == *name);
        let count = usize::try_from(budget.count).unwrap();
        if through().count() <= count {
            return Duration::ZERO;
        }
        let left = through().filter(|object| is_to_be_switched(world, object)).count();
        let windows = u32::try_from(left.div_ceil(count.max(1)) + 1).unwrap();
        let window: Duration = budget.window.parse::<kube::core::Duration>().unwrap().into();
        (window + GRAIN) * windows
    });
    longest.max().unwrap_or_default()
}
