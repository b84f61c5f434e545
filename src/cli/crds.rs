//! `crds`: prints the CRDs, to be piped into `kubectl apply -f -`.

use std::io::{self, Write};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Number, Value};

use crate::api::custom_resource_definitions;

/// The CRDs could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum CrdsError {
    /// A CRD cannot be serialised as JSON, which is a bug.
    #[error("failed to serialize a CRD")]
    Json(#[from] serde_json::Error),

    /// A CRD cannot be serialised as YAML, which is a bug.
    #[error("failed to write a CRD as YAML")]
    Yaml(#[from] serde_saphyr::ser::Error),

    /// Standard output cannot be written to.
    #[error("failed to write to standard output")]
    Output(#[from] io::Error),
}

/// Writes the CRDs of both kinds to standard output, as YAML documents.
///
/// # Errors
/// Returns [`CrdsError::Output`] when standard output cannot be written to.
pub fn print_crds() -> Result<(), CrdsError> {
    let mut output = io::stdout().lock();
    for crd in custom_resource_definitions() {
        output.write_all(b"---\n")?;
        output.write_all(to_yaml(&crd)?.as_bytes())?;
    }
    Ok(output.flush()?)
}

/// A CRD as a YAML document, as in the files of `crds/`.
///
/// # Errors
/// Returns an error when the CRD cannot be serialised, which is a bug.
pub fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, CrdsError> {
    let mut value = serde_json::to_value(crd)?;
    whole_numbers(&mut value);
    Ok(serde_saphyr::to_string(&value)?)
}

/// Writes whole numbers without a fraction. Bounds are floating-point numbers in a CRD's type.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0) {
                #[allow(clippy::cast_possible_truncation)] // bounds are small
                let whole = whole as i64;
                *number = Number::from(whole);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden;

    #[test]
    fn the_files_in_crds_are_those_that_are_printed() {
        for crd in custom_resource_definitions() {
            let path = format!("crds/{}.yaml", crd.spec.names.plural);
            golden::compare(&path, &to_yaml(&crd).unwrap()).unwrap();
        }
    }

    #[test]
    fn yaml_says_what_the_definition_says() {
        for crd in custom_resource_definitions() {
            let read: CustomResourceDefinition = serde_saphyr::from_str(&to_yaml(&crd).unwrap()).unwrap();
            assert_eq!(read, crd);
        }
    }
}
