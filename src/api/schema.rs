//! Parts of the schemas that the types do not express: validation of the Kubernetes API that the types of `k8s-openapi`
//! leave out.

use kube::core::{Reason, Rule};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

/// The most characters in the key of a label: a prefix of 253, a slash, and a name of 63.
const MAX_LABEL_KEY: usize = 317;

const LABEL_KEY: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

/// A time that the types can hold. The API server accepts more for a `date-time`: any number of digits after the dot,
/// and any character in its place.
pub(super) const INSTANT: &str = "^([0-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-4]):[0-5][0-9])$";

/// `[]metav1.Condition`: merged by `type`, with the limits of the Kubernetes API.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "description": "One aspect of the present state of the object.",
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "description": "The aspect.",
                    "type": "string",
                    "maxLength": 316,
                    "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
                },
                "status": {
                    "description": "`True`, `False` or `Unknown`.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"]
                },
                "reason": {
                    "description": "The reason of the status, in one word that programs can rely on.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
                },
                "message": {
                    "description": "What happened, what it means for billing if it matters there, and what to do.",
                    "type": "string",
                    "maxLength": 32768
                },
                "lastTransitionTime": {
                    "description": "When `status` last changed.",
                    "type": "string",
                    "format": "date-time"
                },
                "observedGeneration": {
                    "description": "The generation of the object that this condition describes.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0
                }
            }
        }
    })
}

/// `metav1.LabelSelector`, with the checks that the API server makes in code for built-in kinds.
pub(super) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    let operator_and_values = Rule::new(
        "self.operator in ['In', 'NotIn'] ? has(self.values) && self.values.size() > 0 \
         : !has(self.values) || self.values.size() == 0",
    )
    .message("In and NotIn need at least one value, Exists and DoesNotExist take none")
    .reason(Reason::FieldValueInvalid)
    .field_path(".values");
    let keys = Rule::new(format!("self.all(key, key.size() <= {MAX_LABEL_KEY} && key.matches('{LABEL_KEY}'))"))
        .message(
            "not the key of a label: write [prefix/]name of letters, digits, '-', '_' and '.', such as billing; at most \
             317 characters",
        )
        .reason(Reason::FieldValueInvalid);
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that a namespace must have, with these values.",
                "type": "object",
                "maxProperties": 32,
                "x-kubernetes-validations": [keys],
                "additionalProperties": label_value()
            },
            "matchExpressions": {
                "description": "Requirements that the labels of a namespace must meet, all of them.",
                "type": "array",
                "maxItems": 16,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "One requirement.",
                    "type": "object",
                    "required": ["key", "operator"],
                    "x-kubernetes-validations": [operator_and_values],
                    "properties": {
                        "key": {
                            "description": "The key of the label.",
                            "type": "string",
                            "maxLength": MAX_LABEL_KEY,
                            "pattern": LABEL_KEY
                        },
                        "operator": {
                            "description": "The relation of key and values: `In`, `NotIn`, `Exists` or `DoesNotExist`.",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"]
                        },
                        "values": {
                            "description": "The values, for `In` and `NotIn`.",
                            "type": "array",
                            "maxItems": 32,
                            "x-kubernetes-list-type": "atomic",
                            "items": label_value()
                        }
                    }
                }
            }
        }
    })
}

fn label_value() -> serde_json::Value {
    json!({
        "type": "string",
        "maxLength": 63,
        "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
    })
}
