//! DHCP options of subnets, one at a time.

use serde_json::{Value, json};

use crate::run::Typed;
use crate::{Error, machine, output};

type Answer = Result<Option<Value>, Error>;

/// The number of the option that was typed.
fn number(typed: &Typed<'_>) -> Result<i64, Error> {
    let word = typed.word(1);
    let known = word.parse().ok().filter(|number| (1..=254).contains(number));
    known.ok_or_else(|| Error::Usage(format!("the option is `{word}`; it must be a number from 1 to 254")))
}

fn is(option: &Value, number: i64) -> bool {
    option.get("Code").and_then(Value::as_i64) == Some(number)
}

pub(crate) async fn option(typed: &Typed<'_>) -> Answer {
    let number = number(typed)?;
    let subnet = typed.get(&typed.path(), &[]).await?;
    let options = machine::list(&subnet, "Options");
    let found = options.iter().find(|option| is(option, number));
    let value = found.and_then(|option| option.get("Value")?.as_str());
    let value =
        value.ok_or_else(|| Error::Usage(format!("subnet {} has no option {number}", typed.word(0))))?;
    output::print(&format!("Option {number}: {value}"));
    Ok(None)
}

pub(crate) async fn set_option(typed: &Typed<'_>) -> Answer {
    let (number, value) = (number(typed)?, typed.word(2));
    let subnet = typed.get(&typed.path(), &[]).await?;
    let mut options = machine::list(&subnet, "Options");
    options.retain(|option| !is(option, number));
    if value != "null" {
        options.push(json!({ "Code": number, "Value": value }));
    }
    machine::replace_list(typed, "Options", &subnet, options).await
}
