//! Loads and renders whole checkouts of content packs: `conformance TITLE=VERSION:FOLDER[,FOLDER…] …`.

use gantry_pack::conformance;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut all = Vec::new();
    for word in std::env::args().skip(1) {
        let generation = conformance::generation(&word)?;
        let outcomes = conformance::run(&generation, &gantry_pack::builtin::fresh(|_| false)?)?;
        all.push((generation, outcomes));
    }
    #[expect(clippy::print_stdout, reason = "the page is what this program is for")]
    {
        print!("{}", conformance::page(&all));
    }
    Ok(())
}
