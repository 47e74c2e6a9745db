//! `guideway profiles`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::{EXIT_CONFIGURATION, print, say};
use crate::profile::{self, Library};
use crate::reading::Source;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the profiles that ship.
    List,
    /// Print a profile, to make one's own of it: guideway profiles show haas-ngc-mill > my-mill.toml
    Show {
        /// The profile's id.
        id: String,
    },
    /// Print the JSON Schema of profiles, for editors.
    Schema,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match arguments.what.as_ref().unwrap_or(&What::List) {
        What::List => list(),
        What::Show { id } => match Library::default().find(id, Path::new("")) {
            Ok(source) => print(source.text().trim_end()),
            Err(missing) => {
                say(&format!("guideway: {} ({})", missing.what, missing.cure));
                return ExitCode::from(EXIT_CONFIGURATION);
            }
        },
        What::Schema => print(&format!("{:#}", profile::schema())),
    }
    ExitCode::SUCCESS
}

fn list() {
    let mut rows = Vec::new();
    for shipped in profile::shipped() {
        let path = format!("device-profiles/{}.toml", shipped.id);
        let source = Arc::new(Source::new(path, shipped.text));
        let (_, machine) = profile::check(&source);
        let Some(machine) = machine else { continue };
        rows.push([
            format!("{}@{}", shipped.id, machine.version.split('.').next().unwrap_or("1")),
            machine.kind.to_string(),
            machine.about.clone(),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    for [id, kind, about] in &rows {
        print(&format!("{id:first$}  {kind:second$}  {about}"));
    }
}
