//! Reads YAML files and prints each as a line of JSON, `{"file", "value"}` or `{"file", "error"}`: for comparing with the Go
//! libraries that DRP reads them with. Names of files come from standard input, one a line.

use std::io::BufRead as _;

use gantry_pack::yaml;
use serde_json::json;

fn main() -> std::io::Result<()> {
    for file in std::io::stdin().lock().lines() {
        let file = file?;
        let line = match yaml::parse(&std::fs::read_to_string(&file)?) {
            Ok(document) => json!({ "file": file, "value": document.value }),
            Err(error) => json!({ "file": file, "error": error.to_string() }),
        };
        #[expect(clippy::print_stdout, reason = "the lines are what this program is for")]
        {
            println!("{line}");
        }
    }
    Ok(())
}
