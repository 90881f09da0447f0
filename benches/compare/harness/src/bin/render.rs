//! Turns reports into drawings, and into tables for a page.
//!
//! ```text
//! cargo run --release -p ringfile-compare-harness --bin render -- --out docs/performance memory.json wake.json > tables.md
//! ```

use clap::Parser;
use harness::{Report, options, plot};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Draws reports into a directory, and prints them as Markdown
#[derive(Parser)]
struct Cli {
    /// Reports, as --json of the comparisons keeps them
    #[arg(required = true)]
    reports: Vec<PathBuf>,
    /// Where the drawings go: one for each table, named after it and the report
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only what matches this in `contender table column`, as for the comparisons; may be given several times
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
}

fn main() {
    let cli = Cli::parse();
    if let Err(error) = cli.reports.iter().try_for_each(|path| render(path, &cli)) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn render(path: &Path, cli: &Cli) -> Result<(), String> {
    let of_path = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let json = fs::read_to_string(path).map_err(|error| of_path(&error))?;
    let mut report = Report::from_json(&json).map_err(|error| of_path(&error))?;
    report.retain(|cell, contender| {
        options::matches(&cli.only, &format!("{contender} {} {}", cell.table, cell.column))
    });
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    fs::create_dir_all(&cli.out).map_err(|error| format!("{}: {error}", cli.out.display()))?;
    let draw = |name: &str, svg: String| {
        let file = cli.out.join(format!("{}.svg", slug(&format!("{stem} {name}"))));
        eprintln!("{}", file.display());
        fs::write(&file, svg).map_err(|error| format!("{}: {error}", file.display()))
    };
    let tables: BTreeSet<_> = report.distances().into_iter().flat_map(|d| report.tables_at(d)).collect();
    for table in tables {
        draw(table, plot::dots(&report, table))?;
    }
    for cell in report.distribution_cells() {
        draw(&format!("{} {}", cell.table, cell.column), plot::curves(&report, cell))?;
    }
    println!("## {stem}\n\n{}", report.markdown());
    Ok(())
}

/// In small letters, with a dash for whatever is no letter or digit.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}
