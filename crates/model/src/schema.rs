//! JSON Schema behind one small module: definitions of parameters and values against them (API §7.3).
//!
//! Messages are those of the Go library that DRP uses: `<context>: <description>`, where the context is the path of the value
//! with `(root)` for the whole.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::{Problems, go};

/// Judges the schema itself, and its default by it.
pub(crate) fn check_definition(schema: &Value, problems: &mut Problems) {
    match schema {
        Value::Null => return,
        Value::Object(_) => {}
        other => {
            problems.add(format!("Invalid Schema: must be an object, not {}", go::word(other)));
            return;
        }
    }
    let validator = match compile(schema) {
        Ok(validator) => validator,
        Err(message) => {
            problems.add(message);
            return;
        }
    };
    if let Some(default) = schema.get("default")
        && let Some(error) = validator.iter_errors(default).next()
    {
        problems.add(format!("Error in default value: {}", describe(&error)));
    }
}

/// Judges a value by a schema.
///
/// # Errors
/// What is wrong with the value, one description, `, ` between several.
pub fn check_value(schema: &Value, value: &Value) -> Result<(), String> {
    if !schema.is_object() {
        return Ok(());
    }
    let validator = compile(schema)?;
    let errors: Vec<String> = validator.iter_errors(value).map(|error| describe(&error)).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join(", ")) }
}

/// The words that `type` may have.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "number", "null", "object", "string"];

fn compile(schema: &Value) -> Result<Validator, String> {
    if let Some(ty) = schema.get("type").and_then(Value::as_str)
        && !TYPES.contains(&ty)
    {
        return Err(format!(
            "has a primitive type that is NOT VALID -- given: /{ty}/ Expected valid values are:[{}]",
            TYPES.join(" ")
        ));
    }
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft7)
        .build(schema)
        .map_err(|error| format!("Invalid Schema: {}: {error}", context(&error)))
}

fn describe(error: &ValidationError<'_>) -> String {
    let context = context(error);
    let value = error.instance();
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(ty) => ty.to_string(),
                TypeKind::Multiple(types) => {
                    types.iter().map(|ty| ty.to_string()).collect::<Vec<_>>().join("/")
                }
            };
            format!("{context}: Invalid type. Expected: {wanted}, given: {}", type_of(value))
        }
        ValidationErrorKind::Required { property } => {
            format!("{context}: {} is required", property.as_str().unwrap_or_default())
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> =
                options.as_array().into_iter().flatten().map(Value::to_string).collect();
            format!(
                "{context}: {} must be one of the following: {}",
                context_name(&context),
                options.join(", ")
            )
        }
        ValidationErrorKind::Pattern { pattern } => format!("{context}: Does not match pattern '{pattern}'"),
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            format!("{context}: Additional property {} is not allowed", unexpected.join(", "))
        }
        ValidationErrorKind::MinLength { limit } => {
            format!("{context}: String length must be greater than or equal to {limit}")
        }
        ValidationErrorKind::MaxLength { limit } => {
            format!("{context}: String length must be less than or equal to {limit}")
        }
        ValidationErrorKind::Minimum { limit } => {
            format!("{context}: Must be greater than or equal to {limit}")
        }
        ValidationErrorKind::Maximum { limit } => format!("{context}: Must be less than or equal to {limit}"),
        ValidationErrorKind::MinItems { limit } => {
            format!("{context}: Array must have at least {limit} items")
        }
        ValidationErrorKind::MaxItems { limit } => {
            format!("{context}: Array must have at most {limit} items")
        }
        ValidationErrorKind::UniqueItems => format!("{context}: array items must be unique"),
        _ => format!("{context}: {error}"),
    }
}

fn context(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    let path = path.trim_start_matches('/').replace('/', ".");
    if path.is_empty() { "(root)".to_owned() } else { path }
}

/// The last part of a context, which some descriptions begin with.
fn context_name(context: &str) -> &str {
    context.rsplit('.').next().unwrap_or(context)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_judged_in_the_words_of_the_go_library() {
        let table = [
            (json!({"type": "string"}), json!([5]), "(root): Invalid type. Expected: string, given: array"),
            (
                json!({"type": "integer"}),
                json!("x"),
                "(root): Invalid type. Expected: integer, given: string",
            ),
            (json!({"type": "object", "required": ["Spotted"]}), json!({}), "(root): Spotted is required"),
            (
                json!({"type": "object", "properties": {"Spotted": {"type": "boolean"}}}),
                json!({"Spotted": "yes"}),
                "Spotted: Invalid type. Expected: boolean, given: string",
            ),
        ];
        for (schema, value, message) in table {
            assert_eq!(check_value(&schema, &value), Err(message.to_owned()));
        }
        assert_eq!(check_value(&json!({"type": "number", "minimum": 1}), &json!(2.5)), Ok(()));
        assert_eq!(check_value(&Value::Null, &json!(2.5)), Ok(()));
    }

    #[test]
    fn definitions_are_judged_with_their_default() {
        let problem = |schema: Value| {
            let mut problems = Problems::default();
            check_definition(&schema, &mut problems);
            problems.into_vec().join("|")
        };
        assert_eq!(problem(json!({"type": "string", "default": "x"})), "");
        assert_eq!(
            problem(json!({"type": "string", "default": true})),
            "Error in default value: (root): Invalid type. Expected: string, given: boolean"
        );
        assert!(
            problem(json!({"type": "nosuch"}))
                .starts_with("has a primitive type that is NOT VALID -- given: /nosuch/")
        );
        assert_eq!(problem(json!("text")), "Invalid Schema: must be an object, not string");
    }
}
