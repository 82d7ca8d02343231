//! JSON Schema behind one small module: definitions of parameters and values against them (API §7.3).
//!
//! Messages are those of the Go library that DRP uses: `<context>: <description>`, where the context is the path of the value
//! with `(root)` for the whole.

use boon::{Compiler, Draft, ErrorKind, InstanceToken, Schemas, UrlLoader, ValidationError};
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
    match (Compiled::new(schema), schema.get("default")) {
        (Err(message), _) => problems.add(message),
        (Ok(compiled), Some(default)) => {
            if let Some(error) = compiled.errors(default).into_iter().next() {
                problems.add(format!("Error in default value: {error}"));
            }
        }
        (Ok(_), None) => {}
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
    let errors = Compiled::new(schema)?.errors(value);
    if errors.is_empty() { Ok(()) } else { Err(errors.join(", ")) }
}

/// The words that `type` may have.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "number", "null", "object", "string"];

/// A schema that was found sound.
struct Compiled {
    schemas: Schemas,
    index: boon::SchemaIndex,
}

/// The name of the schema being compiled; references inside it resolve against this.
const PLACE: &str = "param:///schema";

/// References to other documents are refused: a schema may not make the server read files or the network.
struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("references to other documents, such as {url}, are not followed").into())
    }
}

impl Compiled {
    fn new(schema: &Value) -> Result<Self, String> {
        if let Some(ty) = schema.get("type").and_then(Value::as_str)
            && !TYPES.contains(&ty)
        {
            return Err(format!(
                "has a primitive type that is NOT VALID -- given: /{ty}/ Expected valid values are:[{}]",
                TYPES.join(" ")
            ));
        }
        // As the Go library, which takes both: what is no schema of draft 7 may be one of draft 4 (`exclusiveMinimum: true`).
        Self::of_draft(schema, Draft::V7)
            .or_else(|reason| Self::of_draft(schema, Draft::V4).map_err(|_| reason))
    }

    /// A schema of the draft, unless it names another.
    fn of_draft(schema: &Value, draft: Draft) -> Result<Self, String> {
        let mut compiler = Compiler::new();
        compiler.set_default_draft(draft);
        compiler.use_loader(Box::new(NoLoader));
        let mut schemas = Schemas::new();
        let invalid = |error: boon::CompileError| format!("Invalid Schema: {error}");
        compiler.add_resource(PLACE, schema.clone()).map_err(invalid)?;
        let index = compiler.compile(PLACE, &mut schemas).map_err(invalid)?;
        Ok(Self { schemas, index })
    }

    /// One description for each thing that is wrong with the value.
    fn errors(&self, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        if let Err(error) = self.schemas.validate(value, self.index) {
            describe(&error, value, &mut found);
        }
        found
    }
}

/// The leaves of the tree of errors, in the words of the Go library.
fn describe(error: &ValidationError<'_, '_>, root: &Value, found: &mut Vec<String>) {
    if !error.causes.is_empty() {
        error.causes.iter().for_each(|cause| describe(cause, root, found));
        return;
    }
    let (context, value) = locate(error, root);
    match &error.kind {
        ErrorKind::Type { want, .. } => {
            let wanted: Vec<String> = want.iter().map(|ty| ty.to_string()).collect();
            found.push(format!(
                "{context}: Invalid type. Expected: {}, given: {}",
                wanted.join("/"),
                type_of(value)
            ));
        }
        ErrorKind::Required { want } => {
            found.extend(want.iter().map(|name| format!("{context}: {name} is required")));
        }
        ErrorKind::Enum { want } => {
            let options: Vec<String> = want.iter().map(Value::to_string).collect();
            let name = context_name(&context);
            found.push(format!("{context}: {name} must be one of the following: {}", options.join(", ")));
        }
        ErrorKind::Pattern { want, .. } => found.push(format!("{context}: Does not match pattern '{want}'")),
        ErrorKind::AdditionalProperties { got } => {
            found.extend(
                got.iter().map(|name| format!("{context}: Additional property {name} is not allowed")),
            );
        }
        ErrorKind::MinLength { want, .. } => {
            found.push(format!("{context}: String length must be greater than or equal to {want}"));
        }
        ErrorKind::MaxLength { want, .. } => {
            found.push(format!("{context}: String length must be less than or equal to {want}"));
        }
        ErrorKind::Minimum { want, .. } => {
            found.push(format!("{context}: Must be greater than or equal to {want}"));
        }
        ErrorKind::Maximum { want, .. } => {
            found.push(format!("{context}: Must be less than or equal to {want}"));
        }
        ErrorKind::ExclusiveMinimum { want, .. } => {
            found.push(format!("{context}: Must be greater than {want}"));
        }
        ErrorKind::ExclusiveMaximum { want, .. } => {
            found.push(format!("{context}: Must be less than {want}"));
        }
        ErrorKind::MinItems { want, .. } => {
            found.push(format!("{context}: Array must have at least {want} items"));
        }
        ErrorKind::MaxItems { want, .. } => {
            found.push(format!("{context}: Array must have at most {want} items"));
        }
        ErrorKind::UniqueItems { .. } => found.push(format!("{context}: array items must be unique")),
        other => found.push(format!("{context}: {other}")),
    }
}

/// The path of the value that an error is about, and the value.
fn locate<'v>(error: &ValidationError<'_, '_>, root: &'v Value) -> (String, &'v Value) {
    let mut names = Vec::new();
    let mut value = root;
    for token in &error.instance_location.tokens {
        let next = match token {
            InstanceToken::Prop(name) => value.get(name.as_ref()),
            InstanceToken::Item(at) => value.get(*at),
        };
        value = next.unwrap_or(value);
        names.push(match token {
            InstanceToken::Prop(name) => name.to_string(),
            InstanceToken::Item(at) => at.to_string(),
        });
    }
    (if names.is_empty() { "(root)".to_owned() } else { names.join(".") }, value)
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
    fn bounds_are_excluded_in_the_form_of_either_draft() {
        let (four, seven) = (
            json!({"type": "number", "minimum": 0, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": true}),
            json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 9}),
        );
        for schema in [four, seven] {
            let mut problems = Problems::default();
            check_definition(&schema, &mut problems);
            assert_eq!(problems.into_vec(), Vec::<String>::new(), "{schema}");
            assert_eq!(check_value(&schema, &json!(1)), Ok(()));
            assert_eq!(check_value(&schema, &json!(0)), Err("(root): Must be greater than 0".to_owned()));
            assert_eq!(check_value(&schema, &json!(9)), Err("(root): Must be less than 9".to_owned()));
        }
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
