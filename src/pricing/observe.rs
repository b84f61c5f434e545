//! Reads what a decision needs: the connection, and through it the tenant.

use jiff::Timestamp;
use kube::{Api, ResourceExt};

use super::{
    context::Context,
    facts::{Access, Connection, Facts, Look, Memory, Seen, connection_of},
};
use crate::{
    api::{PlatformConnection, TenantPricing},
    cluster::READ_TIMEOUT,
    connections::{Admission, Handle},
    platform::{Answer, PlatformError, Tenant, TenantId},
};

/// What was read.
pub(super) struct Observation {
    pub access: Access,
    pub look: Look,
    /// The way to the platform, if it is open.
    pub handle: Option<Handle>,
    /// The connection as it was read.
    pub connection: Option<PlatformConnection>,
}

impl Observation {
    /// What is to be decided on.
    pub(super) fn facts<'a>(
        &'a self,
        object: &'a TenantPricing,
        memory: &'a Memory,
        now: Timestamp,
    ) -> Facts<'a> {
        Facts { object, access: &self.access, look: &self.look, memory, now }
    }

    /// The same, but that nothing was looked at.
    pub(super) fn without_look(&self) -> Self {
        Self {
            access: self.access.clone(),
            look: Look::NotTaken,
            handle: self.handle.clone(),
            connection: self.connection.clone(),
        }
    }

    /// The same, but that the platform could not be asked.
    pub(super) fn failed(&self, error: PlatformError) -> Self {
        Self { look: Look::Failed(error), ..self.without_look() }
    }
}

/// Reads what an ordinary look needs. With `open`, an attempt is open and the tenant is read as closely as
/// before a switch.
pub(super) async fn observe(context: &Context, object: &TenantPricing, open: bool) -> Observation {
    if object.spec.suspend && !open {
        let access = Access::NotResolved;
        return Observation { access, look: Look::NotTaken, handle: None, connection: None };
    }
    let connection = cached_connection(context, object).await;
    let (access, handle) = resolve(context, object, connection.as_ref(), false).await;
    let look = match &handle {
        None => Look::NotTaken,
        Some(handle) if open => closely(handle, object).await,
        Some(handle) => casually(handle, object).await,
    };
    Observation { access, look, handle, connection: connection.ok().flatten() }
}

/// Reads the tenant closely and then the connection afresh: the last look before a switch. In this order, so
/// that an emergency stop set while the platform takes its time is still heeded.
pub(super) async fn last_look(context: &Context, object: &TenantPricing, handle: &Handle) -> Observation {
    let look = closely(handle, object).await;
    let connection = stored_connection(context, object).await;
    let (access, fresh) = resolve(context, object, connection.as_ref(), true).await;
    Observation { access, look, handle: fresh, connection: connection.ok().flatten() }
}

/// Reads the tenant closely, through a connection already resolved: after a request.
pub(super) async fn read_back(handle: &Handle, object: &TenantPricing) -> Look {
    closely(handle, object).await
}

type FoundConnection = Result<Option<PlatformConnection>, ()>;

/// From the cache; one that is not there may have been created just now, so the API server is asked.
async fn cached_connection(context: &Context, object: &TenantPricing) -> FoundConnection {
    let (namespace, name) = connection_of(object);
    match context.connections.get(&namespace, name) {
        Some(cached) => Ok(cached.0.clone().ok()),
        None => stored_connection(context, object).await,
    }
}

async fn stored_connection(context: &Context, object: &TenantPricing) -> FoundConnection {
    let (namespace, name) = connection_of(object);
    let api: Api<PlatformConnection> = Api::namespaced(context.client.clone(), &namespace);
    match tokio::time::timeout(READ_TIMEOUT, api.get_opt(name)).await {
        Ok(Ok(found)) => Ok(found),
        // A namespace outside this controller's rights cannot hold a connection for it.
        Ok(Err(kube::Error::Api(error))) if error.code == 403 => Ok(None),
        Ok(Err(error)) => {
            tracing::warn!(namespace, name, %error, "failed to read a connection");
            Err(())
        }
        Err(_) => Err(()),
    }
}

async fn resolve(
    context: &Context,
    object: &TenantPricing,
    connection: Result<&Option<PlatformConnection>, &()>,
    afresh: bool,
) -> (Access, Option<Handle>) {
    let connection = match connection {
        Ok(Some(connection)) => connection,
        Ok(None) => return (Access::NotFound, None),
        Err(()) => return (Access::Undecided, None),
    };
    let namespace = object.namespace().unwrap_or_default();
    let admission = if afresh {
        context.namespaces.admits_afresh(connection, &namespace).await
    } else {
        context.namespaces.admission(connection, &namespace).await
    };
    match admission {
        Admission::Admitted => {}
        Admission::Refused => return (Access::NotAllowed, None),
        Admission::Undecided => return (Access::Undecided, None),
    }
    match context.registry.open(connection) {
        Err(unusable) => (Access::Unusable(unusable.to_string()), None),
        Ok(handle) => {
            let (namespace, name) = connection_of(object);
            let facts = Connection {
                key: format!("{namespace}/{name}"),
                origin: handle.client.origin().clone(),
                switch_at: connection.spec.switch.at,
            };
            (Access::Open(facts), Some(handle))
        }
    }
}

/// One read, in a batch with others.
async fn casually(handle: &Handle, object: &TenantPricing) -> Look {
    let id = match tenant_id(handle, object).await {
        Ok(id) => id,
        Err(look) => return look,
    };
    match handle.look(&id).await {
        Ok(answer) => seen(handle, answer, None).await,
        Err(error) => Look::Failed(error),
    }
}

/// The tenant and its pricing settings, side by side and for this object alone.
async fn closely(handle: &Handle, object: &TenantPricing) -> Look {
    let id = match tenant_id(handle, object).await {
        Ok(id) => id,
        Err(look) => return look,
    };
    let (tenant, pricing) = tokio::join!(handle.client.tenant(&id), handle.client.pricing(&id));
    match (handle.noting(tenant), handle.noting(pricing)) {
        (Ok(tenant), Ok(pricing)) => {
            let date = tenant.date.zip(pricing.date).map(|(one, other)| one.min(other));
            let tenant = Answer { value: tenant.value, date };
            seen(handle, tenant, Some(pricing.value)).await
        }
        (Err(error), _) | (_, Err(error)) => Look::Failed(error),
    }
}

async fn seen(handle: &Handle, answer: Answer<Tenant>, pricing: Option<crate::platform::Pricing>) -> Look {
    let Answer { value: tenant, date } = answer;
    let locked_by_another = match &tenant.lock {
        None => false,
        Some(lock) => match handle.noting(handle.client.own_tenant().await) {
            Ok(own) => lock.owner.as_ref() != Some(&own.value),
            Err(error) => return Look::Failed(error),
        },
    };
    Look::Seen(Box::new(Seen { tenant, pricing, date, locked_by_another }))
}

/// The id in the spec, which cannot change; else the pinned one; else what the name leads to.
async fn tenant_id(handle: &Handle, object: &TenantPricing) -> Result<TenantId, Look> {
    let pinned = object.status.as_ref().and_then(|status| status.tenant_id.as_deref());
    if let Some(id) = object.spec.tenant.id.as_deref().or(pinned) {
        // The CRD admits nothing but ids here; a name that leads nowhere is the safe reading of the rest.
        return id.parse().map_err(|_| Look::NoSuchName);
    }
    let Some(name) = &object.spec.tenant.name else { return Err(Look::NoSuchName) };
    match handle.noting(handle.client.customers_named(name).await) {
        Err(error) => Err(Look::Failed(error)),
        Ok(Answer { value: ids, .. }) => match <[TenantId; 1]>::try_from(ids) {
            Ok([id]) => Ok(id),
            Err(ids) if ids.is_empty() => Err(Look::NoSuchName),
            Err(ids) => Err(Look::AmbiguousName(ids)),
        },
    }
}

/// The error that stands in the way of an attempt before anything was announced.
pub(super) async fn not_ready(handle: &Handle) -> Option<PlatformError> {
    handle.noting(handle.client.ready_to_put().await).err()
}
