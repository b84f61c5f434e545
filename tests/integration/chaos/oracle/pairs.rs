//! Two PUTs for one tenant: never at once, never soon after one whose outcome is open, and one effect at most.

use std::{collections::BTreeMap, time::Duration};

use tenant_pricing_controller::simulator::LoggedRequest;

use super::{Record, attempts::Sent};

/// After a PUT whose outcome is not known.
const GRACE_PERIOD: Duration = Duration::from_secs(60);

pub fn faults(record: &Record, sent: &[Sent<'_>]) -> Vec<String> {
    let mut of_tenants: BTreeMap<&str, Vec<&Sent<'_>>> = BTreeMap::new();
    for one in sent {
        of_tenants.entry(one.attempt.tenant).or_default().push(one);
    }
    let mut faults = Vec::new();
    for (tenant, puts) in of_tenants {
        let effects = puts.iter().filter(|one| one.put.took_effect).count();
        if effects > 1 {
            faults.push(format!("{effects} PUTs for {tenant} took effect"));
        }
        for pair in puts.windows(2) {
            let [earlier, later] = pair else { continue };
            if is_new_request(record, earlier, later) {
                continue;
            }
            let (first, second) = (earlier.put.sequence, later.put.sequence);
            let began = record.began(later.put);
            if record.ended(earlier.put).is_none_or(|ended| ended > began) {
                faults.push(format!("PUTs {first} and {second} for {tenant} were in flight at once"));
            }
            let pause = began.saturating_duration_since(record.began(earlier.put));
            if !was_refused(earlier.put) && pause < GRACE_PERIOD {
                faults.push(format!(
                    "PUT {second} for {tenant} came {:.1} s after PUT {first}, whose outcome was open",
                    pause.as_secs_f64()
                ));
            }
        }
    }
    faults
}

/// An object that was deleted and created again around a crash is a new request: no living process
/// remembers the one before.
fn is_new_request(record: &Record, earlier: &Sent<'_>, later: &Sent<'_>) -> bool {
    let (before, after) = (earlier.attempt, later.attempt);
    let deleted = record.versions.iter().any(|stored| {
        stored.object.is_none()
            && (&stored.kind, &stored.namespace, &stored.name)
                == (&before.stored.kind, &before.stored.namespace, &before.stored.name)
            && (before.stored.revision..after.stored.revision).contains(&stored.revision)
    });
    before.uid() != after.uid() && deleted && before.life() != after.life()
}

/// Whether a definite refusal came back.
fn was_refused(put: &LoggedRequest) -> bool {
    put.status().is_some_and(|status| (300..500).contains(&status) && ![408, 499].contains(&status))
}
