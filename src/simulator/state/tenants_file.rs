//! The tenants file: the tenants that exist when the simulator starts, as YAML or JSON.

use serde::Deserialize;

use crate::simulator::state::tenant::TenantSpec;

/// Many customers that differ only in their number.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Customers {
    /// The number of customers.
    pub count: usize,
    /// The prefix of their names, before `-00001` and so on.
    #[serde(default = "prefix")]
    pub prefix: String,
}

fn prefix() -> String {
    "customer".to_owned()
}

impl Customers {
    /// The maximum number of customers in one request.
    pub const MAX: usize = 1_000_000;

    /// The customers, with random ids.
    pub(crate) fn specs(&self) -> impl Iterator<Item = TenantSpec> {
        (1..=self.count).map(|number| TenantSpec::customer(format!("{}-{number:05}", self.prefix)))
    }
}

/// The contents of a tenants file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantsFile {
    /// Single tenants. A parent comes before its children.
    #[serde(default)]
    pub tenants: Vec<TenantSpec>,
    /// Customers in bulk.
    pub customers: Option<Customers>,
}

impl TenantsFile {
    /// Parses YAML, and therefore JSON too.
    ///
    /// # Errors
    /// Names the line, the field and the valid values.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    /// All tenants of the file, in order.
    #[must_use]
    pub fn specs(self) -> Vec<TenantSpec> {
        let customers = self.customers.iter().flat_map(Customers::specs);
        let customers: Vec<_> = customers.collect();
        self.tenants.into_iter().chain(customers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{Simulator, SimulatorOptions, TenantKind};

    const FILE: &str = "
tenants:
  - name: Resellers North
    kind: partner
  - name: Acme GmbH
    id: 0fcd4a69-8a40-4de8-b711-d9c83dc000f7
    parent: Resellers North
    createdAt: 2026-10-05T00:00:00Z
  - {name: Old Customer, mode: production}
customers: {count: 2, prefix: shop}
";

    #[tokio::test]
    async fn a_file_fills_the_platform() {
        let clock = Some("2026-11-15T00:00:00Z".parse().unwrap());
        let simulator = Simulator::start(SimulatorOptions { clock, ..Default::default() }).await.unwrap();
        let ids = simulator.try_add_tenants(TenantsFile::parse(FILE).unwrap().specs()).unwrap();
        assert_eq!(ids.len(), 5);
        let acme = simulator.tenant("0fcd4a69-8a40-4de8-b711-d9c83dc000f7").unwrap();
        assert_eq!((acme.kind, acme.parent_id.as_str()), (TenantKind::Customer, ids[0].as_str()));
        assert_eq!(acme.pricing.production_start_date, Some("2026-12-01T00:00:00Z".parse().unwrap()));
        assert_eq!(simulator.tenant(&ids[2]).unwrap().pricing.mode, "production");
        assert_eq!(simulator.tenant(&ids[4]).unwrap().name, "shop-00002");
    }

    #[test]
    fn json_is_read_as_well_and_nothing_is_an_empty_platform() {
        let file = TenantsFile::parse(r#"{"tenants": [{"name": "Acme"}]}"#).unwrap();
        assert_eq!(file.specs()[0].name, "Acme");
        assert!(TenantsFile::parse(" \n").unwrap().specs().is_empty());
    }

    #[test]
    fn a_mistake_is_named_with_its_field() {
        for (text, part) in [
            ("tenants: [{name: a, colour: red}]", "colour"),
            ("tenants: [{id: x}]", "name"),
            ("tenants: [{name: a, kind: client}]", "client"),
            ("tenants: [{name: a, createdAt: yesterday}]", "yesterday"),
            ("tenant: []", "tenant"),
        ] {
            let error = TenantsFile::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[tokio::test]
    async fn one_impossible_tenant_keeps_all_out() {
        let simulator = Simulator::start(SimulatorOptions::default()).await.unwrap();
        let good = TenantSpec::customer("a").id("0fcd4a69-8a40-4de8-b711-d9c83dc000f7");
        let specs = vec![good.clone(), TenantSpec::customer("b").below("missing")];
        let (place, error) = simulator.try_add_tenants(specs).unwrap_err();
        assert_eq!(place, 1);
        assert!(error.to_string().contains("missing"), "{error}");
        assert!(simulator.customers().is_empty());
        simulator.try_add_tenants(vec![good]).unwrap();
    }
}
